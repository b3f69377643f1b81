//! Times, counts and traces each call.

use std::{
    convert::Infallible,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Instant,
};

use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use http_body::{Body as HttpBody, Frame, SizeHint};
use tonic::{Code, Status, body::Body};
use tower::{Layer, Service};
use tracing::{Instrument as _, Span};

use super::{Methods, trace};

/// A histogram of how long calls took, from the request's headers to the status, in seconds.
const DURATION: &str = "reelway_rpc_server_duration_seconds";
/// The label of methods that no server has.
const UNKNOWN_METHOD: &str = "unknown";

/// Adds metrics and spans to a service.
#[derive(Debug, Clone)]
pub(super) struct RpcMetricsLayer {
    methods: Methods,
}

/// A service with metrics and spans.
#[derive(Debug, Clone)]
pub(super) struct RpcMetrics<S> {
    inner: S,
    methods: Methods,
}

impl RpcMetricsLayer {
    pub(super) fn new(methods: Methods) -> Self {
        Self { methods }
    }
}

impl<S> Layer<S> for RpcMetricsLayer {
    type Service = RpcMetrics<S>;

    fn layer(&self, inner: S) -> RpcMetrics<S> {
        RpcMetrics {
            inner,
            methods: Arc::clone(&self.methods),
        }
    }
}

impl<S> Service<Request<Body>> for RpcMetrics<S>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible>,
    S::Future: Send + 'static,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let method = self.methods.get(request.uri().path()).cloned();
        let span = method
            .as_deref()
            .map_or_else(Span::none, |method| trace::span(method, request.headers()));
        let answering = self.inner.call(request).instrument(span.clone());
        let mut call = Call {
            method: method.unwrap_or_else(|| UNKNOWN_METHOD.into()),
            begun: Instant::now(),
            code: None,
            span,
        };
        Box::pin(async move {
            let response = answering.await?;
            // A call that failed at once has its status in the headers and no body.
            call.see(response.headers());
            Ok(response.map(|body| Body::new(MeasuredBody { body, call })))
        })
    }
}

/// One call; records itself when it is over.
#[derive(Debug)]
struct Call {
    method: Arc<str>,
    begun: Instant,
    code: Option<Code>,
    span: Span,
}

impl Call {
    /// Looks for the call's status.
    fn see(&mut self, headers: &HeaderMap) {
        if let Some(status) = Status::from_header_map(headers) {
            self.code = Some(status.code());
        }
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        // Without a status nobody listened to the end: the client gave up or its connection broke.
        let code = self.code.unwrap_or(Code::Cancelled);
        trace::ended(&self.span, code);
        let labels = [
            ("method", metrics::SharedString::from(Arc::clone(&self.method))),
            ("code", code_label(code)),
        ];
        metrics::histogram!(DURATION, &labels).record(self.begun.elapsed().as_secs_f64());
    }
}

/// The code's name as in `NotFound`.
fn code_label(code: Code) -> metrics::SharedString {
    format!("{code:?}").into()
}

/// A response that looks for the status in its trailers.
struct MeasuredBody {
    body: Body,
    call: Call,
}

impl HttpBody for MeasuredBody {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let Self { body, call } = &mut *self;
        // The messages of a stream are made while they are asked for: inside the call's span too.
        let frame = ready!(call.span.in_scope(|| Pin::new(body).poll_frame(cx)));
        if let Some(trailers) = frame
            .as_ref()
            .and_then(|f| f.as_ref().ok())
            .and_then(Frame::trailers_ref)
        {
            call.see(trailers);
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
