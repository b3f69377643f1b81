//! What tests of spans and log lines stand on.

use std::{
    io,
    sync::{Arc, Mutex, PoisonError},
};

use opentelemetry_sdk::trace::{InMemorySpanExporter, SdkTracerProvider, SpanData};
use tracing_subscriber::{layer::SubscriberExt as _, registry};

use crate::init::{json_lines, spans};

/// Runs a piece of code with a collector, and gives the spans that it got.
pub(crate) fn recording(code: impl FnOnce()) -> Vec<SpanData> {
    let exporter = InMemorySpanExporter::default();
    let provider = provider(&exporter);
    tracing::subscriber::with_default(registry().with(spans(Some(&provider))), code);
    exporter.get_finished_spans().unwrap()
}

/// Runs a piece of code without a collector.
pub(crate) fn unrecorded(code: impl FnOnce()) {
    tracing::subscriber::with_default(registry().with(spans(None)), code);
}

/// Runs a piece of code with a collector, and gives the lines that it logged.
pub(crate) fn logged(code: impl FnOnce()) -> Vec<String> {
    let written = Written::default();
    let provider = provider(&InMemorySpanExporter::default());
    let writer = written.clone();
    let lines = json_lines(move || writer.clone());
    tracing::subscriber::with_default(registry().with(spans(Some(&provider))).with(lines), code);
    let written = written.0.lock().unwrap();
    String::from_utf8_lossy(&written).lines().map(str::to_owned).collect()
}

fn provider(exporter: &InMemorySpanExporter) -> SdkTracerProvider {
    SdkTracerProvider::builder()
        .with_simple_exporter(exporter.clone())
        .build()
}

#[derive(Clone, Default)]
struct Written(Arc<Mutex<Vec<u8>>>);

impl io::Write for Written {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
