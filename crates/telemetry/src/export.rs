//! Sending spans to a collector.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use opentelemetry::{Array, KeyValue, StringValue, Value};
use opentelemetry_otlp::{WithExportConfig as _, WithTonicConfig as _, tonic_types::transport::ClientTlsConfig};
use opentelemetry_sdk::{
    Resource,
    error::OTelSdkResult,
    trace::{BatchConfigBuilder, BatchSpanProcessor, Sampler, SdkTracerProvider, SpanData, SpanExporter},
};
use uuid::Uuid;

use crate::InitError;

/// Spans that wait for the collector; further ones are dropped.
const SPANS_WAITING_MAX: usize = 8192;
/// Spans that are sent at a time.
const BATCH_SPANS_MAX: usize = 512;
/// How long a span waits for others to be sent with, at most.
const SEND_EVERY: Duration = Duration::from_secs(1);
/// A batch that the collector has not taken within this time is lost.
const SEND_MAX: Duration = Duration::from_secs(5);

/// Where spans go, and what they say about this process.
#[derive(Debug, Clone, PartialEq)]
pub struct Collector {
    /// An OTLP collector's gRPC address, for example `http://127.0.0.1:4317`.
    pub endpoint: String,
    /// The share of the traces that begin here which is recorded, 0 to 1. Traces of a caller are recorded if it says so.
    pub ratio: f64,
    /// This program's version.
    pub version: &'static str,
    /// What this process does.
    pub roles: Vec<String>,
}

/// A provider of tracers that sends to the collector.
pub(crate) fn provider(collector: &Collector) -> Result<SdkTracerProvider, InitError> {
    let is_secure = collector.endpoint.starts_with("https://");
    if !is_secure && !collector.endpoint.starts_with("http://") {
        return Err(InitError::Address(collector.endpoint.clone()));
    }
    let mut exporter = opentelemetry_otlp::SpanExporter::builder()
        .with_tonic()
        .with_endpoint(&collector.endpoint)
        .with_timeout(SEND_MAX);
    if is_secure {
        exporter = exporter.with_tls_config(ClientTlsConfig::new().with_enabled_roots());
    }
    let exporter = Watched {
        inner: exporter.build()?,
        is_failing: AtomicBool::new(false),
    };
    let batches = BatchConfigBuilder::default()
        .with_max_queue_size(SPANS_WAITING_MAX)
        .with_max_export_batch_size(BATCH_SPANS_MAX)
        .with_scheduled_delay(SEND_EVERY)
        .build();
    let processor = BatchSpanProcessor::builder(exporter).with_batch_config(batches).build();
    let sampler = Sampler::ParentBased(Box::new(Sampler::TraceIdRatioBased(collector.ratio)));
    Ok(SdkTracerProvider::builder()
        .with_span_processor(processor)
        .with_sampler(sampler)
        .with_resource(resource(collector))
        .build())
}

fn resource(collector: &Collector) -> Resource {
    let roles = collector
        .roles
        .iter()
        .map(|role| StringValue::from(role.clone()))
        .collect();
    Resource::builder()
        .with_service_name("reelway")
        .with_attributes([
            KeyValue::new("service.version", collector.version),
            KeyValue::new("service.instance.id", Uuid::new_v4().to_string()),
            KeyValue::new("reelway.roles", Value::Array(Array::String(roles))),
        ])
        .build()
}

/// An exporter that says when it begins to fail and when it works again, and counts.
#[derive(Debug)]
struct Watched {
    inner: opentelemetry_otlp::SpanExporter,
    is_failing: AtomicBool,
}

impl SpanExporter for Watched {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let count = batch.len() as u64;
        let result = self.inner.export(batch).await;
        let was_failing = self.is_failing.swap(result.is_err(), Ordering::Relaxed);
        match &result {
            Ok(()) => {
                metrics::counter!("reelway_spans_exported_total").increment(count);
                if was_failing {
                    tracing::info!("the collector takes traces again");
                }
            }
            Err(error) => {
                metrics::counter!("reelway_spans_lost_total").increment(count);
                if !was_failing {
                    tracing::warn!(%error, "the collector does not take traces");
                }
            }
        }
        result
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.inner.shutdown_with_timeout(timeout)
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.inner.force_flush()
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.inner.set_resource(resource);
    }
}
