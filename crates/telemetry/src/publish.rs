//! Spans of what is put on the bus.

use std::fmt::Display;

use reelway_domain::{Hint, Notice};
use tracing::{Span, field::Empty, info_span};

use crate::continue_from;

/// Publishes, with a producer span for each notice that belongs to a trace.
///
/// # Errors
/// Those of `publish`.
pub async fn publishing<T, E: Display>(
    notices: &[Notice],
    publish: impl Future<Output = Result<T, E>>,
) -> Result<T, E> {
    let spans: Vec<Span> = notices.iter().filter_map(producer).collect();
    let result = publish.await;
    if let Err(error) = &result {
        for span in spans {
            span.record("otel.status_code", "ERROR");
            span.record("otel.status_description", error.to_string());
        }
    }
    result
}

fn producer(notice: &Notice) -> Option<Span> {
    let trace = notice.trace.as_ref()?;
    let destination = match notice.hint {
        Hint::Tasks { .. } => "tasks",
        Hint::Events { .. } => "events",
        Hint::Upload { .. } => "uploads",
        Hint::Writer { .. } | Hint::WriterAsked { .. } => "writers",
    };
    let span = info_span!(
        "publish",
        otel.name = format!("publish {destination}"),
        otel.kind = "producer",
        otel.status_code = Empty,
        otel.status_description = Empty,
        messaging.system = "reelway",
        messaging.operation.name = "publish",
        messaging.operation.r#type = "send",
        messaging.destination.name = destination,
    );
    continue_from(&span, Some(trace));
    Some(span)
}

#[cfg(test)]
mod tests {
    use opentelemetry::trace::{SpanKind, Status};

    use super::*;
    use crate::{new_trace, testing::recording};

    #[test]
    fn each_notice_of_a_trace_has_a_span_in_it() {
        let trace = new_trace();
        let traced = Notice {
            hint: Hint::Tasks { count: 1 },
            trace: Some(trace.clone()),
        };
        let notices = [traced, Hint::Tasks { count: 2 }.into()];
        let spans = recording(|| {
            let published = publishing(&notices, std::future::ready(Err::<(), _>("the bus is away")));
            assert!(now(published).is_err());
        });
        let [span] = &spans[..] else { panic!("{spans:?}") };
        assert_eq!((&*span.name, &span.span_kind), ("publish tasks", &SpanKind::Producer));
        assert!(
            trace
                .as_str()
                .contains(&format!("{}-{}", span.span_context.trace_id(), span.parent_span_id))
        );
        assert_eq!(span.status, Status::error("the bus is away"));
    }

    /// The output of a future that waits for nothing.
    fn now<T>(future: impl Future<Output = T>) -> T {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(future)
    }
}
