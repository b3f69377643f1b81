//! The messages of a watch, on their way to its client.

use std::iter;

use futures_util::{Stream, StreamExt as _, stream};
use reelway::v1;
use reelway_domain::{Failure, Reason};
use reelway_rpc::to_status;
use tokio::{sync::mpsc, task::JoinError};
use tokio_util::task::AbortOnDropHandle;
use tonic::Status;
use tracing::Instrument as _;

use crate::watch::Watch;

pub(crate) type Answer = Result<v1::WatchProgressResponse, Status>;

/// Batches that are made before they are asked for.
const AHEAD_MAX: usize = 1;
/// Messages that are handed over together, if they are there. What is there at once leaves in one frame: of many small ones
/// that wait unread, `h2` on the client's side cuts the connection.
const BATCH_MAX: usize = 64;

/// The messages of a watch, which ends when they are dropped.
///
/// They are made in a task of its own. A transport polls a stream only while its client has room for more, and a question to
/// the catalog that nobody polls keeps a connection from everybody else, and the model of a job that it is about, for as long
/// as the client doesn't read.
pub(crate) fn messages(watch: Watch) -> impl Stream<Item = Answer> {
    let (sender, receiver) = mpsc::channel(AHEAD_MAX);
    let task = tokio::spawn(tell(watch, sender).in_current_span());
    let state = (receiver, Some(AbortOnDropHandle::new(task)));
    let batches = stream::unfold(state, |(mut receiver, mut task)| async move {
        if let Some(batch) = receiver.recv().await {
            return Some((batch, (receiver, task)));
        }
        // A watch that broke off must not look like one that is at its end.
        let broke_off = task.take()?.await.err()?;
        Some((vec![Err(status_of(&broke_off))], (receiver, None)))
    });
    batches.flat_map(stream::iter)
}

/// Tells until the end.
async fn tell(mut watch: Watch, sender: mpsc::Sender<Vec<Answer>>) {
    while let Ok(room) = sender.reserve().await {
        match watch.next().await {
            Ok(Some(first)) => {
                let further = iter::from_fn(|| watch.at_hand()).take(BATCH_MAX - 1);
                room.send(iter::once(first).chain(further).map(Ok).collect());
            }
            Ok(None) => return,
            Err(failure) => return room.send(vec![Err(to_status(&failure))]),
        }
    }
}

fn status_of(broke_off: &JoinError) -> Status {
    to_status(&Failure::new(
        Reason::Internal,
        format!("a watch broke off: {broke_off}"),
    ))
}
