//! Watching all that a tenant has.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use prost::Message as _;
use reelway::v1;
use reelway_catalog::{Job, JobFilter};
use reelway_domain::{Change, EventSeq, Failure, JobEvent, JobId, limits};

use crate::{
    model::Model,
    one,
    samples::{Subject, Version},
    token::{self, Position},
    watch::Sources,
};

/// Jobs and uploads of which samples are told at a time; the others follow with the next.
const SAMPLED_MAX: usize = 100;
/// So many jobs and uploads are remembered to be other tenants'; beyond, they are asked for anew.
const FOREIGN_MAX: usize = 4_096;
/// A snapshot stays below what clients accept by default, 4 MiB, although each upload may have much metadata.
const SNAPSHOT_BYTES_MAX: usize = 2 << 20;

/// All jobs and uploads of a tenant.
#[derive(Debug)]
pub(crate) struct Everything {
    seq: EventSeq,
    seen: Version,
    /// Jobs of which something durable was told since the last samples.
    touched: HashSet<JobId>,
    /// Jobs that were sampled and have not ended.
    sampled: HashMap<JobId, Sampled>,
    /// What samples came of and is not the tenant's, so that what others do costs one question and not one for each sample.
    foreign: HashSet<Subject>,
}

#[derive(Debug)]
struct Sampled {
    /// Held, so that its tasks are not read anew for each sample.
    model: Arc<Model>,
    /// The largest percentage that was told.
    percent: f64,
}

impl Everything {
    /// Finds where to begin.
    pub(crate) async fn open(sources: &Sources, resume: Option<Position>) -> Result<Self, Failure> {
        let newest = sources.catalog.tenant_event_seq(&sources.tenant).await?;
        let seq = resume.map_or(newest, |position| position.seq);
        if seq > newest {
            // Of another catalog, perhaps one that was restored from a backup.
            return Err(token::invalid());
        }
        Ok(Self {
            seq,
            seen: sources.hub.samples().version(),
            touched: HashSet::new(),
            sampled: HashMap::new(),
            foreign: HashSet::new(),
        })
    }

    /// Where the watch is.
    pub(crate) fn position(&self) -> Position {
        Position {
            seq: self.seq,
            percent: 0.0,
        }
    }

    /// The jobs that have not ended, newest first, as many as fit.
    pub(crate) async fn snapshot(&mut self, sources: &Sources) -> Result<v1::ProgressSnapshot, Failure> {
        let living = JobFilter {
            living_only: true,
            ..JobFilter::default()
        };
        let count_max = i64::from(limits::SNAPSHOT_ENTRIES_MAX) + 1;
        let mut jobs = sources
            .catalog
            .list_jobs(&sources.tenant, &living, None, count_max)
            .await?;
        let listed_max = usize::try_from(limits::SNAPSHOT_ENTRIES_MAX).unwrap_or(usize::MAX);
        let mut truncated = jobs.len() > listed_max;
        jobs.truncate(listed_max);

        let (mut entries, mut bytes) = (Vec::with_capacity(jobs.len()), 0);
        for job in jobs {
            let Some(mut entry) = self.measured(sources, &job).await? else {
                continue;
            };
            let upload = sources.catalog.upload(&sources.tenant, job.upload).await?;
            entry.upload = upload.as_ref().map(reelway_view::upload);
            entry.job = Some(reelway_view::job(&job, &sources.urls));
            bytes += entry.encoded_len();
            if bytes > SNAPSHOT_BYTES_MAX {
                truncated = true;
                break;
            }
            entries.push(entry);
        }
        Ok(v1::ProgressSnapshot { entries, truncated })
    }

    /// Reads what happened after the last event that was told.
    pub(crate) async fn events(&self, sources: &Sources, count_max: i64) -> Result<Vec<JobEvent>, Failure> {
        let events = sources
            .catalog
            .events_of_tenant(&sources.tenant, self.seq, count_max)
            .await?;
        Ok(events)
    }

    /// Moves on over an event that is told now.
    pub(crate) fn tell(&mut self, sources: &Sources, event: &JobEvent) {
        self.seq = event.tenant_seq;
        sources.hub.told(event.job, event.seq);
        match &event.change {
            Change::JobState { state, .. } if state.is_terminal() => {
                self.touched.remove(&event.job);
                self.sampled.remove(&event.job);
            }
            // One that finds no room is sampled when a worker or a writer tells of it.
            _ if self.touched.len() < SAMPLED_MAX => drop(self.touched.insert(event.job)),
            _ => {}
        }
    }

    /// Samples of what changed since the last, and whether there are more.
    pub(crate) async fn samples(&mut self, sources: &Sources) -> Result<(Vec<v1::Progress>, bool), Failure> {
        let may_be_ours = |subject: &Subject| !self.foreign.contains(subject);
        let (changed, upto) = sources.hub.samples().changed_since(self.seen, SAMPLED_MAX, may_be_ours);
        self.seen = upto;
        let more = changed.len() == SAMPLED_MAX;
        let mut jobs = std::mem::take(&mut self.touched);
        let mut told = Vec::new();
        for subject in changed {
            let id = match subject {
                Subject::Job(job) => {
                    jobs.insert(job);
                    continue;
                }
                Subject::Upload(id) => id,
            };
            let Some(upload) = sources.catalog.upload(&sources.tenant, id).await? else {
                self.is_foreign(subject);
                continue;
            };
            match upload.job {
                Some(job) => drop(jobs.insert(job)),
                None => told.push(one::progress(&sources.hub, &upload, None, None)),
            }
        }
        for id in jobs {
            match sources.catalog.job(&sources.tenant, id).await? {
                // A late sample must not bring a job back that is over.
                Some(job) if job.state.is_terminal() => {}
                Some(job) => told.extend(self.measured(sources, &job).await?),
                None => self.is_foreign(Subject::Job(id)),
            }
        }
        Ok((told, more))
    }

    /// Whose something is never changes, and what is gone doesn't come back.
    fn is_foreign(&mut self, subject: Subject) {
        if self.foreign.len() >= FOREIGN_MAX {
            self.foreign.clear();
        }
        self.foreign.insert(subject);
    }

    /// How far a job is; none if it was deleted in this moment.
    async fn measured(&mut self, sources: &Sources, job: &Job) -> Result<Option<v1::Progress>, Failure> {
        let sampled = self.sampled.entry(job.id).or_insert_with(|| Sampled {
            model: sources.hub.model(job.id),
            percent: 0.0,
        });
        let standing = sampled
            .model
            .standing(&sources.catalog, &sources.tenant, &sources.hub)
            .await?;
        let upload = sources.catalog.upload(&sources.tenant, job.upload).await?;
        let (Some(standing), Some(upload)) = (standing, upload) else {
            self.sampled.remove(&job.id);
            return Ok(None);
        };
        let mut progress = one::progress(&sources.hub, &upload, Some(job.id), Some(standing));
        sampled.percent = sampled.percent.max(progress.percent);
        progress.percent = sampled.percent;
        Ok(Some(progress))
    }
}
