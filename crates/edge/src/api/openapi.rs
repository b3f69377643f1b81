//! The OpenAPI 3.1 description of the HTTP interface: made once, of the contract and the table of routes.

mod comments;
mod elsewhere;
mod operation;
mod problem;
mod schema;

use std::sync::LazyLock;

use axum::{extract::Request, response::Response};
use serde_json::{Map, Value, json};

use super::{Operation, answer, operations};
use schema::Schemas;

/// Where it is served.
pub(super) const PATH: &str = "/v1/openapi.json";

/// What a reader should know before the first request.
const ABOUT: &str = "Takes in video of any size and makes streaming video of it. These are the messages of the gRPC services in \
    canonical proto3 JSON: names in lowerCamelCase (the names of the proto files are understood too), 64-bit integers as \
    strings (numbers are understood too), bytes in base64. Unknown fields and parameters are refused. Whatever fails is told as a \
    problem document (RFC 9457) with a `reason` to branch on. Answers to GET carry a strong `ETag`: poll with `If-None-Match` \
    and get 304 while nothing has changed.";

static DOCUMENT: LazyLock<String> = LazyLock::new(|| describe(&operations()).to_string());

/// Serves the description.
pub(super) async fn document(request: Request) -> Response {
    let (head, _) = request.into_parts();
    answer::json(&head, DOCUMENT.as_str())
}

/// The whole description.
fn describe(operations: &[Operation]) -> Value {
    let mut schemas = Schemas::of(operations);
    let mut paths = Map::new();
    for operation in operations {
        let described = operation::describe(operation, &mut schemas);
        add(&mut paths, operation.route.path, operation::verb(operation), described);
    }
    for (path, verb, described) in elsewhere::describe() {
        add(&mut paths, path, verb, described);
    }
    let mut schemas = schemas.finish();
    schemas.insert("Problem".into(), problem::schema());
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Reelway",
            "version": env!("CARGO_PKG_VERSION"),
            "description": ABOUT,
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        "servers": [{"url": "/"}],
        "security": [{"bearer": []}, {"accessToken": []}, {}],
        "tags": operation::tags(operations),
        "paths": paths,
        "components": {
            "schemas": schemas,
            "responses": {"Problem": problem::response()},
            "securitySchemes": security_schemes(),
        },
    })
}

fn add(paths: &mut Map<String, Value>, path: &str, verb: &str, described: Value) {
    let item = paths.entry(path).or_insert_with(|| json!({}));
    item[verb] = described;
}

fn security_schemes() -> Value {
    json!({
        "bearer": {
            "type": "http",
            "scheme": "bearer",
            "description": "An API key, a JWT or the token of an upload grant. Not needed where the server has no authentication configured.",
        },
        "accessToken": {
            "type": "apiKey",
            "in": "query",
            "name": "access_token",
            "description": "The same, for clients that can't send the header.",
        },
    })
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::{super::table::ROUTES, *};

    fn document() -> Value {
        serde_json::from_str(&DOCUMENT).unwrap()
    }

    /// Calls `see` with each value of the tree.
    fn walk<'a>(value: &'a Value, see: &mut impl FnMut(&'a Value)) {
        see(value);
        match value {
            Value::Array(items) => items.iter().for_each(|item| walk(item, see)),
            Value::Object(entries) => entries.values().for_each(|entry| walk(entry, see)),
            _ => {}
        }
    }

    #[test]
    fn every_reference_resolves_and_every_schema_is_referred_to() {
        let document = document();
        let mut referred = HashSet::new();
        walk(&document, &mut |value| {
            if let Some(reference) = value.get("$ref").and_then(Value::as_str) {
                let target = document.pointer(reference.trim_start_matches('#'));
                assert!(target.is_some_and(Value::is_object), "{reference}");
                referred.insert(reference);
            }
        });
        for name in document["components"]["schemas"].as_object().unwrap().keys() {
            assert!(
                referred.contains(format!("#/components/schemas/{name}").as_str()),
                "{name}"
            );
        }
    }

    #[test]
    fn every_route_is_described() {
        let document = document();
        let mut names = HashSet::new();
        for route in ROUTES {
            let verb = route.verb.allow().split(',').next().unwrap().to_ascii_lowercase();
            let operation = &document["paths"][route.path][&verb];
            assert!(operation.is_object(), "{route:?}");
            let declared: Vec<_> = operation["parameters"]
                .as_array()
                .unwrap()
                .iter()
                .map(|p| p["in"].as_str().unwrap())
                .collect();
            let count = |place| declared.iter().filter(|declared| **declared == place).count();
            assert_eq!(
                (count("path"), count("query")),
                (usize::from(route.id.is_some()), route.query.len()),
                "{route:?}"
            );
        }
        for operation in document["paths"]
            .as_object()
            .unwrap()
            .values()
            .flat_map(|path| path.as_object().unwrap().values())
        {
            assert!(names.insert(operation["operationId"].as_str().unwrap()), "{operation}");
            assert!(!operation["summary"].as_str().unwrap().is_empty(), "{operation}");
        }
    }

    #[test]
    fn requests_and_answers_are_described_as_they_are() {
        let document = document();
        let schema = |name: &str| &document["components"]["schemas"][name];
        let upload = schema("Upload");
        assert_eq!(upload["properties"]["durableOffset"]["type"], "string");
        assert_eq!(upload["properties"]["createTime"]["format"], "date-time");
        assert_eq!(
            upload["properties"]["metadata"]["additionalProperties"]["type"],
            "string"
        );
        let always = upload["required"].as_array().unwrap();
        assert!(
            always.contains(&json!("durableOffset")) && !always.contains(&json!("sizeBytes")),
            "{always:?}"
        );
        assert!(schema("CreateUploadRequest").get("required").is_none());
        assert_eq!(schema("CreateUploadRequest")["additionalProperties"], false);
        let complete = &document["paths"]["/v1/uploads/{id}/complete"]["post"];
        let body = &complete["requestBody"]["content"]["application/json"]["schema"]["properties"];
        assert_eq!(body.as_object().unwrap().keys().collect::<Vec<_>>(), ["sizeBytes"]);
        assert!(
            document["paths"]["/v1/jobs/{id}/cancel"]["post"]
                .get("requestBody")
                .is_none()
        );
        let reasons = schema("Problem")["properties"]["reason"]["enum"].as_array().unwrap();
        assert!(reasons.contains(&json!("UPLOAD_NOT_FOUND")));
    }
}
