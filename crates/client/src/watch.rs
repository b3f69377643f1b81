//! Watching with recovery: the stream breaks, the watch goes on, and no change is seen twice or not at all.

use std::{collections::HashMap, time::Duration};

use bytes::Bytes;
use futures_util::{Stream, stream};
use reelway::v1::{self, job_event::Change, watch_progress_request, watch_progress_response::Message};
use reelway_domain::{JobId, Reason, UploadId, limits};
use tokio::time::timeout;
use tonic::Streaming;

use crate::{Client, Error, Refusal, retry::Backoff};

/// A server that misses three bookmarks is given up.
const SILENCE_MAX: Duration = limits::BOOKMARK_EVERY.saturating_mul(3);

/// What to watch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    /// One upload and its job.
    Upload(UploadId),
    /// One job and its upload.
    Job(JobId),
    /// Everything that the caller may see.
    Everything,
}

impl Client {
    /// Watches until the terminal event, over as many connections as it takes. Each change comes once and in order; samples
    /// and bookmarks come as the server sends them, and a snapshot first and whenever the server thinks it necessary.
    /// [`Target::Everything`] doesn't end.
    ///
    /// After an error the stream has ended: [`Error::Refused`] if the server refuses or stays out of reach.
    pub fn watch(&self, target: Target) -> impl Stream<Item = Result<v1::WatchProgressResponse, Error>> + Send + use<> {
        let watch = Watch {
            client: self.clone(),
            target,
            resume_token: Bytes::new(),
            seen: HashMap::new(),
            connection: None,
            backoff: Backoff::new(self.policy),
        };
        stream::unfold(Some(watch), |watch| async {
            let mut watch = watch?;
            match watch.next().await {
                Ok(Some(message)) => Some((Ok(message), Some(watch))),
                Ok(None) => None,
                Err(error) => Some((Err(error), None)),
            }
        })
    }
}

struct Watch {
    client: Client,
    target: Target,
    resume_token: Bytes,
    /// The last event number of each job that has not ended.
    seen: HashMap<String, i64>,
    connection: Option<Streaming<v1::WatchProgressResponse>>,
    backoff: Backoff,
}

impl Watch {
    /// The next message that is news; none after the terminal event.
    async fn next(&mut self) -> Result<Option<v1::WatchProgressResponse>, Error> {
        loop {
            match self.receive().await {
                Ok(Some(message)) => {
                    self.backoff.reset();
                    self.resume_token.clone_from(&message.resume_token);
                    if self.is_news(&message) {
                        return Ok(Some(message));
                    }
                }
                Ok(None) if self.target != Target::Everything => return Ok(None),
                Ok(None) => self.recover(Refusal::cut().into()).await?,
                Err(error) => self.recover(error).await?,
            }
        }
    }

    async fn receive(&mut self) -> Result<Option<v1::WatchProgressResponse>, Error> {
        let silence = |_| Error::from(Refusal::silence(SILENCE_MAX));
        if self.connection.is_none() {
            let mut progress = self.client.progress.clone();
            let request = self.client.request(self.request());
            let opened = timeout(SILENCE_MAX, progress.watch_progress(request))
                .await
                .map_err(silence)?;
            self.connection = Some(opened?.into_inner());
        }
        match &mut self.connection {
            Some(connection) => Ok(timeout(SILENCE_MAX, connection.message()).await.map_err(silence)??),
            None => Ok(None),
        }
    }

    /// Waits before the next connection.
    async fn recover(&mut self, mut error: Error) -> Result<(), Error> {
        self.connection = None;
        if let Error::Refused(refusal) = &error
            && refusal.known_reason() == Some(Reason::ResumeTokenInvalid)
            && !self.resume_token.is_empty()
        {
            // The server forgot where this watch was. The snapshot that a new one begins with tells what was missed.
            self.resume_token.clear();
            error = Refusal::cut().into();
        }
        let reason = error.reason().to_owned();
        let pause = self.backoff.after(error)?;
        tracing::debug!(reason, retries = self.backoff.retries(), "watch interrupted");
        tokio::time::sleep(pause).await;
        Ok(())
    }

    /// Whether the message was not seen before. Events may come again after a resumption.
    fn is_news(&mut self, message: &v1::WatchProgressResponse) -> bool {
        let Some(Message::Event(event)) = &message.message else {
            return true;
        };
        let is_news = self.seen.get(&event.job_id).is_none_or(|seen| event.seq > *seen);
        if is_news && is_terminal(event) && self.target == Target::Everything {
            // Or the table would grow with each job that ever was.
            self.seen.remove(&event.job_id);
        } else if is_news {
            self.seen.insert(event.job_id.clone(), event.seq);
        }
        is_news
    }

    fn request(&self) -> v1::WatchProgressRequest {
        let target = match self.target {
            Target::Upload(id) => watch_progress_request::Target::UploadId(id.to_string()),
            Target::Job(id) => watch_progress_request::Target::JobId(id.to_string()),
            Target::Everything => watch_progress_request::Target::Everything(()),
        };
        v1::WatchProgressRequest {
            target: Some(target),
            resume_token: self.resume_token.clone(),
        }
    }
}

/// Whether the event ends its job.
fn is_terminal(event: &v1::JobEvent) -> bool {
    let Some(Change::JobState(change)) = &event.change else {
        return false;
    };
    match change.state() {
        v1::JobState::Succeeded | v1::JobState::Failed | v1::JobState::Cancelled => true,
        v1::JobState::Unspecified | v1::JobState::Queued | v1::JobState::Running => false,
    }
}
