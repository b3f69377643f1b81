//! From an HTTP request to the message of a call.

use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use http::{HeaderMap, header, request::Parts};
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use prost_reflect::{DynamicMessage, MessageDescriptor, ReflectMessage as _, Value};
use reelway_domain::{Failure, Reason};
use serde_json::{Map, Value as Json};
use tokio::time::timeout;

use super::{
    fields::{self, Violations},
    table::{Route, Verb},
};
use crate::caller::TOKEN_PARAMETER;

/// The longest body. No message that a route takes needs more, however it is escaped.
pub(super) const BODY_BYTES_MAX: usize = 256 << 10;
/// A body that takes longer to arrive is given up.
const BODY_TIME_MAX: Duration = Duration::from_secs(30);

/// The message that a request means.
///
/// # Errors
/// `FIELD_INVALID` with every field that is wrong; `CONTENT_TYPE_UNSUPPORTED`, `BODY_TOO_LARGE`, `BODY_MALFORMED` or `STREAM_IDLE` if
/// the body is no JSON object, or doesn't come.
pub(super) async fn read(
    route: &Route,
    descriptor: &MessageDescriptor,
    id: Option<&str>,
    head: &Parts,
    body: Body,
) -> Result<DynamicMessage, Failure> {
    let mut violations = Violations::default();
    let object = match route.verb {
        Verb::Get | Verb::Delete => parameters(route, descriptor, head.uri.query(), &mut violations),
        Verb::Post => {
            // The query of a call with a body says nothing but who calls.
            parameters(route, descriptor, head.uri.query(), &mut violations);
            object(&head.headers, descriptor, body).await?
        }
    };
    let mut message = violations.message(descriptor, &object, "");
    if let (Some(name), Some(id)) = (route.id, id) {
        set_id(&mut message, name, id, &mut violations);
    }
    match violations.into_vec() {
        none if none.is_empty() => Ok(message),
        some => Err(Failure::invalid(some)),
    }
}

/// The parameters of the query, as JSON would say the same.
fn parameters(
    route: &Route,
    descriptor: &MessageDescriptor,
    query: Option<&str>,
    violations: &mut Violations,
) -> Map<String, Json> {
    let mut object = Map::new();
    for (name, text) in url::form_urlencoded::parse(query.unwrap_or_default().as_bytes()) {
        if name == TOKEN_PARAMETER {
            continue;
        }
        let field = fields::field(descriptor, &name).filter(|field| route.query.contains(&field.name()));
        let Some(field) = field else {
            let known = route.query.iter().filter_map(|name| descriptor.get_field_by_name(name));
            violations.add(name, fields::unknown(known));
            continue;
        };
        let before = object.insert(field.json_name().to_owned(), Json::String(text.into_owned()));
        if before.is_some() {
            violations.add(field.name(), "is given more than once");
        }
    }
    object
}

/// The body, which is a JSON object. No body is an empty one.
async fn object(headers: &HeaderMap, descriptor: &MessageDescriptor, body: Body) -> Result<Map<String, Json>, Failure> {
    let body = bytes(body).await?;
    if body.is_empty() {
        return Ok(Map::new());
    }
    if !is_json(headers) {
        let message = "the body must be JSON in UTF-8 and say so: Content-Type: application/json";
        return Err(Failure::new(Reason::ContentTypeUnsupported, message));
    }
    match serde_json::from_slice(&body) {
        Ok(Json::Object(object)) => Ok(object),
        Ok(_) => {
            let message = format!("the body must be a JSON object, a {}", descriptor.full_name());
            Err(Failure::new(Reason::BodyMalformed, message))
        }
        Err(error) => {
            let failure = Failure::new(Reason::BodyMalformed, format!("the body is not JSON: {error}"));
            Err(failure.with("line", error.line()).with("column", error.column()))
        }
    }
}

async fn bytes(body: Body) -> Result<Bytes, Failure> {
    let whole = timeout(BODY_TIME_MAX, Limited::new(body, BODY_BYTES_MAX).collect()).await;
    let whole = whole.map_err(|_| Failure::new(Reason::StreamIdle, "the body came too slowly"))?;
    match whole {
        Ok(whole) => Ok(whole.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => {
            let message = format!("the body is longer than the {BODY_BYTES_MAX} bytes that are taken here");
            Err(Failure::new(Reason::BodyTooLarge, message).with("bodyBytesMax", BODY_BYTES_MAX))
        }
        Err(error) => {
            let message = format!("the body broke off: {error}");
            Err(Failure::new(Reason::BodyMalformed, message))
        }
    }
}

/// Whether the body says that it is JSON, in the only encoding that JSON has.
fn is_json(headers: &HeaderMap) -> bool {
    let Some(Ok(value)) = headers.get(header::CONTENT_TYPE).map(|value| value.to_str()) else {
        return false;
    };
    let value = value.to_ascii_lowercase();
    let mut parts = value.split(';').map(str::trim);
    let is_json = parts.next().is_some_and(|kind| {
        kind == "application/json" || (kind.starts_with("application/") && kind.ends_with("+json"))
    });
    is_json
        && parts.all(|parameter| !parameter.starts_with("charset=") || parameter.trim_matches('"').ends_with("utf-8"))
}

/// The path says which one; the body may only say the same.
fn set_id(message: &mut DynamicMessage, name: &str, id: &str, violations: &mut Violations) {
    let Some(field) = message.descriptor().get_field_by_name(name) else {
        return;
    };
    if message.has_field(&field) && message.get_field(&field).as_str() != Some(id) {
        violations.add(name, "is not the one that the path names");
    }
    message.set_field(&field, Value::String(id.to_owned()));
}

#[cfg(test)]
mod tests {
    use http::Request;
    use reelway::v1;

    use super::{super::table::ROUTES, *};

    async fn ask(path: &str, id: Option<&str>, request: Request<Body>) -> Result<DynamicMessage, Failure> {
        let route = ROUTES
            .iter()
            .find(|route| route.path == path && route.verb.answers(request.method()));
        let route = route.unwrap();
        let service = super::super::contract::service(route.service.name()).unwrap();
        let method = service.methods().find(|method| method.name() == route.method).unwrap();
        let (head, body) = request.into_parts();
        read(route, &method.input(), id, &head, body).await
    }

    async fn get(path: &str, query: &str) -> Result<DynamicMessage, Failure> {
        ask(
            path,
            None,
            Request::get(format!("{path}?{query}")).body(Body::empty()).unwrap(),
        )
        .await
    }

    async fn post(content_type: &str, body: &str) -> Result<DynamicMessage, Failure> {
        let request = Request::post("/v1/uploads/u/complete").header("content-type", content_type);
        let request = request.body(Body::from(body.to_owned())).unwrap();
        ask("/v1/uploads/{id}/complete", Some("u"), request).await
    }

    fn reason(outcome: Result<DynamicMessage, Failure>) -> Reason {
        outcome.unwrap_err().reason
    }

    #[tokio::test]
    async fn the_query_sets_fields() {
        let query =
            "pageSize=3&page_token=a%2Bb&state=JOB_STATE_FAILED&create_time_min=2026-01-02T03:04:05Z&access_token=x";
        let request: v1::ListJobsRequest = get("/v1/jobs", query).await.unwrap().transcode_to().unwrap();
        assert_eq!(
            (request.page_size, request.page_token.as_str(), request.state()),
            (3, "a+b", v1::JobState::Failed)
        );
        assert_eq!(request.create_time_min.map(|time| time.seconds), Some(1_767_323_045));
    }

    #[tokio::test]
    async fn a_parameter_that_means_nothing_is_refused() {
        let failure = get("/v1/uploads", "page_size=x&limit=3&state=&pageToken=a&page_token=b")
            .await
            .unwrap_err();
        let mut found: Vec<_> = failure
            .violations
            .iter()
            .map(|violation| violation.field.as_str())
            .collect();
        found.sort_unstable();
        assert_eq!(found, ["limit", "page_size", "page_token", "state"], "{failure}");
        // A read must stay one, so nothing in the query can end a writer.
        let request = Request::get("/v1/uploads/u?end_writer=true")
            .body(Body::empty())
            .unwrap();
        assert_eq!(
            reason(ask("/v1/uploads/{id}", Some("u"), request).await),
            Reason::FieldInvalid
        );
    }

    #[tokio::test]
    async fn the_path_names_the_resource() {
        let message = post("application/json; charset=UTF-8", r#"{"sizeBytes": 7}"#)
            .await
            .unwrap();
        let request: v1::CompleteUploadRequest = message.transcode_to().unwrap();
        assert_eq!((request.upload_id.as_str(), request.size_bytes), ("u", 7));
        assert!(post("application/json", r#"{"uploadId": "u"}"#).await.is_ok());
        let failure = post("application/json", r#"{"uploadId": "v"}"#).await.unwrap_err();
        assert_eq!(failure.violations[0].field, "upload_id");
    }

    #[tokio::test]
    async fn a_body_that_is_no_json_object_is_refused() {
        assert!(post("text/plain", "").await.is_ok(), "nothing needs no media type");
        for content_type in [
            "text/plain",
            "application/x-www-form-urlencoded",
            "application/json; charset=latin1",
            "",
        ] {
            assert_eq!(
                reason(post(content_type, "{}").await),
                Reason::ContentTypeUnsupported,
                "{content_type}"
            );
        }
        assert_eq!(reason(post("application/json", "[]").await), Reason::BodyMalformed);
        let failure = post("application/json", "{\n  \"sizeBytes\": 7,\n}").await.unwrap_err();
        assert_eq!(
            (failure.metadata["line"].as_str(), failure.metadata["column"].as_str()),
            ("3", "1")
        );
        assert!(failure.message.contains("trailing comma"), "{failure}");
        let deep = "[".repeat(10_000);
        assert_eq!(reason(post("application/json", &deep).await), Reason::BodyMalformed);
        let long = " ".repeat(BODY_BYTES_MAX + 1);
        assert_eq!(reason(post("application/json", &long).await), Reason::BodyTooLarge);
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_does_not_come_is_given_up() {
        let never = Body::from_stream(futures_util::stream::pending::<Result<Bytes, std::io::Error>>());
        let request = Request::post("/v1/uploads")
            .header("content-type", "application/json")
            .body(never);
        assert_eq!(
            reason(ask("/v1/uploads", None, request.unwrap()).await),
            Reason::StreamIdle
        );
    }
}
