//! Logs and traces of a process, started once.

use std::{
    io::{self, IsTerminal as _},
    time::Duration,
};

use opentelemetry::trace::TracerProvider as _;
use opentelemetry_sdk::trace::SdkTracerProvider;
use tracing::{Level, Metadata, Subscriber};
use tracing_subscriber::{
    EnvFilter, Layer, Registry,
    filter::{FilterExt as _, ParseError, Targets, filter_fn},
    fmt,
    layer::SubscriberExt as _,
    registry::LookupSpan,
    util::{SubscriberInitExt as _, TryInitError},
};

use crate::{
    export::{Collector, provider},
    json::JsonLines,
};

/// How long the last spans may take on their way to the collector.
const FLUSH_MAX: Duration = Duration::from_secs(3);

/// What to log and where to send spans.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// What is logged, for example `info` or `reelway_worker=debug,info`. Spans don't depend on it.
    pub log_filter: String,
    /// How log lines look.
    pub log_format: LogFormat,
    /// Where spans go; without it none is recorded.
    pub collector: Option<Collector>,
}

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// For people, in colours on a terminal.
    Human,
    /// One JSON object a line.
    Json,
}

/// Logs or traces could not be started.
#[derive(Debug, thiserror::Error)]
pub enum InitError {
    /// The filter of log lines can't be understood.
    #[error("the log filter: {0}")]
    Filter(#[from] ParseError),
    /// The collector's address is not one of HTTP/2, with or without TLS.
    #[error("the trace collector's address {0:?} must look like http://HOST:PORT or https://HOST:PORT")]
    Address(String),
    /// The collector's address can't be used.
    #[error("the trace collector: {0}")]
    Collector(#[from] opentelemetry_otlp::ExporterBuildError),
    /// Somebody has started it before.
    #[error("logs: {0}")]
    Twice(#[from] TryInitError),
}

/// Sends spans for as long as the process lives.
#[derive(Debug)]
#[must_use = "the last spans are lost without a shutdown"]
pub struct Guard {
    provider: Option<SdkTracerProvider>,
}

/// Starts logging to standard error, and sending spans if there is a collector. Nothing is connected before the first span.
///
/// # Errors
/// [`InitError`].
///
/// # Panics
/// With a collector, outside of a tokio runtime.
pub fn init(settings: &Settings) -> Result<Guard, InitError> {
    let filter = EnvFilter::try_new(&settings.log_filter)?;
    let provider = settings.collector.as_ref().map(provider).transpose()?;
    let lines = match settings.log_format {
        LogFormat::Json => json_lines(io::stderr).boxed(),
        LogFormat::Human => fmt::layer()
            .with_ansi(io::stderr().is_terminal())
            .with_writer(io::stderr)
            .boxed(),
    };
    // Spans are for the collector: in a line for people they would hide what it says.
    let events = filter_fn(|metadata: &Metadata<'_>| metadata.is_event());
    let lines = lines.with_filter(filter.and(events));
    tracing_subscriber::registry()
        .with(spans(provider.as_ref()))
        .with(lines)
        .try_init()?;
    Ok(Guard { provider })
}

impl Guard {
    /// Sends what is left, and waits for it within a bound.
    pub async fn shutdown(self) {
        let Some(provider) = self.provider else { return };
        let flush = move || provider.shutdown_with_timeout(FLUSH_MAX);
        // It blocks its thread, which may be the one that the connection needs.
        match tokio::task::spawn_blocking(flush).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!(%error, "the last spans were not sent"),
            Err(error) => tracing::warn!(%error, "the last spans were not sent"),
        }
    }
}

/// Log lines as JSON objects.
pub(crate) fn json_lines<S, W>(writer: W) -> impl Layer<S> + Send + Sync
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    W: for<'a> fmt::MakeWriter<'a> + Send + Sync + 'static,
{
    fmt::layer()
        .json()
        .event_format(JsonLines::default())
        .with_writer(writer)
}

/// The spans of Reelway's own code, and the log events within them. Without a provider they only carry the caller's context.
pub(crate) fn spans(provider: Option<&SdkTracerProvider>) -> impl Layer<Registry> + Send + Sync + use<> {
    let layer = tracing_opentelemetry::layer()
        .with_location(false)
        .with_threads(false)
        .with_target(false)
        .with_tracked_inactivity(false);
    let layer = match provider {
        Some(provider) => layer.with_tracer(provider.tracer("reelway")).boxed(),
        None => layer.boxed(),
    };
    layer.with_filter(Targets::new().with_target("reelway", Level::INFO))
}

#[cfg(test)]
mod tests {
    use std::{net::TcpListener, time::Instant};

    use tracing_subscriber::registry;

    use super::*;

    #[tokio::test]
    async fn a_silent_collector_holds_nobody_up() {
        let silent = TcpListener::bind("127.0.0.1:0").unwrap();
        let provider = provider(&Collector {
            endpoint: format!("http://{}", silent.local_addr().unwrap()),
            ratio: 1.0,
            version: "0",
            roles: Vec::new(),
        })
        .unwrap();
        tracing::subscriber::with_default(registry().with(spans(Some(&provider))), || {
            drop(tracing::info_span!("lost"));
        });
        let begun = Instant::now();
        Guard {
            provider: Some(provider),
        }
        .shutdown()
        .await;
        assert!(
            begun.elapsed() < FLUSH_MAX + Duration::from_secs(2),
            "{:?}",
            begun.elapsed()
        );
    }
}
