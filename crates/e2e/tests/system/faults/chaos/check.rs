//! The checker: what clients were told against what there is.

use std::{collections::BTreeSet, time::Duration};

use reelway::v1::{self, job_event::Change};
use reelway_domain::Reason;

use super::watcher::Watcher;
use crate::{
    faults::{ending::WEBHOOK_SECS_MAX, file::File, jobs::JOB_MAX},
    harness::{Role, System, within, within_secs, working_in},
};

/// How often a job that ran out of attempts is tried again by hand. Nothing dies any more then.
const RETRIES_MAX: usize = 1;

/// Every acknowledged byte is there once, every job has ended, and each effect happened once.
pub(super) async fn all(system: &System, sent: &[File], watcher: &Watcher) {
    let mut uploads = system.uploads().await;
    let (mut upload_ids, mut job_ids) = (BTreeSet::new(), BTreeSet::new());
    for file in sent {
        file.is_whole(system, &mut uploads).await;
        let request = v1::GetUploadRequest {
            upload_id: file.upload_id.clone().expect("it was created"),
            end_writer: false,
        };
        let upload = system.client().get_upload(request).await.expect("an upload");
        assert!(
            upload_ids.insert(upload.id.clone()),
            "two files in one upload: {upload:?}"
        );
        if !upload.job_id.is_empty() {
            job_ids.insert(upload.job_id);
        }
    }
    assert!(!job_ids.is_empty(), "there were jobs");
    let mut retries = 0;
    for job_id in &job_ids {
        retries += job_is_right(system, job_id, watcher).await;
    }
    told_once(system, "upload.completed", &upload_ids).await;
    told_once(system, "job.succeeded", &job_ids).await;
    nothing_is_left(system).await;
    eprintln!("{} jobs, {retries} tried again by hand", job_ids.len());
}

/// The job succeeded, and its events tell one story. Gives how often it had to be tried again by hand.
async fn job_is_right(system: &System, job_id: &str, watcher: &Watcher) -> usize {
    let mut retries = 0;
    let job = loop {
        let job = system.job_ended(job_id, JOB_MAX).await;
        // A task whose worker dies as often as it may be started is given up, as it should be.
        let is_worn_out = job
            .error
            .as_ref()
            .is_some_and(|error| error.reason == Reason::WorkerLost.as_str());
        if !is_worn_out || retries == RETRIES_MAX {
            break job;
        }
        let request = v1::RetryJobRequest {
            job_id: job_id.to_owned(),
        };
        system.client().retry_job(request).await.expect("a queued job");
        retries += 1;
    };
    assert_eq!(
        (job.state(), job.missing_frames),
        (v1::JobState::Succeeded, 0),
        "{job:?}"
    );
    let events = watcher.events(job_id, job.event_seq).await;
    assert!(events.iter().map(|event| event.seq).eq(1..=job.event_seq), "{events:?}");
    let count = |is_it: &dyn Fn(&Change) -> bool| {
        events
            .iter()
            .filter_map(|event| event.change.as_ref())
            .filter(|c| is_it(c))
            .count()
    };
    let ended = |state| count(&|change: &Change| matches!(change, Change::JobState(change) if change.state() == state));
    assert_eq!(
        (ended(v1::JobState::Succeeded), ended(v1::JobState::Failed)),
        (1, retries),
        "{events:?}"
    );
    assert_eq!(
        count(&|change: &Change| matches!(change, Change::Playable(_))),
        1,
        "{events:?}"
    );
    for task in system.tasks(job_id).await {
        let is_done = |change: &Change| {
            matches!(change, Change::TaskState(change)
            if change.task_id == task.id && change.state() == v1::TaskState::Succeeded)
        };
        assert_eq!(
            (task.state(), count(&is_done)),
            (v1::TaskState::Succeeded, 1),
            "{task:?}: {events:?}"
        );
    }
    retries
}

/// The receiver took one message about each of them, and none about anything else.
async fn told_once(system: &System, event: &str, subjects: &BTreeSet<String>) {
    let taken = within(Duration::from_secs(WEBHOOK_SECS_MAX), event, async || {
        let taken = system.receiver().taken(event);
        subjects
            .iter()
            .all(|subject| taken.contains_key(subject))
            .then_some(taken)
    })
    .await;
    assert!(taken.keys().eq(subjects), "{event} of what nobody was told: {taken:?}");
    assert!(taken.values().all(|ids| ids.len() == 1), "{event} twice: {taken:?}");
}

/// No process, no scratch space, no hint, and no task in between.
async fn nothing_is_left(system: &System) {
    for worker in system.all(Role::Worker) {
        assert_eq!(working_in(worker.data(), worker.pid()), Vec::<String>::new());
    }
    assert!(system.scratch_dirs().is_empty(), "{:?}", system.scratch_dirs());
    if system.is_split() {
        let left = || system.database().number("SELECT COUNT(*) FROM outbox");
        within_secs(20, "an empty outbox", async || left() == 0).await;
        let unsettled = "SELECT COUNT(*) FROM tasks WHERE state IN ('queued', 'running')";
        assert_eq!(system.database().number(unsettled), 0);
    }
}
