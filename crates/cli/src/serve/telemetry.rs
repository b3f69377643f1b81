//! Logs and metrics of a node.

use std::io::{self, IsTerminal as _};

use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use tracing_subscriber::{EnvFilter, fmt, layer::SubscriberExt as _, util::SubscriberInitExt as _};

use crate::{config::ServeConfig, error::CliError, serve_args::LogFormat};

/// Bounds of the histograms, in seconds: from a commit on a fast disk to a long encode.
const SECONDS: [f64; 14] = [
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 15.0, 60.0, 300.0,
];

/// Starts logging to standard error and collecting metrics.
///
/// # Errors
/// If the log filter can't be understood.
pub(super) fn start(config: &ServeConfig) -> Result<PrometheusHandle, CliError> {
    let filter =
        EnvFilter::try_new(&config.log).map_err(|error| CliError::usage(format!("--log {:?}: {error}", config.log)))?;
    let json = match config.log_format {
        LogFormat::Json => true,
        LogFormat::Human => false,
        LogFormat::Auto => !io::stderr().is_terminal(),
    };
    let registry = tracing_subscriber::registry().with(filter);
    let started = if json {
        registry
            .with(fmt::layer().json().flatten_event(true).with_writer(io::stderr))
            .try_init()
    } else {
        registry
            .with(
                fmt::layer()
                    .with_ansi(io::stderr().is_terminal())
                    .with_writer(io::stderr),
            )
            .try_init()
    };
    let failed = |error: &dyn std::fmt::Display| CliError::failed("TELEMETRY", format!("logs or metrics: {error}"));
    started.map_err(|error| failed(&error))?;
    let metrics = PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &SECONDS)
        .and_then(PrometheusBuilder::install_recorder)
        .map_err(|error| failed(&error))?;
    metrics::gauge!("reelway_build_info", "version" => env!("CARGO_PKG_VERSION")).set(1.0);
    Ok(metrics)
}
