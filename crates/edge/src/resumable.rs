//! Resumable Uploads for HTTP (draft-ietf-httpbis-resumable-upload-12, interop version 8) on `/uploads/`.
//!
//! `POST /uploads` creates an upload ([`create`]); `HEAD`, `GET` and `DELETE` on what `Location` names tell where it stands and
//! give it up ([`resource`]); `PATCH` appends ([`patch`]); `PUT` of `tail` below it sends its end ahead. Nothing is kept here: each request asks the upload service, and a new
//! one ends the one before (section 4.6 of the draft).
//!
//! Where the draft leaves a choice:
//!
//! - **No 104.** hyper's server can't send interim responses other than 100 (hyperium/hyper#3815), so none is sent whatever
//!   `Upload-Draft-Interop-Version` says. A client whose creating request was cut never saw a `Location` and begins again; what
//!   arrived is kept until it expires. Large files are better created with an empty request and `Upload-Complete: ?0`.
//! - **A plain upload works too**: without `Upload-Complete` any `POST` or `PUT` of a file is an upload of one request. It can't be
//!   resumed, so nothing is kept of one that doesn't succeed.
//! - **An upload is complete when the length that was told is there**, also if the last request said `Upload-Complete: ?0`; the
//!   answer says `?1` then. An empty append with `?1` gets the final response again.
//! - **The final response** is 201 with the upload as JSON, for `POST` and `PATCH` alike.
//! - **Content that goes past the length** ends the upload (section 4.4.2).
//! - **Files come as they are**: `Content-Encoding` and forms are refused with 415, because nothing could be made of them.
//! - **`Repr-Digest`** is verified for `sha-256`, `Content-Digest` for `sha-256` and `sha-512`; other algorithms are ignored
//!   (RFC 9530, section 2).
//! - **The query parameter `preset`** of the creating request says what is made of the file; there is no header for it.

mod answer;
mod call;
mod create;
mod digests;
mod disposition;
mod fields;
mod patch;
mod refusal;
mod resource;

use axum::{
    Router,
    routing::{head, post},
};
use http::HeaderValue;

use crate::Edge;

/// Where uploads are created. Any method with content does (section 4.2).
const CREATION: &str = "/uploads";
/// The same, as people write it.
const CREATION_SLASH: &str = "/uploads/";
/// One upload. Whatever is wrong with a name, there is nothing under it.
const RESOURCE: &str = "/uploads/{*id}";

/// The methods of an upload.
const ALLOWED: HeaderValue = HeaderValue::from_static("HEAD, GET, PATCH, DELETE, OPTIONS");

/// The routes.
pub(crate) fn routes() -> Router<Edge> {
    let creation = || {
        post(create::create)
            .put(create::create)
            .patch(create::create)
            .options(resource::discover)
    };
    let resource = head(resource::head)
        .get(resource::get)
        .patch(patch::append)
        .put(resource::put_tail)
        .delete(resource::delete)
        .options(resource::discover);
    Router::new()
        .route(CREATION, creation())
        .route(CREATION_SLASH, creation())
        .route(RESOURCE, resource)
}

#[cfg(test)]
mod tests;
