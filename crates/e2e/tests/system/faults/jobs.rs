//! Jobs that go on while something breaks, and what has to come of them.

use std::{path::Path, time::Duration};

use reelway::v1::{self, job_event::Change};

use crate::harness::{Clip, Mark, Playback, Role, System, children_of, clip, count_frames, within};

/// A job that nothing disturbs takes seconds; breaking things costs leases and looks.
pub(super) const JOB_MAX: Duration = Duration::from_secs(180);

/// A clip that is encoded quickly, in one chunk.
pub(super) const SHORT: Clip = Clip::short(2);

/// A clip whose one chunk keeps an encoder busy for some seconds, in which something can break.
pub(super) const HEAVY: Clip = Clip {
    size: "1280x720",
    rate: 60,
    name: "heavy.mp4",
    ..Clip::short(5)
};

/// A job, and the place in its events from which on they are collected.
pub(super) struct Job {
    pub(super) id: String,
    pub(super) upload_id: String,
    clip: Clip,
    mark: Mark,
}

impl Job {
    /// Uploads the clip.
    pub(super) async fn of(system: &System, what: Clip, preset: &str) -> Self {
        let upload = system.upload(&clip(what).await, preset).await;
        Self::of_upload(system, &upload, what).await
    }

    /// The job of an upload of the clip.
    pub(super) async fn of_upload(system: &System, upload: &v1::Upload, clip: Clip) -> Self {
        Self {
            id: upload.job_id.clone(),
            upload_id: upload.id.clone(),
            mark: Mark::now(system, &upload.job_id).await,
            clip,
        }
    }

    /// Waits for the end: it succeeded with every frame, and each of its effects is there once.
    pub(super) async fn ends_right(&self, system: &System) -> v1::Job {
        let job = system.job_ended(&self.id, JOB_MAX).await;
        assert_eq!(job.state(), v1::JobState::Succeeded, "{job:?}");
        assert_eq!(job.missing_frames, 0, "{job:?}");
        let events = self.events(system).await;
        let seqs: Vec<_> = events.iter().map(|event| event.seq).collect();
        assert_eq!(seqs, (self.mark.seq + 1..=job.event_seq).collect::<Vec<_>>());
        let count = |is_it: fn(&Change) -> bool| {
            events
                .iter()
                .filter_map(|event| event.change.as_ref())
                .filter(|c| is_it(c))
                .count()
        };
        assert!(
            count(is_end) <= 1 && count(|change| matches!(change, Change::Playable(_))) <= 1,
            "{events:?}"
        );
        let tasks = system.tasks(&self.id).await;
        assert!(
            tasks.iter().all(|task| task.state() == v1::TaskState::Succeeded),
            "{tasks:?}"
        );
        let (missing, twice) = recounted(&events, &tasks);
        assert!(
            twice.is_empty(),
            "tasks that were done twice: {twice:?}, {missing} before the watch"
        );
        job
    }

    /// What happened since the beginning; the job must have ended.
    pub(super) async fn events(&self, system: &System) -> Vec<v1::JobEvent> {
        self.mark.events(system, &self.id).await
    }

    /// Fetches what players get, to below `dir`: every rung has every frame.
    pub(super) async fn plays(&self, job: &v1::Job, dir: &Path) -> Playback {
        let playback = Playback::fetch(&job.playback_url, dir).await;
        for variant in playback.pictures() {
            assert_eq!(count_frames(variant).await, self.clip.frames(), "{}", variant.display());
        }
        playback
    }
}

/// Whether the change ends a job.
pub(super) fn is_end(change: &Change) -> bool {
    use v1::JobState::{Cancelled, Failed, Succeeded};
    matches!(change, Change::JobState(change) if matches!(change.state(), Succeeded | Failed | Cancelled))
}

/// How many tasks have no event of their end among these, and which have several.
fn recounted(events: &[v1::JobEvent], tasks: &[v1::Task]) -> (usize, Vec<String>) {
    let ends = |task: &v1::Task| {
        let is_it = |event: &&v1::JobEvent| {
            matches!(&event.change, Some(Change::TaskState(change))
            if change.task_id == task.id && change.state() == v1::TaskState::Succeeded)
        };
        events.iter().filter(is_it).count()
    };
    let missing = tasks.iter().filter(|task| ends(task) == 0).count();
    let twice = tasks.iter().filter(|task| ends(task) > 1).map(|task| task.id.clone());
    (missing, twice.collect())
}

/// Waits until an ffmpeg runs. Gives the number of the worker whose it is.
pub(super) async fn encoder(system: &System) -> usize {
    within(Duration::from_secs(60), "an encoder", async || {
        system
            .all(Role::Worker)
            .position(|worker| !children_of(worker.pid(), "ffmpeg").is_empty())
    })
    .await
}
