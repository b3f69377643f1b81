//! Logs, traces and metrics of a process.

use std::{
    env,
    io::{self, IsTerminal as _},
};

use clap::ValueEnum as _;
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use reelway_media::Confinement;
use reelway_telemetry::{Collector, Guard, InitError, Settings};

use crate::{
    config::ServeConfig,
    error::CliError,
    serve_args::{LogFormat, Role},
};

/// Bounds of histograms of how many times as fast as playing something is.
const RATIOS: [f64; 9] = [0.1, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0];

/// Bounds of the histograms, in seconds: from a commit on a fast disk to a long job.
const SECONDS: [f64; 16] = [
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 15.0, 60.0, 300.0, 900.0, 3600.0,
];
/// The collector that all programs of a machine or a cluster share, as OpenTelemetry names it.
const OTEL_ENDPOINT: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";

/// What was started.
pub(super) struct Telemetry {
    /// What `/metrics` tells.
    pub(super) metrics: PrometheusHandle,
    /// To be shut down at the end, or the last spans are lost.
    pub(super) traces: Guard,
}

/// Starts logging to standard error, sending spans and collecting metrics.
///
/// # Errors
/// If the log filter or the collector's address can't be understood.
pub(super) fn start(config: &ServeConfig) -> Result<Telemetry, CliError> {
    let settings = Settings {
        log_filter: config.log.clone(),
        log_format: log_format(config.log_format),
        collector: collector(config),
    };
    let traces = reelway_telemetry::init(&settings).map_err(|error| match error {
        InitError::Filter(_) => CliError::usage(format!("--log {:?}: {error}", config.log)),
        InitError::Address(_) | InitError::Collector(_) => CliError::usage(format!("--otlp: {error}")),
        InitError::Twice(_) => CliError::failed("TELEMETRY", error),
    })?;
    let metrics = PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &SECONDS)
        .and_then(|builder| builder.set_buckets_for_metric(Matcher::Suffix("_ratio".to_owned()), &RATIOS))
        .and_then(PrometheusBuilder::install_recorder)
        .map_err(|error| CliError::failed("TELEMETRY", format!("metrics: {error}")))?;
    metrics::gauge!("reelway_build_info", "version" => env!("CARGO_PKG_VERSION")).set(1.0);
    for name in config.roles.iter().filter_map(Role::to_possible_value) {
        metrics::gauge!("reelway_role", "role" => name.get_name().to_owned()).set(1.0);
    }
    if config.roles.contains(&Role::Worker) {
        let sandbox = Confinement::of_this_kernel(config.media.sandbox);
        metrics::gauge!("reelway_sandbox_level").set(f64::from(sandbox.level()));
    }
    Ok(Telemetry { metrics, traces })
}

fn log_format(wanted: LogFormat) -> reelway_telemetry::LogFormat {
    match wanted {
        LogFormat::Human => reelway_telemetry::LogFormat::Human,
        LogFormat::Auto if io::stderr().is_terminal() => reelway_telemetry::LogFormat::Human,
        LogFormat::Auto | LogFormat::Json => reelway_telemetry::LogFormat::Json,
    }
}

fn collector(config: &ServeConfig) -> Option<Collector> {
    let shared = || env::var(OTEL_ENDPOINT).ok().filter(|endpoint| !endpoint.is_empty());
    let names = config.roles.iter().filter_map(Role::to_possible_value);
    Some(Collector {
        endpoint: config.otlp.clone().or_else(shared)?,
        ratio: config.trace_ratio,
        version: env!("CARGO_PKG_VERSION"),
        roles: names.map(|name| name.get_name().to_owned()).collect(),
    })
}
