//! A server for tests of faults: it keeps one upload in memory and misbehaves as it is told, call by call.

use std::{
    collections::VecDeque,
    net::{Ipv4Addr, SocketAddr},
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use bytes::Bytes;
use reelway::v1::{
    self,
    progress_service_server::{ProgressService, ProgressServiceServer},
    upload_service_server::{UploadService, UploadServiceServer},
};
use reelway_domain::Reason;
use tokio::{net::TcpListener, runtime::Runtime, sync::mpsc};
use tokio_stream::{StreamExt as _, wrappers::ReceiverStream};
use tonic::{
    Code, Request, Response, Status, Streaming,
    transport::{Server, server::TcpIncoming},
};
use tonic_types::{ErrorDetails, StatusExt as _};

use crate::{Client, Endpoints, RetryPolicy};

/// The one upload's id.
pub(crate) const UPLOAD_ID: &str = "upl_0198c0de000070008000000000000001";

/// What the tests see and set.
#[derive(Default)]
pub(crate) struct Shared {
    /// The upload's bytes, all of them durable.
    pub(crate) stored: Vec<u8>,
    pub(crate) finished: bool,
    /// How many write streams were opened.
    pub(crate) streams: usize,
    /// For each write stream that is opened: fail with this status after so many more bytes.
    pub(crate) faults: VecDeque<(usize, Status)>,
    /// Acknowledge only when asked to.
    pub(crate) is_lazy: bool,
    /// The most bytes that ever waited for an acknowledgement.
    pub(crate) unacknowledged_max: usize,
    /// For each watch that is opened: the answers, the last of which may be an error.
    pub(crate) watches: VecDeque<Vec<Result<v1::WatchProgressResponse, Status>>>,
    /// The resume tokens that watches were opened with.
    pub(crate) tokens: Vec<Bytes>,
    /// The trace context of each call that had one.
    pub(crate) traces: Vec<String>,
    /// What each call has shown of its caller.
    pub(crate) shown: Vec<String>,
}

/// A refusal as servers make them.
pub(crate) fn refusal(reason: Reason) -> Status {
    let details =
        ErrorDetails::with_error_info(reason.as_str(), "reelway.dev", [("key".to_owned(), "value".to_owned())]);
    Status::with_error_details(Code::from(reason.grpc_code() as i32), "refused by the test", details)
}

/// The upload as it is created.
pub(crate) fn upload(size_bytes: usize) -> v1::Upload {
    let size_bytes = Some(i64::try_from(size_bytes).expect("a small file"));
    v1::Upload {
        id: UPLOAD_ID.to_owned(),
        state: v1::UploadState::Receiving.into(),
        size_bytes,
        ..Default::default()
    }
}

/// A server in a runtime of its own, so that it can be killed with all its connections.
pub(crate) struct TestServer {
    pub(crate) address: SocketAddr,
    shared: Arc<Mutex<Shared>>,
    runtime: Option<Runtime>,
}

impl TestServer {
    pub(crate) fn start() -> Self {
        let mut server = Self {
            address: (Ipv4Addr::LOCALHOST, 0).into(),
            shared: Arc::default(),
            runtime: None,
        };
        server.restart();
        server
    }

    /// Another server of the same deployment.
    pub(crate) fn beside(other: &Self) -> Self {
        let mut server = Self {
            address: (Ipv4Addr::LOCALHOST, 0).into(),
            shared: Arc::clone(&other.shared),
            runtime: None,
        };
        server.restart();
        server
    }

    /// Cuts all connections and listens again at the same address.
    pub(crate) fn restart(&mut self) {
        self.kill();
        let runtime = Runtime::new().expect("a runtime");
        let listener = std::net::TcpListener::bind(self.address).expect("a free port");
        listener.set_nonblocking(true).expect("a socket");
        self.address = listener.local_addr().expect("an address");
        let service = Service(Arc::clone(&self.shared));
        let shared = Arc::clone(&self.shared);
        let see = move |request: Request<()>| {
            let trace = request
                .metadata()
                .get("traceparent")
                .and_then(|trace| trace.to_str().ok());
            let mut shared = shared.lock().expect("no test has panicked with it");
            shared.traces.extend(trace.map(str::to_owned));
            let shown = request.metadata().get("authorization");
            shared
                .shown
                .extend(shown.and_then(|text| text.to_str().ok()).map(str::to_owned));
            Ok(request)
        };
        runtime.spawn(async move {
            let listener = TcpListener::from_std(listener).expect("a listener");
            Server::builder()
                .add_service(UploadServiceServer::with_interceptor(service.clone(), see.clone()))
                .add_service(ProgressServiceServer::with_interceptor(service, see))
                .serve_with_incoming(TcpIncoming::from(listener).with_nodelay(Some(true)))
                .await
        });
        self.runtime = Some(runtime);
    }

    pub(crate) fn kill(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            // On a thread of its own: a runtime can't be waited for from within another.
            let down = std::thread::spawn(|| runtime.shutdown_timeout(Duration::from_secs(10)));
            down.join().expect("the runtime is down");
        }
    }

    pub(crate) fn shared(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().expect("no test has panicked with it")
    }

    pub(crate) fn client(&self) -> Client {
        Self::client_of(&[self])
    }

    /// Retries that don't keep a test waiting.
    pub(crate) fn policy() -> RetryPolicy {
        RetryPolicy {
            pause_first: Duration::from_millis(1),
            pause_max: Duration::from_millis(50),
            retries_max: 3,
        }
    }

    /// A client that knows all of these servers.
    pub(crate) fn client_of(servers: &[&Self]) -> Client {
        let urls: Vec<String> = servers
            .iter()
            .map(|server| format!("http://{}", server.address))
            .collect();
        Client::connect(&Endpoints::single(&urls.join(",")))
            .expect("a client")
            .with_policy(Self::policy())
    }
}

impl Drop for TestServer {
    fn drop(&mut self) {
        self.kill();
    }
}

#[derive(Clone)]
struct Service(Arc<Mutex<Shared>>);

impl Service {
    fn shared(&self) -> MutexGuard<'_, Shared> {
        self.0.lock().expect("no test has panicked with it")
    }

    fn answer(&self) -> v1::StreamUploadResponse {
        let shared = self.shared();
        let state = if shared.finished {
            v1::UploadState::Complete
        } else {
            v1::UploadState::Receiving
        };
        let durable_offset = i64::try_from(shared.stored.len()).expect("a small file");
        let upload = v1::Upload {
            id: UPLOAD_ID.to_owned(),
            state: state.into(),
            durable_offset,
            ..Default::default()
        };
        v1::StreamUploadResponse {
            durable_offset,
            upload: Some(upload),
        }
    }

    /// Takes a chunk in, if the fault's turn has not come.
    fn store(&self, chunk: &v1::UploadChunk, left: &mut Option<(usize, Status)>) -> Result<(), Status> {
        let mut shared = self.shared();
        if chunk.crc32c.is_some_and(|sum| sum != crc32c::crc32c(&chunk.data)) {
            return Err(refusal(Reason::ChunkChecksumMismatch));
        }
        if usize::try_from(chunk.offset) != Ok(shared.stored.len()) {
            return Err(refusal(Reason::OffsetMismatch));
        }
        if let Some((bytes, status)) = left {
            let kept = chunk.data.len().min(*bytes);
            *bytes -= kept;
            if kept < chunk.data.len() {
                // A part of the chunk, so that the client has to go on in its middle.
                shared.stored.extend_from_slice(&chunk.data[..kept]);
                return Err(status.clone());
            }
        }
        shared.stored.extend_from_slice(&chunk.data);
        shared.finished |= chunk.finish;
        Ok(())
    }

    async fn run(
        self,
        mut requests: Streaming<v1::StreamUploadRequest>,
        answers: &mpsc::Sender<Result<v1::StreamUploadResponse, Status>>,
    ) -> Result<(), Status> {
        let (mut fault, is_lazy, mut acknowledged) = {
            let mut shared = self.shared();
            shared.streams += 1;
            (shared.faults.pop_front(), shared.is_lazy, shared.stored.len())
        };
        while let Some(request) = requests.next().await {
            let chunk = request?.chunk.ok_or_else(|| refusal(Reason::FieldInvalid))?;
            self.store(&chunk, &mut fault)?;
            if !is_lazy || chunk.flush || chunk.finish {
                acknowledged = self.shared().stored.len();
                let _ = answers.send(Ok(self.answer())).await;
            }
            let mut shared = self.shared();
            shared.unacknowledged_max = shared.unacknowledged_max.max(shared.stored.len() - acknowledged);
        }
        Ok(())
    }
}

/// The calls that no test of faults makes, written as `async_trait` writes them: it doesn't look into macros.
macro_rules! refused {
    ($($name:ident($request:ty) -> $response:ident;)+) => {
        $(
            fn $name<'a, 'b>(&'a self, _: Request<$request>) -> Answer<'b, v1::$response>
            where
                'a: 'b,
                Self: 'b,
            {
                Box::pin(std::future::ready(Err(refusal(Reason::FeatureUnavailable))))
            }
        )+
    };
}

type Answer<'a, T> = Pin<Box<dyn Future<Output = Result<Response<T>, Status>> + Send + 'a>>;

#[tonic::async_trait]
impl UploadService for Service {
    type StreamUploadStream = ReceiverStream<Result<v1::StreamUploadResponse, Status>>;

    async fn stream_upload(
        &self,
        request: Request<Streaming<v1::StreamUploadRequest>>,
    ) -> Result<Response<Self::StreamUploadStream>, Status> {
        let (sender, answers) = mpsc::channel(4);
        let service = self.clone();
        tokio::spawn(async move {
            if let Err(status) = service.run(request.into_inner(), &sender).await {
                let _ = sender.send(Err(status)).await;
            }
        });
        Ok(Response::new(ReceiverStream::new(answers)))
    }

    async fn get_upload(&self, _: Request<v1::GetUploadRequest>) -> Result<Response<v1::GetUploadResponse>, Status> {
        Ok(Response::new(v1::GetUploadResponse {
            upload: self.answer().upload,
        }))
    }

    refused! {
        create_upload(v1::CreateUploadRequest) -> CreateUploadResponse;
        write_upload(Streaming<v1::WriteUploadRequest>) -> WriteUploadResponse;
        put_upload_tail(Streaming<v1::PutUploadTailRequest>) -> PutUploadTailResponse;
        list_uploads(v1::ListUploadsRequest) -> ListUploadsResponse;
        complete_upload(v1::CompleteUploadRequest) -> CompleteUploadResponse;
        abort_upload(v1::AbortUploadRequest) -> AbortUploadResponse;
        create_upload_grant(v1::CreateUploadGrantRequest) -> CreateUploadGrantResponse;
        create_upload_parts(v1::CreateUploadPartsRequest) -> CreateUploadPartsResponse;
        report_upload_parts(v1::ReportUploadPartsRequest) -> ReportUploadPartsResponse;
    }
}

#[tonic::async_trait]
impl ProgressService for Service {
    type WatchProgressStream = tokio_stream::Iter<std::vec::IntoIter<Result<v1::WatchProgressResponse, Status>>>;

    async fn watch_progress(
        &self,
        request: Request<v1::WatchProgressRequest>,
    ) -> Result<Response<Self::WatchProgressStream>, Status> {
        let mut shared = self.shared();
        shared.tokens.push(request.into_inner().resume_token);
        let answers = shared.watches.pop_front().ok_or_else(|| refusal(Reason::JobNotFound))?;
        Ok(Response::new(tokio_stream::iter(answers)))
    }

    refused! {
        get_progress(v1::GetProgressRequest) -> GetProgressResponse;
    }
}
