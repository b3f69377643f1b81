//! Watches over real connections, and, where a client must be slow on purpose, one step at a time.

mod everything;
mod resume;
mod samples;
mod stream;
mod tenants;

use reelway::v1::watch_progress_response::Message;
use reelway_domain::{Failure, JobId, UploadId};
use reelway_rpc::from_status;
use tonic::Status;

use crate::target::{Single, Target};

fn job_target(job: JobId) -> Target {
    Target::One(Single::Job(job))
}

fn upload_target(upload: UploadId) -> Target {
    Target::One(Single::Upload(upload))
}

fn refusal<T>(answer: Result<T, Status>) -> Failure {
    from_status(&answer.err().expect("it is refused")).expect("with a reason")
}

/// The only entry of a snapshot.
fn entry(message: Message) -> reelway::v1::Progress {
    match message {
        Message::Snapshot(mut snapshot) if snapshot.entries.len() == 1 => snapshot.entries.remove(0),
        other => panic!("no snapshot of one thing: {other:?}"),
    }
}
