//! The newest sample of everything that is under way, merged: however many come, one is kept for each task and upload.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use reelway_domain::{JobId, LeaseEpoch, Sample, TaskId, UploadId};

use crate::percent::Running;

/// A task or upload of which nothing came for so long is not under way here any more.
const KEPT: Duration = Duration::from_secs(60);
/// The most samples that are kept; the newest beyond are dropped until older ones are forgotten.
const SAMPLES_MAX: usize = 65_536;

/// Counts changes, so that a reader knows what is new to it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Version(u64);

/// Whom a sample is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Subject {
    Job(JobId),
    Upload(UploadId),
}

#[derive(Debug)]
struct OfJob {
    version: Version,
    tasks: HashMap<TaskId, (Instant, Running)>,
}

#[derive(Debug)]
struct OfUpload {
    version: Version,
    at: Instant,
    durable_offset: i64,
}

/// The newest samples.
#[derive(Debug, Default)]
pub(crate) struct Samples {
    jobs: HashMap<JobId, OfJob>,
    uploads: HashMap<UploadId, OfUpload>,
    version: Version,
    count: usize,
}

impl Samples {
    /// Takes a sample in. An older claim's, or one that goes back, changes nothing.
    pub(crate) fn put(&mut self, sample: &Sample, now: Instant) {
        if self.count >= SAMPLES_MAX {
            self.forget_old(now);
        }
        self.version.0 += 1;
        match sample {
            Sample::Task {
                job,
                task,
                lease_epoch,
                done_ms,
                speed,
            } => {
                let running = Running {
                    lease_epoch: LeaseEpoch(*lease_epoch),
                    done_ms: *done_ms,
                    speed: *speed,
                };
                self.put_task(*job, *task, running, now);
            }
            Sample::Upload { upload, durable_offset } => self.put_upload(*upload, *durable_offset, now),
        }
    }

    fn put_task(&mut self, job: JobId, task: TaskId, running: Running, now: Instant) {
        let known = self.jobs.get(&job).and_then(|of_job| of_job.tasks.get(&task));
        let is_new = match known {
            Some((_, known)) if (known.lease_epoch, known.done_ms) > (running.lease_epoch, running.done_ms) => return,
            Some(_) => false,
            None if self.count >= SAMPLES_MAX => return,
            None => true,
        };
        self.count += usize::from(is_new);
        let of_job = self.jobs.entry(job).or_insert_with(|| OfJob {
            version: self.version,
            tasks: HashMap::new(),
        });
        of_job.tasks.insert(task, (now, running));
        of_job.version = self.version;
    }

    fn put_upload(&mut self, upload: UploadId, durable_offset: i64, now: Instant) {
        let is_new = match self.uploads.get(&upload) {
            Some(known) if known.durable_offset > durable_offset => return,
            Some(_) => false,
            None if self.count >= SAMPLES_MAX => return,
            None => true,
        };
        self.count += usize::from(is_new);
        let version = self.version;
        self.uploads.insert(
            upload,
            OfUpload {
                version,
                at: now,
                durable_offset,
            },
        );
    }

    /// Forgets what is not under way any more.
    pub(crate) fn forget_old(&mut self, now: Instant) {
        let is_kept = |at: Instant| now.saturating_duration_since(at) < KEPT;
        self.jobs.retain(|_, of_job| {
            of_job.tasks.retain(|_, (at, _)| is_kept(*at));
            !of_job.tasks.is_empty()
        });
        self.uploads.retain(|_, of_upload| is_kept(of_upload.at));
        self.count = self.uploads.len() + self.jobs.values().map(|of_job| of_job.tasks.len()).sum::<usize>();
    }

    /// The newest samples of a job's tasks, and the version of the last change among them.
    pub(crate) fn of_job(&self, job: JobId) -> (HashMap<TaskId, Running>, Version) {
        self.jobs.get(&job).map_or_else(Default::default, |of_job| {
            let tasks = of_job.tasks.iter().map(|(task, (_, running))| (*task, *running));
            (tasks.collect(), of_job.version)
        })
    }

    /// The newest durable offset of an upload, if one came.
    pub(crate) fn durable_offset(&self, upload: UploadId) -> Option<i64> {
        self.uploads.get(&upload).map(|of_upload| of_upload.durable_offset)
    }

    /// What changed after `seen` of what is wanted, longest ago first, at most `count_max`, and the version up to which that
    /// is all.
    pub(crate) fn changed_since(
        &self,
        seen: Version,
        count_max: usize,
        is_wanted: impl Fn(&Subject) -> bool,
    ) -> (Vec<Subject>, Version) {
        let jobs = self.jobs.iter().map(|(id, of_job)| (of_job.version, Subject::Job(*id)));
        let uploads = self
            .uploads
            .iter()
            .map(|(id, of_upload)| (of_upload.version, Subject::Upload(*id)));
        let is_news = |(version, subject): &(Version, Subject)| *version > seen && is_wanted(subject);
        let mut changed: Vec<(Version, Subject)> = jobs.chain(uploads).filter(is_news).collect();
        changed.sort_by_key(|(version, _)| *version);
        let upto = match changed.get(count_max) {
            Some(_) => changed[count_max - 1].0,
            None => self.version,
        };
        changed.truncate(count_max);
        (changed.into_iter().map(|(_, subject)| subject).collect(), upto)
    }

    /// The version of the last change of all.
    pub(crate) fn version(&self) -> Version {
        self.version
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn task(job: JobId, task: TaskId, lease_epoch: i64, done_ms: i64) -> Sample {
        Sample::Task {
            job,
            task,
            lease_epoch,
            done_ms,
            speed: 1.0,
        }
    }

    #[test]
    fn the_newest_of_the_newest_claim_counts() {
        let (job, id, now) = (JobId::new(), TaskId::new(), Instant::now());
        let mut samples = Samples::default();
        for (epoch, done_ms, expected) in [
            (1, 500, 500),
            (1, 400, 500),
            (2, 100, 100),
            (1, 900, 100),
            (2, 300, 300),
        ] {
            samples.put(&task(job, id, epoch, done_ms), now);
            assert_eq!(samples.of_job(job).0[&id].done_ms, expected);
        }
        assert_eq!(samples.count, 1);
    }

    #[test]
    fn memory_is_bounded_and_comes_back() {
        let (job, now) = (JobId::new(), Instant::now());
        let mut samples = Samples::default();
        for _ in 0..SAMPLES_MAX + 10 {
            samples.put(&task(job, TaskId::new(), 1, 0), now);
        }
        let upload = UploadId::new();
        let of_upload = Sample::Upload {
            upload,
            durable_offset: 1,
        };
        samples.put(&of_upload, now);
        assert_eq!((samples.count, samples.durable_offset(upload)), (SAMPLES_MAX, None));
        samples.put(&of_upload, now + KEPT);
        assert_eq!((samples.count, samples.durable_offset(upload)), (1, Some(1)));
    }

    #[test]
    fn a_reader_learns_of_each_change_once_even_in_small_bites() {
        let now = Instant::now();
        let jobs: Vec<JobId> = (0..5).map(|_| JobId::new()).collect();
        let mut samples = Samples::default();
        for job in &jobs {
            samples.put(&task(*job, TaskId::new(), 1, 1), now);
        }
        let other = JobId::new();
        samples.put(&task(other, TaskId::new(), 1, 1), now);
        let (mut seen, mut found) = (Version::default(), Vec::new());
        for expected in [2, 2, 1, 0] {
            let (changed, upto) = samples.changed_since(seen, 2, |subject| *subject != Subject::Job(other));
            assert_eq!(changed.len(), expected);
            found.extend(changed);
            seen = upto;
        }
        assert_eq!(found, jobs.into_iter().map(Subject::Job).collect::<Vec<_>>());
        assert_eq!(seen, samples.version());
    }
}
