//! One WatchProgress on behalf of a browser.

use std::collections::VecDeque;

use bytes::Bytes;
use reelway::v1::{
    self, ProgressSnapshot, WatchProgressRequest, WatchProgressResponse, watch_progress_request::Target,
    watch_progress_response::Message,
};
use reelway_domain::{Failure, Reason};
use tokio_util::sync::CancellationToken;
use tonic::Streaming;

use super::Asked;
use crate::append::failure;

/// The messages of a watch. Nothing is asked for before it is wanted.
#[derive(Debug)]
pub(super) struct Watch {
    /// What was looked at and not told yet: two messages at most.
    ahead: VecDeque<WatchProgressResponse>,
    messages: Streaming<WatchProgressResponse>,
    shutdown: CancellationToken,
}

impl Watch {
    /// Begins to watch.
    ///
    /// # Errors
    /// What the service refuses with; `SHUTTING_DOWN`.
    pub(super) async fn open(asked: &Asked, target: Target, resume_token: Bytes) -> Result<Self, Failure> {
        let request = asked.caller.request(WatchProgressRequest {
            target: Some(target),
            resume_token,
        });
        let mut service = asked.edge.upstream.progress();
        let shutdown = asked.edge.shutdown.clone();
        let answer = shutdown.run_until_cancelled(service.watch_progress(request)).await;
        Ok(Self {
            ahead: VecDeque::new(),
            messages: answer.ok_or_else(going_down)?.map_err(failure)?.into_inner(),
            shutdown,
        })
    }

    /// Waits for the next message; `None` after the last. Nothing is lost if this is given up.
    ///
    /// # Errors
    /// What the service ends the watch with; `SHUTTING_DOWN`. The watch has ended then.
    pub(super) async fn next(&mut self) -> Result<Option<WatchProgressResponse>, Failure> {
        if self.shutdown.is_cancelled() {
            return Err(going_down());
        }
        if let Some(message) = self.ahead.pop_front() {
            return Ok(Some(message));
        }
        let next = self.shutdown.run_until_cancelled(self.messages.message()).await;
        next.ok_or_else(going_down)?.map_err(failure)
    }

    /// Whether a watch that was resumed has nothing more to tell. A snapshot comes in any case; of what has ended it is not
    /// news, if nothing follows it.
    ///
    /// # Errors
    /// As [`next`](Self::next).
    pub(super) async fn is_over(&mut self) -> Result<bool, Failure> {
        let Some(first) = self.next().await? else {
            return Ok(true);
        };
        let has_ended = matches!(&first.message, Some(Message::Snapshot(snapshot)) if has_ended(snapshot));
        self.ahead.push_back(first);
        if !has_ended {
            return Ok(false);
        }
        // What has ended isn't waited for: either there is more to tell, or the end comes.
        let second = self.messages.message().await.map_err(failure)?;
        let is_over = second.is_none();
        self.ahead.extend(second);
        Ok(is_over)
    }
}

/// Whether what is watched is over: one job, or one upload without a job.
fn has_ended(snapshot: &ProgressSnapshot) -> bool {
    use v1::{JobState, UploadState};
    let [entry] = snapshot.entries.as_slice() else {
        return false;
    };
    match (&entry.job, &entry.upload) {
        (Some(job), _) => matches!(
            job.state(),
            JobState::Succeeded | JobState::Failed | JobState::Cancelled
        ),
        (None, Some(upload)) => !matches!(upload.state(), UploadState::Receiving | UploadState::Unspecified),
        (None, None) => false,
    }
}

fn going_down() -> Failure {
    let message = "the server is going down; watch again with the last resume token";
    Failure::new(Reason::ShuttingDown, message)
}
