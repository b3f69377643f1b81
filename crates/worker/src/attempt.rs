//! One attempt at one task: do the work while the lease lasts, then record what came of it.

use std::{sync::Arc, time::Duration};

use reelway_catalog::{Effect, Error, Fenced, Success, Task};
use reelway_domain::{Failure, Reason};
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
    work::{self, Done, Job},
};

/// How often recording is tried while the catalog doesn't answer. After that the lease runs out by itself.
const RECORD_ATTEMPTS_MAX: u32 = 6;
/// The pause between two tries.
const RECORD_RETRY_EVERY: Duration = Duration::from_millis(500);

/// How the work ended.
enum Outcome {
    Done(Done),
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
    let started_at = Instant::now();
    let outcome = do_it(worker, &Job::new(worker, claim), &mut keeper, &stop_now).await;
    let worked = started_at.elapsed();
    let label = record(worker, &task, outcome).await;
    meter::ended(&task, label, worked);
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
        result = &mut work => return outcome(&job.claim.task, result),
        end = keeper.ended() => Outcome::LeaseEnded(end),
        () = stop_now.cancelled() => Outcome::HandBack,
    };
    // Waits until ffmpeg is dead, so that nothing writes into the scratch directory when it goes.
    cancel.cancel();
    match (work.await, stopped) {
        // It was done in the very moment in which it was to be given back.
        (Ok(done), Outcome::HandBack) => Outcome::Done(done),
        (_, stopped) => stopped,
    }
}

fn outcome(task: &Task, result: Result<Done, media::Error>) -> Outcome {
    match result {
        Ok(done) => Outcome::Done(done),
        Err(media::Error::Failed { failure, stderr_tail }) => Outcome::Failed(judged(task, failure), stderr_tail),
        Err(media::Error::Cancelled) => Outcome::HandBack,
    }
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
        Outcome::Done(_) | Outcome::HandBack => {}
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
    trace::ended(label, !counts && !matches!(outcome, Outcome::HandBack));
    label
}

fn label(outcome: &Outcome, fenced: &Result<Fenced, Error>) -> &'static str {
    match (outcome, fenced) {
        (Outcome::Done(_), Ok(Fenced::Done)) => "succeeded",
        (Outcome::Failed(..), Ok(Fenced::Done)) => "failed",
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
        Outcome::HandBack => worker.catalog.hand_back(task).await,
        Outcome::LeaseEnded(_) => Ok(Fenced::LeaseLost),
    }
}
