//! The gRPC messages as JSON under `/v1/`: for polling, for scripts, for whoever has no gRPC at hand.
//!
//! [`table`] says which request calls which method; everything else follows from the contract. A request is canonical proto3 JSON
//! or parameters of the query, and so is the answer; whatever a gRPC client would hear as a status comes as a problem document.
//! A call that succeeds answers 200, also where something was created: the message says what there is now.

mod answer;
mod call;
mod contract;
mod fields;
mod input;
pub(crate) mod json;
mod openapi;
mod table;
#[cfg(test)]
mod tests;

use axum::{
    RequestExt as _, Router,
    extract::{RawPathParams, Request, State},
    response::{IntoResponse as _, Response},
    routing::{any, get},
};
use http::{HeaderValue, header, request::Parts};
use prost_reflect::MethodDescriptor;
use reelway_domain::{Failure, FieldViolation, Reason};

use crate::{Edge, caller::Caller, problem::Problem};
use table::{ROUTES, Route};

/// Everything below `/v1/` that has no route.
const ELSEWHERE: [&str; 3] = ["/v1", "/v1/", "/v1/{*path}"];

/// A route of the table with the method that it calls.
#[derive(Debug, Clone)]
struct Operation {
    route: &'static Route,
    method: MethodDescriptor,
}

/// The routes.
pub(crate) fn routes() -> Router<Edge> {
    let mut router = Router::new();
    let operations = operations();
    for (index, Operation { route, .. }) in operations.iter().enumerate() {
        let is_first = operations[..index].iter().all(|before| before.route.path != route.path);
        if !is_first {
            continue;
        }
        let here = operations.iter().filter(|other| other.route.path == route.path);
        let here: Vec<_> = here.cloned().collect();
        let serve = async move |State(edge): State<Edge>, request: Request| serve(&edge, &here, request).await;
        router = router.route(route.path, any(serve));
    }
    let describe = get(openapi::document).fallback(async || method_not_allowed("GET, HEAD"));
    router = router.route(openapi::PATH, describe);
    for path in ELSEWHERE {
        router = router.route(path, any(path_unknown));
    }
    router
}

/// The table with the contract's methods.
fn operations() -> Vec<Operation> {
    let method = |route: &Route| {
        let service = contract::service(route.service.name())?;
        service.methods().find(|method| method.name() == route.method)
    };
    // Each route names a method of the contract, or a test of the table fails.
    ROUTES
        .iter()
        .filter_map(|route| method(route).map(|method| Operation { route, method }))
        .collect()
}

/// Answers a request to a path, if one of its operations is asked so.
async fn serve(edge: &Edge, here: &[Operation], request: Request) -> Response {
    match here
        .iter()
        .find(|operation| operation.route.verb.answers(request.method()))
    {
        Some(operation) => {
            let answer = operate(edge, operation, request).await;
            answer.unwrap_or_else(|failure| Problem(failure).into_response())
        }
        None => {
            let allowed: Vec<_> = here.iter().map(|operation| operation.route.verb.allow()).collect();
            method_not_allowed(&allowed.join(", "))
        }
    }
}

async fn operate(
    edge: &Edge,
    Operation { route, method }: &Operation,
    mut request: Request,
) -> Result<Response, Failure> {
    let id = id(&mut request, route).await?;
    let (head, body) = request.into_parts();
    let message = input::read(route, &method.input(), id.as_deref(), &head, body).await?;
    let request = caller(&head).request(message);
    let answer = call::unary(&edge.upstream, route.service, method, request).await?;
    Ok(answer::json(&head, json::write(&answer)?))
}

fn caller(head: &Parts) -> Caller {
    Caller::of(&head.headers, head.uri.query())
}

/// What stands for `{id}` in the path.
async fn id(request: &mut Request, route: &Route) -> Result<Option<String>, Failure> {
    let Some(field) = route.id else { return Ok(None) };
    let parameters = request.extract_parts::<RawPathParams>().await.map_err(|error| {
        let (field, description) = (field.to_owned(), error.to_string());
        Failure::invalid(vec![FieldViolation { field, description }])
    })?;
    Ok(parameters.iter().map(|(_, value)| value.to_owned()).next())
}

fn method_not_allowed(allowed: &str) -> Response {
    let message = format!("this path answers to {allowed} only");
    let mut response = Problem(Failure::new(Reason::MethodNotAllowed, message)).into_response();
    // The words of methods fit into a header.
    let allowed = HeaderValue::try_from(allowed).ok();
    response
        .headers_mut()
        .extend(allowed.map(|allowed| (header::ALLOW, allowed)));
    response
}

async fn path_unknown() -> Problem {
    let message = format!(
        "there is nothing under this path; {} lists what there is",
        openapi::PATH
    );
    Problem(Failure::new(Reason::PathUnknown, message))
}
