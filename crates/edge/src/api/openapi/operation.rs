//! One operation: a route of the table, and what the contract says of its method.

use prost_reflect::MessageDescriptor;
use serde_json::{Value, json};

use super::{
    super::{
        Operation,
        table::{Route, Verb},
    },
    comments, problem,
    schema::Schemas,
};

/// The key of the operation in its path.
pub(super) fn verb(operation: &Operation) -> &'static str {
    match operation.route.verb {
        Verb::Get => "get",
        Verb::Post => "post",
        Verb::Delete => "delete",
    }
}

/// The operation.
pub(super) fn describe(operation: &Operation, schemas: &mut Schemas) -> Value {
    let Operation { route, method } = operation;
    let comment = comments::of(&method.parent_file(), method.path());
    let mut described = json!({
        "operationId": name(route),
        "tags": [route.service.name()],
        "summary": comments::first_sentence(&comment),
        "description": comment,
        "parameters": parameters(route, &method.input(), schemas),
        "responses": {
            "200": {
                "description": comments::of(&method.output().parent_file(), method.output().path()),
                "content": {"application/json": {"schema": schemas.reference(&method.output())}},
            },
            "default": problem::refer(),
        },
    });
    match route.verb {
        Verb::Get => {
            described["responses"]["200"]["headers"] = json!({"ETag": {
                "description": "Which version of the answer this is.",
                "schema": {"type": "string"},
            }});
            described["responses"]["304"] =
                json!({"description": "The answer is still the one that `If-None-Match` names."});
        }
        Verb::Post if has_body(route, &method.input()) => {
            described["requestBody"] =
                json!({"content": {"application/json": {"schema": body(route, &method.input(), schemas)}}});
        }
        Verb::Post | Verb::Delete => {}
    }
    described
}

/// The services, with what they are for.
pub(super) fn tags(operations: &[Operation]) -> Value {
    let mut tags: Vec<Value> = Vec::new();
    for operation in operations {
        let service = operation.method.parent_service();
        let comment = comments::of(&service.parent_file(), service.path());
        let tag = json!({"name": service.name(), "description": comment});
        if !tags.contains(&tag) {
            tags.push(tag);
        }
    }
    Value::Array(tags)
}

/// A name that no other operation has.
pub(super) fn name(route: &Route) -> String {
    let name = route.name.unwrap_or(route.method);
    let (first, rest) = name.split_at(1);
    first.to_ascii_lowercase() + rest
}

fn parameters(route: &Route, input: &MessageDescriptor, schemas: &mut Schemas) -> Vec<Value> {
    let id = route.id.and_then(|name| input.get_field_by_name(name));
    let id = id.map(|field| parameter("id", "path", schemas.field(&field)));
    let query = route.query.iter().filter_map(|name| input.get_field_by_name(name));
    let query = query.map(|field| parameter(field.json_name(), "query", schemas.field(&field)));
    let known = json!({"type": "string", "description": "The `ETag` of the answer that the caller has."});
    let known = (route.verb == Verb::Get).then(|| parameter("If-None-Match", "header", known));
    id.into_iter().chain(query.collect::<Vec<_>>()).chain(known).collect()
}

/// A parameter, which takes over what its schema says of it.
fn parameter(name: &str, place: &str, mut schema: Value) -> Value {
    let description = schema.as_object_mut().and_then(|schema| schema.remove("description"));
    json!({"name": name, "in": place, "required": place == "path", "description": description, "schema": schema})
}

fn has_body(route: &Route, input: &MessageDescriptor) -> bool {
    input.fields().any(|field| Some(field.name()) != route.id)
}

fn body(route: &Route, input: &MessageDescriptor, schemas: &mut Schemas) -> Value {
    match route.id {
        Some(_) => schemas.message(input, route.id),
        None => schemas.reference(input),
    }
}
