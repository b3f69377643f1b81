//! Watching one upload or one job.

use std::{iter, sync::Arc};

use reelway::v1;
use reelway_catalog::{Job, Upload};
use reelway_domain::{Change, EventSeq, Failure, JobEvent, JobId, JobState, Reason, UploadId};

use crate::{
    hub::Hub,
    model::{Model, Standing},
    signal::{Key, Mark, Subscription},
    target::Single,
    token::{self, Position},
    watch::{Rest, Sources},
};

/// One upload and its job, or one job and its upload. An upload may have no job.
#[derive(Debug)]
pub(crate) struct One {
    upload: Upload,
    job: Option<Followed>,
    /// The upload's end was told in a snapshot. Only of interest without a job.
    end_told: bool,
    /// The largest percentage that was told.
    percent: f64,
    /// What was told last of how far it is, in a sample or a snapshot.
    last_sample: Option<v1::Progress>,
}

/// The job whose events are told.
#[derive(Debug)]
struct Followed {
    id: JobId,
    model: Arc<Model>,
    /// The last event that was told, also by the first snapshot.
    seq: EventSeq,
    /// The job's state as of `seq`, where it is known.
    state: Option<JobState>,
    /// The first snapshot, which is still to come, decides where the watch begins: not before what it tells.
    begins_with_snapshot: bool,
    /// The last snapshot was of the job as of `seq`.
    is_abreast: bool,
}

impl One {
    /// Finds what is to be watched and where to begin, and subscribes to it.
    pub(crate) async fn open(
        sources: &Sources,
        single: Single,
        resume: Option<Position>,
        subscription: &mut Subscription,
    ) -> Result<Self, Failure> {
        // Subscribed to before it is looked at.
        let (upload, job) = match single {
            Single::Job(id) => {
                subscription.add(Key::Job(id));
                let job = require_job(sources, id).await?;
                (job.upload, Some(job))
            }
            Single::Upload(id) => match require_upload(sources, id).await?.job {
                Some(job) => {
                    subscription.add(Key::Job(job));
                    (id, sources.catalog.job(&sources.tenant, job).await?)
                }
                None => (id, None),
            },
        };
        subscription.add(Key::Upload(upload));
        reelway_telemetry::link_current(job.as_ref().and_then(|job| job.trace.as_ref()));
        Ok(Self {
            upload: require_upload(sources, upload).await?,
            job: job.map(|job| follow(&sources.hub, &job, resume)).transpose()?,
            end_told: false,
            percent: resume.map_or(0.0, |position| position.percent),
            last_sample: None,
        })
    }

    /// Where the watch is.
    pub(crate) fn position(&self) -> Position {
        Position {
            seq: self.job.as_ref().map_or(EventSeq(0), |job| job.seq),
            percent: self.percent,
        }
    }

    /// What it has seen of the upload and of the job.
    pub(crate) fn seen(&self) -> impl Iterator<Item = (Key, Mark)> {
        let job = self.job.as_ref().map(|job| (Key::Job(job.id), Mark::Events(job.seq)));
        let upload = (Key::Upload(self.upload.id), Mark::Upload(self.upload.mark()));
        iter::once(upload).chain(job)
    }

    /// The last snapshot told everything, and more is to come: there is nothing to look for until something happens.
    pub(crate) fn is_abreast(&self) -> bool {
        let job = self.job.as_ref();
        job.is_some_and(|job| job.is_abreast && job.state.is_some_and(|state| !state.is_terminal()))
    }

    /// The whole state.
    pub(crate) async fn snapshot(&mut self, sources: &Sources) -> Result<v1::Progress, Failure> {
        self.upload = require_upload(sources, self.upload.id).await?;
        self.end_told = self.upload.state.is_terminal();
        let job = match &mut self.job {
            Some(followed) => {
                let job = require_job(sources, followed.id).await?;
                followed.told_in_snapshot(&job);
                Some(job)
            }
            None => None,
        };
        if job.as_ref().is_some_and(|job| job.state == JobState::Succeeded) {
            // The model may be a moment behind.
            self.percent = 100.0;
        }
        let mut progress = self.measured(sources).await?;
        self.last_sample = Some(progress.clone());
        progress.upload = Some(reelway_view::upload(&self.upload));
        progress.job = job.map(|job| reelway_view::job(&job, &sources.urls));
        Ok(progress)
    }

    /// A sample, if it tells more than the last one.
    pub(crate) async fn sample(&mut self, sources: &Sources) -> Result<Option<v1::Progress>, Failure> {
        let progress = self.measured(sources).await?;
        let is_news = self.last_sample.as_ref().is_none_or(|last| !is_same(last, &progress));
        self.last_sample = Some(progress.clone());
        Ok(is_news.then_some(progress))
    }

    /// Reads what happened after the last event that was told.
    pub(crate) async fn events(&self, sources: &Sources, count_max: i64) -> Result<Vec<JobEvent>, Failure> {
        let Some(job) = &self.job else { return Ok(Vec::new()) };
        let events = sources
            .catalog
            .events_of_job(&sources.tenant, job.id, job.seq, count_max)
            .await?;
        Ok(events)
    }

    /// Moves on over an event that is told now. Gives whether it may be the last.
    pub(crate) fn tell(&mut self, event: &JobEvent) -> bool {
        let Some(job) = &mut self.job else { return false };
        job.seq = event.seq;
        job.model.told(event.seq);
        if let Change::JobState { state, .. } = &event.change {
            job.state = Some(*state);
        }
        job.state.is_some_and(JobState::is_terminal)
    }

    /// What comes when every event is told.
    pub(crate) async fn rest(&mut self, sources: &Sources) -> Result<Rest, Failure> {
        match &self.job {
            Some(job) if job.state.is_some_and(JobState::is_terminal) => return Ok(Rest::Ended),
            // Its events went with it: without this, the watch of a deleted job would wait for ever.
            Some(job) => drop(require_job(sources, job.id).await?),
            None => {}
        }
        if !self.upload.state.is_terminal() {
            self.upload = require_upload(sources, self.upload.id).await?;
        }
        Ok(match (&self.job, self.upload.state.is_terminal(), self.end_told) {
            (None, true, true) => Rest::Ended,
            (None, true, false) => Rest::Snapshot,
            _ => Rest::Live,
        })
    }

    async fn measured(&mut self, sources: &Sources) -> Result<v1::Progress, Failure> {
        let standing = match &self.job {
            Some(job) => {
                job.model
                    .standing(&sources.catalog, &sources.tenant, &sources.hub)
                    .await?
            }
            None => None,
        };
        let job = self.job.as_ref().map(|job| job.id);
        let mut progress = progress(&sources.hub, &self.upload, job, standing);
        self.percent = self.percent.max(progress.percent);
        progress.percent = self.percent;
        Ok(progress)
    }
}

impl Followed {
    fn told_in_snapshot(&mut self, job: &Job) {
        self.model.told(job.event_seq);
        if self.begins_with_snapshot {
            self.begins_with_snapshot = false;
            self.seq = job.event_seq;
            self.state = Some(job.state);
        }
        self.is_abreast = self.seq == job.event_seq;
    }
}

/// Decides from which event on a job is told.
fn follow(hub: &Hub, job: &Job, resume: Option<Position>) -> Result<Followed, Failure> {
    let seq = resume.map_or(job.event_seq, |position| position.seq);
    if seq > job.event_seq {
        // Of another catalog, perhaps one that was restored from a backup.
        return Err(token::invalid());
    }
    Ok(Followed {
        id: job.id,
        model: hub.model(job.id),
        seq,
        state: (seq == job.event_seq).then_some(job.state),
        begins_with_snapshot: resume.is_none(),
        is_abreast: false,
    })
}

/// How far an upload and its job are. The job's percentage is as it is, not yet what was told before.
pub(crate) fn progress(hub: &Hub, upload: &Upload, job: Option<JobId>, standing: Option<Standing>) -> v1::Progress {
    let sampled = hub.samples().durable_offset(upload.id).unwrap_or(0);
    let mut progress = v1::Progress {
        upload_id: upload.id.to_string(),
        job_id: job.map_or_else(String::new, |id| id.to_string()),
        durable_offset: sampled.max(upload.durable_offset.0),
        size_bytes: upload.size,
        ..Default::default()
    };
    if let Some(standing) = standing {
        progress.percent = standing.percent;
        progress.speed = standing.speed;
        progress.renditions = standing.renditions;
        progress.time_left = standing.time_left.and_then(|left| left.try_into().ok());
    }
    progress
}

/// Whether a sample tells nothing that another didn't. The time left changes by itself and is no news.
fn is_same(last: &v1::Progress, next: &v1::Progress) -> bool {
    let ageless = v1::Progress {
        time_left: last.time_left,
        ..next.clone()
    };
    ageless == *last
}

async fn require_job(sources: &Sources, id: JobId) -> Result<Job, Failure> {
    let not_found = || Failure::new(Reason::JobNotFound, "there is no such job").with("jobId", id);
    sources.catalog.job(&sources.tenant, id).await?.ok_or_else(not_found)
}

async fn require_upload(sources: &Sources, id: UploadId) -> Result<Upload, Failure> {
    let not_found = || Failure::new(Reason::UploadNotFound, "there is no such upload").with("uploadId", id);
    sources.catalog.upload(&sources.tenant, id).await?.ok_or_else(not_found)
}
