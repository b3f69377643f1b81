//! Durable changes.

use reelway::v1::{self, job_event::Change as Told};
use reelway_domain::{Change, JobEvent};

use super::{PlaybackUrls, ProtoEnum as _, error, rendition, source, timestamp};

/// A durable change as watchers hear of it.
#[must_use]
pub fn job_event(event: &JobEvent, urls: &PlaybackUrls) -> v1::JobEvent {
    v1::JobEvent {
        job_id: event.job.to_string(),
        upload_id: event.upload.to_string(),
        seq: event.seq.0,
        event_time: Some(timestamp(event.at)),
        change: Some(change(event, urls)),
    }
}

fn change(event: &JobEvent, urls: &PlaybackUrls) -> Told {
    match &event.change {
        Change::JobState { state, error: why } => Told::JobState(v1::JobStateChange {
            state: state.to_proto().into(),
            error: why.as_ref().map(error),
        }),
        Change::UploadState { state, error: why } => Told::UploadState(v1::UploadStateChange {
            state: state.to_proto().into(),
            error: why.as_ref().map(error),
        }),
        Change::Planned {
            source: found,
            renditions,
            task_count,
        } => Told::Planned(v1::JobPlanned {
            source: Some(source(found)),
            renditions: renditions.iter().map(|r| rendition(event.job, r, urls)).collect(),
            // At most `limits::TASKS_PER_JOB_MAX`.
            task_count: i32::try_from(*task_count).unwrap_or(i32::MAX),
        }),
        Change::TaskState {
            task,
            task_kind,
            index,
            state,
            attempt,
            error: why,
        } => Told::TaskState(v1::TaskStateChange {
            task_id: task.to_string(),
            kind: task_kind.to_proto().into(),
            index: *index,
            state: state.to_proto().into(),
            attempt: *attempt,
            error: why.as_ref().map(error),
        }),
        Change::Playable => Told::Playable(v1::Playable {
            playback_url: urls.master(event.job),
        }),
    }
}

#[cfg(test)]
mod tests {
    use reelway_domain::{EventSeq, Failure, JobId, JobState, Reason, Timestamp, UploadId};

    use super::*;

    fn told(change: Change) -> (JobId, v1::JobEvent) {
        let job = JobId::new();
        let (seq, at) = (EventSeq(3), Timestamp(4_000));
        let event = JobEvent {
            job,
            upload: UploadId::new(),
            seq,
            tenant_seq: EventSeq(9),
            at,
            change,
        };
        (job, job_event(&event, &PlaybackUrls::new("http://h")))
    }

    #[test]
    fn a_failed_job_says_why() {
        let why = Failure::new(Reason::SourceEmpty, "the source has no bytes");
        let (job, event) = told(Change::JobState {
            state: JobState::Failed,
            error: Some(why),
        });
        assert_eq!(
            (event.job_id, event.seq, event.event_time.unwrap().seconds),
            (job.to_string(), 3, 4)
        );
        let Some(Told::JobState(change)) = event.change else {
            panic!("{:?}", event.change)
        };
        assert_eq!(change.state(), v1::JobState::Failed);
        assert_eq!(change.error.unwrap().reason, "SOURCE_EMPTY");
    }

    #[test]
    fn a_playable_job_says_where() {
        let (job, event) = told(Change::Playable);
        let playback_url = format!("http://h/play/{job}/master.m3u8");
        assert_eq!(event.change, Some(Told::Playable(v1::Playable { playback_url })));
    }
}
