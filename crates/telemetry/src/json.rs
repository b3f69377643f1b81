//! Log lines as JSON objects that name the trace they belong to.

use std::fmt;

use opentelemetry::{Context, trace::TraceContextExt as _};
use tracing::{Event, Subscriber};
use tracing_subscriber::{
    fmt::{
        FmtContext, FormatEvent, FormatFields,
        format::{Format, Json, Writer},
    },
    registry::LookupSpan,
};

/// One object a line: `timestamp`, `level`, `target`, the event's fields, and inside a sampled span its `trace_id` and
/// `span_id`.
pub(crate) struct JsonLines(Format<Json>);

impl Default for JsonLines {
    fn default() -> Self {
        // Spans go to the collector; a line has the fields of its event.
        let format = Format::default().json().flatten_event(true);
        Self(format.with_current_span(false).with_span_list(false))
    }
}

impl<S, N> FormatEvent<S, N> for JsonLines
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(&self, ctx: &FmtContext<'_, S, N>, mut writer: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        let context = Context::current();
        let span = context.span();
        let span = span.span_context();
        if !span.is_sampled() {
            return self.0.format_event(ctx, writer, event);
        }
        let mut line = String::new();
        self.0.format_event(ctx, Writer::new(&mut line), event)?;
        // The object is reopened for the two fields: the format has no place for them.
        let object = line.strip_suffix("}\n").ok_or(fmt::Error)?;
        let (trace_id, span_id) = (span.trace_id(), span.span_id());
        writeln!(writer, r#"{object},"trace_id":"{trace_id}","span_id":"{span_id}"}}"#)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;
    use tracing::info_span;

    use crate::{continue_from, new_trace, testing::logged};

    #[test]
    fn lines_name_the_trace_they_belong_to() {
        let trace = new_trace();
        let lines = logged(|| {
            tracing::info!(answer = 42, "outside");
            let span = info_span!("call", of = "a span");
            continue_from(&span, Some(&trace));
            span.in_scope(|| tracing::info!(answer = 43, "inside"));
        });
        let lines: Vec<Value> = lines.iter().map(|line| serde_json::from_str(line).unwrap()).collect();
        let [outside, inside] = &lines[..] else {
            panic!("{lines:?}")
        };
        assert_eq!((&outside["answer"], &outside["trace_id"]), (&42.into(), &Value::Null));
        assert_eq!((&inside["answer"], &inside["message"]), (&43.into(), &"inside".into()));
        assert_eq!(inside["trace_id"], trace.trace_id());
        assert_eq!(inside["span_id"].as_str().unwrap().len(), 16);
        assert_eq!(inside["of"], Value::Null, "the span's fields are not the line's");
    }
}
