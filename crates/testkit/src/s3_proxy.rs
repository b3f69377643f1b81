//! The way to an S3 server: every call is counted, and can be made to fail as calls do.

use std::{
    collections::HashMap,
    io,
    net::{Ipv4Addr, SocketAddr},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use http_body_util::{BodyExt, Full, combinators::UnsyncBoxBody};
use hyper::{
    HeaderMap, Method, Request, Response, StatusCode,
    body::{Frame, Incoming, SizeHint},
    client::conn::http1 as client,
    server::conn::http1 as server,
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use tokio::{
    net::{TcpListener, TcpStream},
    task::{JoinHandle, JoinSet},
    time::sleep,
};

/// What a call is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum S3Call {
    /// A multipart upload is begun.
    Begin,
    /// A part is sent.
    Part,
    /// A part is copied from another object.
    PartCopy,
    /// A multipart upload is made one object.
    Complete,
    /// A multipart upload is given up.
    Abort,
    /// An object is stored.
    Put,
    /// An object is read.
    Get,
    /// An object is looked at.
    Head,
    /// An object is removed.
    Delete,
    /// Objects or multipart uploads are listed.
    List,
}

/// What happens to a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum S3Fault {
    /// The server says so, and does nothing.
    Answer(StatusCode),
    /// The connection breaks after so many bytes of what is sent.
    CutAfter(usize),
    /// The connection breaks after so many bytes of the answer's body.
    CutAnswerAfter(usize),
    /// The server does it, and the connection breaks before its answer.
    LostReply,
    /// It takes so long before anything happens.
    Late(Duration),
}

/// Given what a call is for, and the number of the part that it sends or copies.
type Faults = Box<dyn FnMut(S3Call, Option<u32>) -> Option<S3Fault> + Send>;

#[derive(Default)]
struct Seen {
    calls: Vec<(S3Call, HeaderMap)>,
    body_bytes: u64,
    /// How much was read of objects, by their paths.
    read_bytes: HashMap<String, u64>,
    faults: Option<Faults>,
}

/// A proxy on loopback before an S3 server. It lets everything through until it is told otherwise, and ends when it is dropped.
pub struct S3Proxy {
    address: SocketAddr,
    seen: Arc<Mutex<Seen>>,
    running: JoinHandle<()>,
}

impl S3Proxy {
    /// Starts one that forwards to `server`.
    pub async fn before(server: SocketAddr) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a port");
        let address = listener.local_addr().expect("it is bound");
        let seen = Arc::<Mutex<Seen>>::default();
        let running = tokio::spawn(accept(listener, server, Arc::clone(&seen)));
        Self { address, seen, running }
    }

    /// Its URL.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// From now on asks this for each call what happens to it; `None`: what should.
    pub fn breaks(&self, mut faults: impl FnMut(S3Call) -> Option<S3Fault> + Send + 'static) {
        lock(&self.seen).faults = Some(Box::new(move |call, _| faults(call)));
    }

    /// The same for parts alone, by their numbers: of several at once nobody knows which comes first.
    pub fn breaks_parts(&self, mut faults: impl FnMut(u32) -> Option<S3Fault> + Send + 'static) {
        lock(&self.seen).faults = Some(Box::new(move |_, number| number.and_then(&mut faults)));
    }

    /// Lets everything through again.
    pub fn restore(&self) {
        lock(&self.seen).faults = None;
    }

    /// The calls since the last time that this was asked.
    #[must_use]
    pub fn take_calls(&self) -> Vec<S3Call> {
        self.take_requests().into_iter().map(|(call, _)| call).collect()
    }

    /// The same, with what stood in each call's head.
    #[must_use]
    pub fn take_requests(&self) -> Vec<(S3Call, HeaderMap)> {
        std::mem::take(&mut lock(&self.seen).calls)
    }

    /// How many bytes went through here in bodies, both ways, since the last time that this was asked.
    #[must_use]
    pub fn take_body_bytes(&self) -> u64 {
        std::mem::take(&mut lock(&self.seen).body_bytes)
    }

    /// How many bytes of objects were read whose paths have this in them, since the last time that this was asked of any.
    #[must_use]
    pub fn take_read_bytes(&self, of: &str) -> u64 {
        let read = std::mem::take(&mut lock(&self.seen).read_bytes);
        read.iter()
            .filter(|(path, _)| path.contains(of))
            .map(|(_, bytes)| bytes)
            .sum()
    }
}

impl Drop for S3Proxy {
    fn drop(&mut self) {
        self.running.abort();
    }
}

fn lock(seen: &Mutex<Seen>) -> std::sync::MutexGuard<'_, Seen> {
    seen.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn accept(listener: TcpListener, to: SocketAddr, seen: Arc<Mutex<Seen>>) {
    // Dropped with this future, and the connections with it.
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        while connections.try_join_next().is_some() {}
        let seen = Arc::clone(&seen);
        connections.spawn(async move {
            let answer = service_fn(move |request| carried(request, to, Arc::clone(&seen)));
            // An error ends the connection without an answer, which is what is wanted of it.
            let _ = server::Builder::new()
                .serve_connection(TokioIo::new(stream), answer)
                .await;
        });
    }
}

type Answer = Response<UnsyncBoxBody<Bytes, io::Error>>;

/// One call.
async fn carried(request: Request<Incoming>, to: SocketAddr, seen: Arc<Mutex<Seen>>) -> io::Result<Answer> {
    let (call, number) = (call(&request), part_number(&request));
    let fault = {
        let mut seen = lock(&seen);
        seen.calls.push((call, request.headers().clone()));
        seen.faults.as_mut().and_then(|faults| faults(call, number))
    };
    let mut cut = None;
    match fault {
        Some(S3Fault::Answer(status)) => {
            // As a server does that says no early: what was sent is read all the same.
            let _ = request.into_body().collect().await;
            let code = match status {
                StatusCode::NOT_IMPLEMENTED => "NotImplemented",
                // As Amazon's: the server of the tests keeps a part that was put again, and takes the earlier one.
                StatusCode::BAD_REQUEST if call == S3Call::Complete => "InvalidPart",
                status if status.is_client_error() => "InvalidRequest",
                _ => "InternalError",
            };
            let body = Full::from(format!("<Error><Code>{code}</Code></Error>"));
            let mut answer = Response::new(body.map_err(|never| match never {}).boxed_unsync());
            *answer.status_mut() = status;
            return Ok(answer);
        }
        Some(S3Fault::Late(time)) => sleep(time).await,
        Some(S3Fault::CutAfter(bytes)) => cut = Some(bytes),
        Some(S3Fault::CutAnswerAfter(_) | S3Fault::LostReply) | None => {}
    }
    let (mut sender, connection) = client::handshake(TokioIo::new(TcpStream::connect(to).await?))
        .await
        .map_err(io::Error::other)?;
    let connection = tokio::spawn(connection);
    let read_of = (call == S3Call::Get).then(|| request.uri().path().to_owned());
    let cut_after = |left, read_of| {
        let seen = Arc::clone(&seen);
        move |body| Cut {
            body,
            left,
            read_of,
            seen,
        }
    };
    let request = request.map(cut_after(cut, None));
    let answer = sender.send_request(request).await.map_err(io::Error::other);
    if cut.is_some() {
        connection.abort();
        return Err(io::ErrorKind::ConnectionReset.into());
    }
    let answer = answer?;
    if fault == Some(S3Fault::LostReply) {
        answer.into_body().collect().await.map_err(io::Error::other)?;
        return Err(io::ErrorKind::ConnectionReset.into());
    }
    let left = match fault {
        Some(S3Fault::CutAnswerAfter(bytes)) => Some(bytes),
        _ => None,
    };
    Ok(answer.map(cut_after(left, read_of)).map(BodyExt::boxed_unsync))
}

/// A body that breaks after so many bytes.
struct Cut {
    body: Incoming,
    left: Option<usize>,
    /// The path of the object whose bytes these are.
    read_of: Option<String>,
    seen: Arc<Mutex<Seen>>,
}

impl hyper::body::Body for Cut {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: std::pin::Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        if self.left == Some(0) {
            return std::task::Poll::Ready(Some(Err(io::ErrorKind::ConnectionReset.into())));
        }
        let frame = std::task::ready!(std::pin::Pin::new(&mut self.body).poll_frame(cx));
        std::task::Poll::Ready(frame.map(|frame| {
            let mut frame = frame.map_err(io::Error::other)?;
            let bytes = frame.data_ref().map_or(0, |data| data.len() as u64);
            let mut seen = lock(&self.seen);
            seen.body_bytes += bytes;
            if let Some(path) = &self.read_of {
                *seen.read_bytes.entry(path.clone()).or_default() += bytes;
            }
            drop(seen);
            if let (Some(left), Some(data)) = (self.left.as_mut(), frame.data_mut()) {
                data.truncate(*left);
                *left -= data.len();
            }
            Ok(frame)
        }))
    }

    fn is_end_stream(&self) -> bool {
        self.left.is_none() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

fn part_number(request: &Request<Incoming>) -> Option<u32> {
    let mut pairs = request.uri().query()?.split('&');
    pairs.find_map(|pair| pair.strip_prefix("partNumber=")?.parse().ok())
}

fn call(request: &Request<Incoming>) -> S3Call {
    let query = request.uri().query().unwrap_or_default();
    let has = |name: &str| query.split('&').any(|pair| pair.split('=').next() == Some(name));
    match *request.method() {
        Method::PUT if has("partNumber") && request.headers().contains_key("x-amz-copy-source") => S3Call::PartCopy,
        Method::PUT if has("partNumber") => S3Call::Part,
        Method::PUT => S3Call::Put,
        Method::POST if has("uploads") => S3Call::Begin,
        Method::POST if has("uploadId") => S3Call::Complete,
        Method::DELETE if has("uploadId") => S3Call::Abort,
        Method::HEAD => S3Call::Head,
        Method::GET if has("list-type") || has("uploads") => S3Call::List,
        Method::GET => S3Call::Get,
        _ => S3Call::Delete,
    }
}
