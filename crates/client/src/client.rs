//! The client: three services, one retry policy.

use std::time::Duration;

use reelway::v1::{
    job_service_client::JobServiceClient, progress_service_client::ProgressServiceClient,
    upload_service_client::UploadServiceClient,
};
use reelway_domain::TraceContext;
use tonic::{Request, Response, Status, metadata::AsciiMetadataValue, transport::Channel};

use crate::{Endpoints, Error, RetryPolicy, Trust, endpoints, retry::Backoff};

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
    trace: Option<AsciiMetadataValue>,
    authorization: Option<AsciiMetadataValue>,
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
        Self::connect_trusting(endpoints, &Trust::default())
    }

    /// [`Client::connect`] with a say in whom to trust at `https://` addresses.
    ///
    /// # Errors
    /// [`Error::Endpoint`] if an address can't be called.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    pub fn connect_trusting(endpoints: &Endpoints, trust: &Trust) -> Result<Self, Error> {
        let upload = endpoints::channel(&endpoints.upload, trust, 1)?;
        let shared = |url: &String, other: &String, channel: &Channel| {
            if url == other {
                Ok(channel.clone())
            } else {
                endpoints::channel(url, trust, 1)
            }
        };
        let jobs = shared(&endpoints.jobs, &endpoints.upload, &upload)?;
        let progress = shared(&endpoints.progress, &endpoints.jobs, &jobs)?;
        Ok(Self {
            uploads: UploadServiceClient::new(upload).max_decoding_message_size(ANSWER_BYTES_MAX),
            jobs: JobServiceClient::new(jobs).max_decoding_message_size(ANSWER_BYTES_MAX),
            progress: ProgressServiceClient::new(progress).max_decoding_message_size(ANSWER_BYTES_MAX),
            policy: RetryPolicy::default(),
            trace: None,
            authorization: None,
        })
    }

    /// The same client with another retry policy.
    #[must_use]
    pub fn with_policy(mut self, policy: RetryPolicy) -> Self {
        self.policy = policy;
        self
    }

    /// The same client, whose calls belong to a trace: each carries the context as `traceparent`
    /// (<https://www.w3.org/TR/trace-context/>).
    #[must_use]
    pub fn with_trace(mut self, trace: &TraceContext) -> Self {
        // Hexadecimal digits and hyphens are always good metadata.
        self.trace = AsciiMetadataValue::try_from(trace.as_str()).ok();
        self
    }

    /// The same client, which shows this API key or token with each call.
    ///
    /// # Errors
    /// [`Error::Token`] if the text can't be one.
    pub fn with_token(mut self, token: &str) -> Result<Self, Error> {
        let is_plain = !token.is_empty() && token.bytes().all(|byte| byte.is_ascii_graphic());
        let value = AsciiMetadataValue::try_from(format!("Bearer {token}"))
            .ok()
            .filter(|_| is_plain);
        let mut value = value.ok_or(Error::Token)?;
        value.set_sensitive(true);
        self.authorization = Some(value);
        Ok(self)
    }

    /// A message on its way, with what every call carries.
    pub(crate) fn request<M>(&self, message: M) -> Request<M> {
        let mut request = Request::new(message);
        if let Some(trace) = &self.trace {
            request.metadata_mut().insert("traceparent", trace.clone());
        }
        if let Some(authorization) = &self.authorization {
            request.metadata_mut().insert("authorization", authorization.clone());
        }
        request
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
            let mut request = self.request(message.clone());
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

    use std::io::Cursor;

    use futures_util::StreamExt as _;
    use reelway_domain::{JobId, Reason};

    use super::*;
    use crate::{
        Target, UploadProgress,
        test_server::{TestServer, refusal, upload},
    };

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

    #[tokio::test]
    async fn every_call_carries_the_trace_and_the_token() {
        let server = TestServer::start();
        let trace: TraceContext = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
            .parse()
            .unwrap();
        let client = server
            .client()
            .with_trace(&trace)
            .with_token("rwk_a_b")
            .expect("a token");
        client.get_upload(Default::default()).await.expect("an upload");
        let progress = watch::Sender::new(UploadProgress::default());
        // A cut, so that the calls of a resumption are seen too: where it is, and the second stream.
        server.shared().faults = [(1, refusal(Reason::StoreUnavailable))].into();
        let sent = client.upload(upload(4), &mut Cursor::new(b"file"), 4, &progress).await;
        sent.expect("a complete upload");
        let mut watch = std::pin::pin!(client.watch(Target::Job(JobId::new())));
        watch
            .next()
            .await
            .expect("a refusal")
            .expect_err("there is no such job");
        assert_eq!(server.shared().traces, vec![trace.as_str(); 5]);
        assert_eq!(server.shared().shown, vec!["Bearer rwk_a_b"; 5]);
    }

    #[tokio::test]
    async fn a_token_that_can_not_be_sent_is_refused() {
        let client = || Client::connect(&Endpoints::single("http://127.0.0.1:1")).expect("a client");
        for text in ["", "a b", "a\n", "\u{e9}"] {
            assert!(matches!(client().with_token(text), Err(Error::Token)), "{text:?}");
        }
        let shown = client().with_token("hush").expect("a token");
        assert!(!format!("{shown:?}").contains("hush"));
    }
}
