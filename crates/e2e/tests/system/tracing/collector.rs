//! A small OTLP collector: what the servers send over gRPC is kept.

use std::{
    collections::BTreeSet,
    net::{Ipv4Addr, SocketAddr},
    sync::{Arc, Mutex},
};

use opentelemetry_proto::tonic::{
    collector::trace::v1::{
        ExportTraceServiceRequest, ExportTraceServiceResponse,
        trace_service_server::{TraceService, TraceServiceServer},
    },
    common::v1::{AnyValue, KeyValue, any_value::Value},
    trace::v1::{Span, span::SpanKind},
};
use tokio::{net::TcpListener, task::JoinHandle};
use tonic::{
    Request, Response, Status,
    transport::{Server, server::TcpIncoming},
};

/// A running collector. Dropping it ends it.
pub(crate) struct Collector {
    address: SocketAddr,
    kept: Kept,
    serving: JoinHandle<Result<(), tonic::transport::Error>>,
}

/// One span and who sent it.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    /// The roles of the process.
    pub(crate) roles: Vec<String>,
    span: Span,
}

#[derive(Clone, Default)]
struct Kept(Arc<Mutex<Vec<Seen>>>);

impl Collector {
    /// Starts a collector on a free port.
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a free port");
        let address = listener.local_addr().expect("an address");
        let kept = Kept::default();
        let server = Server::builder().add_service(TraceServiceServer::new(kept.clone()));
        Self {
            address,
            kept,
            serving: tokio::spawn(server.serve_with_incoming(TcpIncoming::from(listener))),
        }
    }

    /// Where it listens.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// All spans so far.
    pub(crate) fn spans(&self) -> Vec<Seen> {
        self.kept.0.lock().expect("nobody panicked with it").clone()
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

#[tonic::async_trait]
impl TraceService for Kept {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        let mut kept = self.0.lock().expect("nobody panicked with it");
        for of_process in request.into_inner().resource_spans {
            let resource = of_process.resource.unwrap_or_default().attributes;
            assert_eq!(text(&resource, "service.name").as_deref(), Some("reelway"));
            assert!(text(&resource, "service.version").is_some() && text(&resource, "service.instance.id").is_some());
            let roles = texts(&resource, "reelway.roles");
            let spans = of_process.scope_spans.into_iter().flat_map(|scope| scope.spans);
            kept.extend(spans.map(|span| Seen {
                roles: roles.clone(),
                span,
            }));
        }
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

impl Seen {
    pub(crate) fn name(&self) -> &str {
        &self.span.name
    }

    pub(crate) fn trace(&self) -> String {
        hex(&self.span.trace_id)
    }

    pub(crate) fn id(&self) -> String {
        hex(&self.span.span_id)
    }

    pub(crate) fn parent(&self) -> String {
        hex(&self.span.parent_span_id)
    }

    pub(crate) fn kind(&self) -> SpanKind {
        self.span.kind()
    }

    /// Whether it lasted from before the other's beginning until after it.
    pub(crate) fn outlasts(&self, other: &Self) -> bool {
        self.span.start_time_unix_nano <= other.span.start_time_unix_nano
            && other.span.start_time_unix_nano <= self.span.end_time_unix_nano
    }

    /// An attribute that is text.
    pub(crate) fn text(&self, key: &str) -> Option<String> {
        text(&self.span.attributes, key)
    }

    /// The traces that it is linked to.
    pub(crate) fn links(&self) -> BTreeSet<String> {
        self.span.links.iter().map(|link| hex(&link.trace_id)).collect()
    }
}

fn value<'a>(attributes: &'a [KeyValue], key: &str) -> Option<&'a Value> {
    let attribute = attributes.iter().find(|attribute| attribute.key == key)?;
    attribute.value.as_ref()?.value.as_ref()
}

fn text(attributes: &[KeyValue], key: &str) -> Option<String> {
    match value(attributes, key) {
        Some(Value::StringValue(text)) => Some(text.clone()),
        _ => None,
    }
}

fn texts(attributes: &[KeyValue], key: &str) -> Vec<String> {
    let Some(Value::ArrayValue(array)) = value(attributes, key) else {
        return Vec::new();
    };
    let text = |value: &AnyValue| match &value.value {
        Some(Value::StringValue(text)) => Some(text.clone()),
        _ => None,
    };
    array.values.iter().filter_map(text).collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
