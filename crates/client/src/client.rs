//! The client: three services, one retry policy.

use std::time::Duration;

use reelway::v1::{
    job_service_client::JobServiceClient, progress_service_client::ProgressServiceClient,
    upload_service_client::UploadServiceClient,
};
use tonic::{Request, Response, Status, transport::Channel};

use crate::{Endpoints, Error, RetryPolicy, endpoints, retry::Backoff};

/// How long one call that isn't a stream may take.
const CALL_MAX: Duration = Duration::from_secs(10);
/// The largest answer that is taken, in bytes: a page of 500 jobs, or the tasks of the longest job.
const ANSWER_BYTES_MAX: usize = 64 << 20;

/// Calls the servers of a Reelway node. Cloning is cheap; clones share their connections.
#[derive(Debug, Clone)]
pub struct Client {
    pub(crate) uploads: UploadServiceClient<Channel>,
    pub(crate) jobs: JobServiceClient<Channel>,
    pub(crate) progress: ProgressServiceClient<Channel>,
    pub(crate) policy: RetryPolicy,
}

/// Whether a call may be made twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Repeat {
    /// The second call does what the first did, or finds it done.
    Safe,
    /// The second call may meet what the first one changed.
    Never,
}

impl Client {
    /// A client for these addresses. Nothing is connected before the first call.
    ///
    /// # Errors
    /// [`Error::Endpoint`] if an address can't be called.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    pub fn connect(endpoints: &Endpoints) -> Result<Self, Error> {
        let upload = endpoints::channel(&endpoints.upload)?;
        let shared = |url: &String, other: &String, channel: &Channel| {
            if url == other {
                Ok(channel.clone())
            } else {
                endpoints::channel(url)
            }
        };
        let jobs = shared(&endpoints.jobs, &endpoints.upload, &upload)?;
        let progress = shared(&endpoints.progress, &endpoints.jobs, &jobs)?;
        Ok(Self {
            uploads: UploadServiceClient::new(upload).max_decoding_message_size(ANSWER_BYTES_MAX),
            jobs: JobServiceClient::new(jobs).max_decoding_message_size(ANSWER_BYTES_MAX),
            progress: ProgressServiceClient::new(progress).max_decoding_message_size(ANSWER_BYTES_MAX),
            policy: RetryPolicy::default(),
        })
    }

    /// The same client with another retry policy.
    #[must_use]
    pub fn with_policy(mut self, policy: RetryPolicy) -> Self {
        self.policy = policy;
        self
    }

    /// Makes one call with its deadline, and makes it again if that is safe and may help.
    pub(crate) async fn call<Q, A, F>(
        &self,
        repeat: Repeat,
        message: Q,
        call: impl Fn(Request<Q>) -> F,
    ) -> Result<A, Error>
    where
        Q: Clone,
        F: Future<Output = Result<Response<A>, Status>>,
    {
        let mut backoff = Backoff::new(self.policy);
        loop {
            let mut request = Request::new(message.clone());
            request.set_timeout(CALL_MAX);
            let error = match call(request).await {
                Ok(answer) => return Ok(answer.into_inner()),
                Err(status) => Error::from(status),
            };
            if repeat == Repeat::Never {
                return Err(error);
            }
            let reason = error.reason().to_owned();
            let pause = backoff.after(error)?;
            tracing::debug!(reason, pause_ms = pause.as_millis(), "call failed, trying again");
            tokio::time::sleep(pause).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::watch;

    use super::*;
    use crate::{Target, UploadProgress};

    fn is_send<T: Send>(value: T) -> T {
        value
    }

    #[tokio::test]
    async fn everything_can_be_spawned() {
        let client = Client::connect(&Endpoints::single("http://127.0.0.1:1")).expect("a client");
        let progress = watch::Sender::new(UploadProgress::default());
        drop(is_send(client.get_job(Default::default())));
        drop(is_send(client.upload_file(Default::default(), "a".as_ref(), &progress)));
        drop(is_send(client.watch(Target::Everything)));
    }
}
