//! Segments and pictures: whole or in ranges (RFC 9110 section 14).

use std::path::Path;

use axum::{body::Body, extract::Request, response::Response};
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use reelway_domain::Failure;
use tower::ServiceExt as _;
use tower_http::services::ServeFile;

use super::not_found;

/// The answer to a request for this file. Several ranges at once are answered with the whole file, which a server may do: no
/// player asks for them, and many small ones would be much work.
pub(super) async fn answer(file: &Path, mut request: Request) -> Result<Response, Failure> {
    if let Some(wanted) = request.headers_mut().remove(header::IF_RANGE)
        && !is_still(file, &wanted).await
    {
        request.headers_mut().remove(header::RANGE);
    }
    let response = serve(file, request).await;
    if response.status() == StatusCode::NOT_FOUND {
        return Err(not_found());
    }
    Ok(response)
}

async fn serve(file: &Path, request: Request) -> Response {
    match ServeFile::new(file)
        .ignore_multi_range_requests(true)
        .oneshot(request)
        .await
    {
        Ok(response) => response.map(Body::new),
        Err(never) => match never {},
    }
}

/// Whether the file is still the one of which a client has a part (RFC 9110 section 13.1.5).
async fn is_still(file: &Path, wanted: &HeaderValue) -> bool {
    let mut look = Request::new(Body::empty());
    *look.method_mut() = Method::HEAD;
    let head = serve(file, look).await;
    is_same(head.headers(), wanted)
}

/// A weak tag says nothing about bytes, so it never is.
fn is_same(head: &HeaderMap, wanted: &HeaderValue) -> bool {
    [header::ETAG, header::LAST_MODIFIED]
        .iter()
        .any(|name| head.get(name) == Some(wanted))
}
