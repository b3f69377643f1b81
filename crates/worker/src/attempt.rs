//! One attempt at one task: do the work while the lease lasts, then record what came of it.

use std::{sync::Arc, time::Duration};

use reelway_catalog::{Claim, Effect, Error, Fenced, Success, Task};
use reelway_domain::{Failure, ReadyAt, Reason, Retry, UploadState};
use reelway_media as media;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;
use tracing::Instrument as _;

use crate::{
    Claimed, Worker,
    lease::{Keeper, LeaseEnd},
    meter,
    scratch::Scratch,
    trace,
    work::{self, Done, Ended, Job},
};

/// How often recording is tried while the catalog doesn't answer. After that the lease runs out by itself.
const RECORD_ATTEMPTS_MAX: u32 = 6;
/// The pause between two tries.
const RECORD_RETRY_EVERY: Duration = Duration::from_millis(500);

/// What a task waits for that was begun too early.
#[derive(Debug, Clone, Copy)]
struct Postponement {
    ready: ReadyAt,
    /// The claim knew the tail of the upload.
    tail_seen: bool,
}

/// The word for a result that counts.
const SUCCEEDED: &str = "succeeded";

/// How the work ended.
enum Outcome {
    Done(Done),
    /// It was too early.
    Postponed(Postponement),
    Failed(Failure, String),
    HandBack,
    LeaseEnded(LeaseEnd),
}

/// Does one task to its end, whatever that is, in the trace of its job.
pub(crate) async fn run(worker: &Arc<Worker>, claimed: Claimed, stop_now: CancellationToken) {
    let span = trace::span(&claimed.claim);
    attempt(worker, claimed, stop_now).instrument(span).await;
}

async fn attempt(worker: &Arc<Worker>, claimed: Claimed, stop_now: CancellationToken) {
    let Claimed { claim, asked_at } = claimed;
    let task = claim.task.clone();
    tracing::debug!(job.id = %task.job, task.id = %task.id, kind = %task.kind, attempt = task.attempt, "task started");
    let mut keeper = Keeper::start(worker, &task, asked_at);
    meter::started(&claim);
    let _running = meter::running();
    let started_at = Instant::now();
    let job = Job::new(worker, claim);
    let outcome = do_it(worker, &job, &mut keeper, &stop_now).await;
    let worked = started_at.elapsed();
    let label = record(worker, &task, outcome).await;
    meter::ended(&task, label, worked);
    if label == SUCCEEDED {
        work::publish::after(&job).await;
    }
}

async fn do_it(worker: &Worker, job: &Job, keeper: &mut Keeper, stop_now: &CancellationToken) -> Outcome {
    let scratch = match Scratch::make(&worker.settings.scratch, &job.claim.task).await {
        Ok(scratch) => scratch,
        Err(error) => {
            let message = format!("the worker's scratch directory can't be made: {error}");
            return Outcome::Failed(Failure::new(Reason::StoreUnavailable, message), String::new());
        }
    };
    let cancel = CancellationToken::new();
    let mut work = std::pin::pin!(work::run(job, scratch.path(), &cancel));
    let stopped = tokio::select! {
        result = &mut work => return outcome(&job.claim, result),
        end = keeper.ended() => Outcome::LeaseEnded(end),
        () = stop_now.cancelled() => Outcome::HandBack,
    };
    // Waits until ffmpeg is dead, so that nothing writes into the scratch directory when it goes.
    cancel.cancel();
    match (work.await, stopped) {
        // It was done in the very moment in which it was to be given back.
        (Ok(Ended::Done(done)), Outcome::HandBack) => Outcome::Done(done),
        (_, stopped) => stopped,
    }
}

fn outcome(claim: &Claim, result: Result<Ended, media::Error>) -> Outcome {
    let postponed = |ready| {
        let tail_seen = claim.upload.tail_offset.is_some();
        Outcome::Postponed(Postponement { ready, tail_seen })
    };
    match result {
        Ok(Ended::Done(done)) => Outcome::Done(done),
        Ok(Ended::Postponed(ready)) => postponed(ready),
        Err(media::Error::Failed { failure, stderr_tail }) => {
            let failure = judged(&claim.task, failure);
            if !is_to_be_recorded(claim, &failure) {
                tracing::info!(
                    job.id = %claim.job.id, task.id = %claim.task.id, reason = %failure.reason, message = failure.message,
                    "task postponed until the upload is complete"
                );
                return postponed(ReadyAt::Complete);
            }
            Outcome::Failed(failure, stderr_tail)
        }
        Err(media::Error::Cancelled) => Outcome::HandBack,
    }
}

/// Whether a failure is recorded as one. What was seen of a file while it arrived proves nothing for good: the whole of it has
/// the last word. That a last attempt fails which another could have helped is for the catalog to judge: it knows what the
/// attempts before it saw.
fn is_to_be_recorded(claim: &Claim, failure: &Failure) -> bool {
    failure.reason.retry() == Retry::WithBackoff || claim.upload.state == UploadState::Complete
}

/// A task that ran out of memory is tried once more with as little as it can do with. After that the source is to blame.
fn judged(task: &Task, failure: Failure) -> Failure {
    if failure.reason == Reason::EncoderOutOfMemory && ran_out_of_memory(task) {
        let message = "the source needs more memory than this worker gives, even one rendition at a time; \
                       give workers more with --encoder-memory, or ask for smaller renditions";
        return Failure::new(Reason::SourceLimitExceeded, message);
    }
    failure
}

/// Whether the attempt before this one ran out of memory.
pub(crate) fn ran_out_of_memory(task: &Task) -> bool {
    task.error
        .as_ref()
        .is_some_and(|error| error.reason == Reason::EncoderOutOfMemory)
}

/// Records what came of it, and gives the word for that.
async fn record(worker: &Worker, task: &Task, outcome: Outcome) -> &'static str {
    match &outcome {
        Outcome::Failed(failure, _) => tracing::info!(
            job.id = %task.job, task.id = %task.id, attempt = task.attempt, reason = %failure.reason,
            message = failure.message, "attempt failed"
        ),
        Outcome::LeaseEnded(end) => {
            tracing::info!(job.id = %task.job, task.id = %task.id, why = ?end, "lease ended before the task");
        }
        Outcome::Done(_) | Outcome::Postponed(_) | Outcome::HandBack => {}
    }
    let fenced = persist(worker, task, &outcome).await;
    if let Err(error) = &fenced {
        tracing::warn!(%error, task.id = %task.id, "could not record what came of a task; its lease will run out");
    }
    // Unless they count now, the outputs of this claim never will. An unanswered commit may have counted: keep them then.
    let counts = matches!((&outcome, &fenced), (Outcome::Done(_), Ok(Fenced::Done)) | (_, Err(_)));
    if !counts {
        work::discard(worker, task).await;
    }
    let label = label(&outcome, &fenced);
    let is_failure = !counts && !matches!(outcome, Outcome::Postponed(_) | Outcome::HandBack);
    trace::ended(label, is_failure);
    label
}

fn label(outcome: &Outcome, fenced: &Result<Fenced, Error>) -> &'static str {
    match (outcome, fenced) {
        (Outcome::Done(_), Ok(Fenced::Done)) => SUCCEEDED,
        (Outcome::Failed(..), Ok(Fenced::Done)) => "failed",
        (Outcome::Postponed(_), Ok(Fenced::Done)) => "postponed",
        (Outcome::HandBack, Ok(Fenced::Done)) => "handed_back",
        (_, Ok(Fenced::LeaseLost)) | (Outcome::LeaseEnded(_), Ok(_)) => "lease_lost",
        (_, Err(_)) => "unrecorded",
    }
}

/// Tries again while the catalog doesn't answer. Every statement is fenced, so a repetition of one that was committed
/// after all finds its lease gone and changes nothing.
async fn persist(worker: &Worker, task: &Task, outcome: &Outcome) -> Result<Fenced, Error> {
    let mut tried = 1;
    loop {
        match persist_once(worker, task, outcome).await {
            Err(error) if tried < RECORD_ATTEMPTS_MAX => {
                tracing::debug!(%error, "recording is tried again");
                tried += 1;
                sleep(RECORD_RETRY_EVERY).await;
            }
            // The first try may have been committed without an answer: what it says now is not known for sure.
            Ok(Fenced::LeaseLost) if tried > 1 => return Err(Error::Corrupt("an unanswered commit may count".into())),
            result => return result,
        }
    }
}

async fn persist_once(worker: &Worker, task: &Task, outcome: &Outcome) -> Result<Fenced, Error> {
    match outcome {
        Outcome::Done(done) if done.effect == Effect::None => {
            let (task, result) = (task.clone(), done.result.clone());
            worker.finisher.succeed(Success { task, result }).await
        }
        Outcome::Done(done) => worker.catalog.succeed(task, &done.result, &done.effect).await,
        Outcome::Failed(failure, stderr_tail) => worker.catalog.fail_attempt(task, failure, stderr_tail).await,
        Outcome::Postponed(Postponement { ready, tail_seen }) => {
            worker.catalog.postpone(task, *ready, *tail_seen).await
        }
        Outcome::HandBack => worker.catalog.hand_back(task).await,
        Outcome::LeaseEnded(_) => Ok(Fenced::LeaseLost),
    }
}

#[cfg(test)]
mod tests {
    use reelway_domain::{JobState, TaskKind, WorkerId, preset};

    use super::*;
    use crate::testing::Bench;

    fn failed(reason: Reason) -> Result<Ended, media::Error> {
        Err(Failure::new(reason, "as it is told").into())
    }

    /// Early trouble never fails a job: only the whole upload does.
    #[tokio::test(flavor = "multi_thread")]
    async fn what_fails_early_is_put_off() {
        let bench = Bench::new().await;
        bench.job(b"whatever".to_vec()).await;
        let claim = bench.catalog.claim(WorkerId::new(), Duration::from_secs(60)).await;
        let whole = claim.unwrap().unwrap();
        let mut early = whole.clone();
        early.upload.state = UploadState::Receiving;
        let put_off = |claim: &Claim, reason| {
            matches!(
                outcome(claim, failed(reason)),
                Outcome::Postponed(Postponement {
                    ready: ReadyAt::Complete,
                    tail_seen: false
                })
            )
        };
        assert!(put_off(&early, Reason::SourceNotMedia), "for good");
        assert!(!put_off(&early, Reason::EncoderFailed), "another attempt may help");
        assert!(
            !put_off(&whole, Reason::SourceNotMedia),
            "the whole upload has the last word"
        );

        let postponed = outcome(&whole, Ok(Ended::Postponed(ReadyAt::Complete)));
        let label = record(&bench.worker, &whole.task, postponed).await;
        assert_eq!(label, "postponed");
        let again = bench.catalog.claim(WorkerId::new(), Duration::from_secs(60)).await;
        let again = again.unwrap().unwrap().task;
        assert_eq!(
            (again.id, again.attempt),
            (whole.task.id, 1),
            "the attempt didn't count"
        );
    }

    /// Claims all that can be claimed, and gives the first task of a kind; the others are given back.
    async fn claim(bench: &Bench, kind: TaskKind) -> Claim {
        let catalog = &bench.catalog;
        let claims = catalog.claim_batch(WorkerId::new(), Duration::from_secs(60), 100, None);
        let mut found = None;
        for claim in claims.await.unwrap() {
            if claim.task.kind == kind && found.is_none() {
                found = Some(claim);
            } else {
                catalog.hand_back(&claim.task).await.unwrap();
            }
        }
        found.expect("a task of this kind")
    }

    /// What was planned from an index may be wrong; who fails by it waits until all of the file has confirmed it.
    #[tokio::test(flavor = "multi_thread")]
    async fn what_fails_by_an_unconfirmed_plan_waits_for_it() {
        let bench = Bench::new().await;
        let clip = bench.indexed_clip();
        let arriving = bench.arriving(clip.len(), preset("fast").unwrap()).await;
        arriving.write(&bench, &clip, 0, clip.len() - 1).await;
        for kind in [TaskKind::Probe, TaskKind::Plan] {
            let claimed = Claimed {
                claim: claim(&bench, kind).await,
                asked_at: Instant::now(),
            };
            run(&bench.worker, claimed, CancellationToken::new()).await;
        }
        arriving.write(&bench, &clip, clip.len() - 1, clip.len()).await;
        arriving.complete(&bench, clip.len()).await;
        let chunk = claim(&bench, TaskKind::Video).await;
        let failed = outcome(&chunk, failed(Reason::SourceNotMedia));
        assert_eq!(record(&bench.worker, &chunk.task, failed).await, "failed");
        let tasks = bench.catalog.tasks(&chunk.job.tenant, chunk.job.id).await.unwrap();
        let waiting = tasks.iter().find(|task| task.id == chunk.task.id).unwrap();
        assert_eq!((waiting.attempt, waiting.pending), (0, 1));

        let ended = bench.run_to_end(arriving.job).await;
        assert_eq!(ended.state, JobState::Succeeded, "{:?}", ended.error);
        assert_eq!((ended.source.unwrap().frames, ended.missing_frames), (150, 0));
    }
}
