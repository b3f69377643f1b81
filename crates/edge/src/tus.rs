//! tus 1.0.0 (<https://tus.io/protocols/resumable-upload>) with all its extensions on `/files/`.
//!
//! `POST /files/` creates an upload ([`create`]); `HEAD`, `PATCH` and `DELETE` on what `Location` names tell where it stands,
//! append to it and give it up ([`resource`]). Nothing is kept here: each request asks the upload service, and a new one ends the
//! one before, so a client that comes back never meets a lock.
//!
//! `PUT` of `tail` below an upload sends its end ahead ([`tail`]).
//!
//! Where the specification leaves a choice:
//!
//! - **Three keys of `Upload-Metadata` mean something**: `filename` (or `name`) and `filetype` (or `type`) become the upload's file
//!   name and media type, and `preset` says what is made of the file. Everything else becomes metadata of the upload, if it is UTF-8
//!   and fits. Clients get the header back as they sent it, to the byte.
//! - **Trouble that passes** is 423 or 5xx on `HEAD`, never another 4xx: on that, tus-js-client forgets the upload and begins at
//!   zero. A request that was ended by a newer one is answered 423.
//! - **409** carries the `Upload-Offset` to go on from. It isn't guessed: whoever wrote before has ended by then.
//! - **A body that goes past the end** is refused with 413, and the bytes that would take the last place are not stored: an upload
//!   is never complete by mistake.
//! - **A finished upload can be deleted** too. What its job has made stays.
//! - **The final upload** of a concatenation is created at once, also from parts that still arrive, and becomes complete when its
//!   bytes are brought together.

mod answer;
mod call;
mod checksum;
mod concat;
mod create;
mod fields;
mod kept;
mod metadata;
mod refusal;
mod resource;

use axum::{
    Router,
    extract::{Request, State},
    middleware::Next,
    response::Response,
    routing::any,
};
use http::{Method, StatusCode};

use crate::{Edge, append::Arriving, tail};
use call::Call;
use fields::{TUS_RESUMABLE, VERSION};
use refusal::Refusal;

/// Where uploads are created.
const CREATION: &str = "/files";
/// The same, as people write it; uploads are below it.
const CREATION_SLASH: &str = "/files/";
/// One upload. Whatever is wrong with a name, there is nothing under it.
const RESOURCE: &str = "/files/{*id}";

/// The routes. Methods are told apart later, because a header may name another one.
pub(crate) fn routes() -> Router<Edge> {
    Router::new()
        .route(CREATION, any(serve))
        .route(CREATION_SLASH, any(serve))
        .route(RESOURCE, any(serve))
}

/// Lets no client forget its upload because it asked too often: on `HEAD` that is 503 too, as all trouble that passes.
pub(crate) async fn patient(request: Request, next: Next) -> Response {
    let asks_for_offset = request.method() == Method::HEAD && request.uri().path().starts_with(CREATION_SLASH);
    let mut response = next.run(request).await;
    if asks_for_offset && response.status() == StatusCode::TOO_MANY_REQUESTS {
        *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
    }
    response
}

async fn serve(State(edge): State<Edge>, request: Request) -> Response {
    let (head, body) = request.into_parts();
    let body = Arriving::of(&head.headers, body);
    let call = Call::new(edge, head).await;
    let mut response = match answer(&call, body).await {
        Ok(response) => response,
        Err(refusal) => refusal.respond(&call),
    };
    response.headers_mut().insert(TUS_RESUMABLE, VERSION);
    response
}

/// A body that isn't needed is read in the background, so that its client sees why.
async fn answer(call: &Call, body: Arriving) -> Result<Response, Refusal> {
    if call.method == Method::OPTIONS {
        return Ok(answer::options(&call.edge.settings));
    }
    if let Some(id) = call.tail_of().filter(|_| call.method == Method::PUT) {
        return Ok(tail::put(&call.edge, &call.caller, id, call.headers(), body).await?);
    }
    fields::check_version(call.headers())?;
    match (&call.method, call.id()?) {
        (&Method::POST, None) => create::create(call, body).await,
        (&Method::HEAD, Some(id)) => resource::head(call, id).await,
        (&Method::PATCH, Some(id)) => resource::patch(call, id, body).await,
        (&Method::DELETE, Some(id)) => resource::delete(call, id).await,
        (_, None) => Err(Refusal::method_not_allowed("POST, OPTIONS")),
        (_, Some(_)) => Err(Refusal::method_not_allowed("HEAD, PATCH, DELETE, OPTIONS")),
    }
}

#[cfg(test)]
mod tests;
