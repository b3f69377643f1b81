//! The span of an attempt, in the trace of its job.

use reelway_catalog::Claim;
use tracing::{Span, field::Empty, info_span};

/// The span of an attempt at a claimed task, named as OpenTelemetry's conventions for messaging say.
pub(crate) fn span(Claim { task, job, .. }: &Claim) -> Span {
    let span = info_span!(
        "process",
        otel.name = format!("process {}", task.kind),
        otel.kind = "consumer",
        otel.status_code = Empty,
        messaging.system = "reelway",
        messaging.operation.name = "process",
        messaging.operation.r#type = "process",
        messaging.destination.name = "tasks",
        reelway.job.id = %job.id,
        reelway.task.id = %task.id,
        reelway.task.index = task.index,
        reelway.task.attempt = task.attempt,
        reelway.task.outcome = Empty,
    );
    reelway_telemetry::continue_from(&span, job.trace.as_ref());
    span
}

/// Says how the attempt that runs now ended.
pub(crate) fn ended(outcome: &'static str, is_failure: bool) {
    let span = Span::current();
    span.record("reelway.task.outcome", outcome);
    if is_failure {
        span.record("otel.status_code", "ERROR");
    }
}
