//! Trace contexts in and out of spans.

use std::borrow::Cow;

use http::{HeaderMap, HeaderName, HeaderValue};
use opentelemetry::{
    Context,
    trace::{SpanContext, SpanId, TraceContextExt as _, TraceFlags, TraceId, TraceState},
};
use opentelemetry_sdk::trace::{IdGenerator as _, RandomIdGenerator};
use reelway_domain::TraceContext;
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt as _;

/// The header of a trace context, also as gRPC metadata.
const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
/// The length of a `traceparent` of version 00, with which those of later versions begin.
const TRACEPARENT_BYTES: usize = 55;

/// The context of the span that is entered now; none outside of any trace. Rows and hints keep it.
#[must_use]
pub fn current() -> Option<TraceContext> {
    // Entering a tracing span enters its OpenTelemetry context too.
    to_domain(Context::current().span().span_context())
}

/// A sampled context of a new trace, for a caller that records no spans itself.
#[must_use]
pub fn new_trace() -> TraceContext {
    loop {
        let ids = RandomIdGenerator::default();
        let context = SpanContext::new(
            ids.new_trace_id(),
            ids.new_span_id(),
            TraceFlags::SAMPLED,
            false,
            TraceState::NONE,
        );
        // An id of zeroes is none. It comes once in 2^64 times.
        if let Some(context) = to_domain(&context) {
            return context;
        }
    }
}

/// Makes the span a child of a context that came with a row or a bus entry. The span must not have been entered yet.
pub fn continue_from(span: &Span, trace: Option<&TraceContext>) {
    if let Some(parent) = trace.and_then(from_domain) {
        // Fails for a span that nobody records.
        let _ = span.set_parent(Context::new().with_remote_span_context(parent));
    }
}

/// Makes the span a child of its caller's, if the headers name one. The span must not have been entered yet.
pub fn continue_from_headers(span: &Span, headers: &HeaderMap) {
    continue_from(span, extract(headers).as_ref());
}

/// Says that the span has to do with another trace; with its own it does anyway.
pub fn link(span: &Span, trace: &TraceContext) {
    if let Some(other) = from_domain(trace)
        && span.context().span().span_context().trace_id() != other.trace_id()
    {
        span.add_link(other);
    }
}

/// [`link`]s the span that is entered now, if there is something to link.
pub fn link_current(trace: Option<&TraceContext>) {
    if let Some(trace) = trace {
        link(&Span::current(), trace);
    }
}

/// Sends the current context along.
pub fn inject(headers: &mut HeaderMap) {
    if let Some(value) = current().and_then(|trace| HeaderValue::from_str(trace.as_str()).ok()) {
        headers.insert(TRACEPARENT, value);
    }
}

/// The caller's context. A header that can't be understood is none (<https://www.w3.org/TR/trace-context/#versioning-of-traceparent>).
fn extract(headers: &HeaderMap) -> Option<TraceContext> {
    let mut values = headers.get_all(TRACEPARENT).iter();
    let (Some(value), None) = (values.next(), values.next()) else {
        return None;
    };
    let text = value.to_str().ok()?;
    let text = match text.get(..2)? {
        "00" => Cow::Borrowed(text),
        "ff" => return None,
        // Later versions only add to the end.
        _ if matches!(text.as_bytes().get(TRACEPARENT_BYTES), None | Some(b'-')) => {
            Cow::Owned(format!("00{}", text.get(2..TRACEPARENT_BYTES)?))
        }
        _ => return None,
    };
    text.parse().ok()
}

fn to_domain(context: &SpanContext) -> Option<TraceContext> {
    let flags = context.trace_flags() & TraceFlags::SAMPLED;
    let text = format!("00-{}-{}-{flags:02x}", context.trace_id(), context.span_id());
    // An id of zeroes, which means that there is no context, is refused here.
    text.parse().ok()
}

fn from_domain(trace: &TraceContext) -> Option<SpanContext> {
    let mut fields = trace.as_str().split('-').skip(1);
    let trace_id = TraceId::from_hex(fields.next()?).ok()?;
    let span_id = SpanId::from_hex(fields.next()?).ok()?;
    let flags = TraceFlags::new(u8::from_str_radix(fields.next()?, 16).ok()?) & TraceFlags::SAMPLED;
    Some(SpanContext::new(trace_id, span_id, flags, true, TraceState::NONE))
}

#[cfg(test)]
mod tests {
    use tracing::info_span;

    use super::*;
    use crate::testing::{recording, unrecorded};

    const CALLER: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    fn headers(values: &[&str]) -> HeaderMap {
        let pair = |value: &&str| (TRACEPARENT, HeaderValue::from_str(value).unwrap());
        values.iter().map(pair).collect()
    }

    #[test]
    fn a_span_goes_on_where_its_caller_is() {
        let spans = recording(|| {
            let span = info_span!("call");
            continue_from_headers(&span, &headers(&[CALLER]));
            let inside = span.in_scope(|| {
                let mut onward = HeaderMap::new();
                inject(&mut onward);
                let inside = current().unwrap();
                assert_eq!(extract(&onward).as_ref(), Some(&inside));
                inside
            });
            assert_eq!(inside.trace_id(), "0af7651916cd43dd8448eb211c80319c");
            assert_ne!(inside.as_str(), CALLER, "the span is not its parent");
        });
        assert_eq!(spans[0].parent_span_id.to_string(), "b7ad6b7169203331");
    }

    #[test]
    fn without_a_collector_the_callers_context_is_passed_on_as_it_came() {
        unrecorded(|| {
            let span = info_span!("call");
            continue_from_headers(&span, &headers(&[CALLER]));
            let inner = span.in_scope(|| info_span!("inner"));
            assert_eq!(inner.in_scope(current).unwrap().as_str(), CALLER);
            assert_eq!(info_span!("of nobody").in_scope(current), None);
        });
    }

    #[test]
    fn what_the_caller_does_not_record_is_not_recorded() {
        let spans = recording(|| {
            let span = info_span!("call");
            continue_from_headers(&span, &headers(&[&CALLER.replace("-01", "-00")]));
            assert!(span.in_scope(current).unwrap().as_str().ends_with("-00"));
        });
        assert!(spans.is_empty(), "{spans:?}");
    }

    #[test]
    fn links_lead_to_other_traces_only() {
        let other = new_trace();
        let spans = recording(|| {
            let span = info_span!("watch");
            let _entered = span.enter();
            link_current(Some(&other));
            link_current(current().as_ref());
            link_current(None);
        });
        let linked: Vec<String> = spans[0]
            .links
            .iter()
            .map(|link| link.span_context.trace_id().to_string())
            .collect();
        assert_eq!(linked, [other.trace_id()]);
    }

    #[test]
    fn headers_that_cannot_be_understood_are_none() {
        let later = CALLER.replacen("00", "01", 1);
        for good in [CALLER.to_owned(), later.clone(), format!("{later}-more")] {
            assert_eq!(extract(&headers(&[&good])).unwrap().as_str(), CALLER, "{good}");
        }
        let twice = [CALLER, CALLER];
        let wrong = [
            String::new(),
            "0".to_owned(),
            CALLER[..54].to_owned(),
            format!("{CALLER}-more"),
            format!("{later}more"),
            CALLER.replacen("00", "ff", 1),
            CALLER.replacen("0af7", "0AF7", 1),
        ];
        for wrong in wrong.iter().map(|wrong| vec![wrong.as_str()]).chain([twice.to_vec()]) {
            assert_eq!(extract(&headers(&wrong)), None, "{wrong:?}");
        }
    }
}
