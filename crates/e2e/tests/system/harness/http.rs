//! HTTP, as little as it takes.

use bytes::Bytes;
use http_body_util::{BodyExt as _, Empty};
use hyper::{Response, StatusCode, Uri, header};
use hyper_util::{client::legacy::Client, rt::TokioExecutor};

/// Asks for a URL and reads the whole answer.
pub(crate) async fn get(url: &str) -> Response<Bytes> {
    let client = Client::builder(TokioExecutor::new()).build_http::<Empty<Bytes>>();
    let uri: Uri = url.parse().unwrap_or_else(|error| panic!("{url}: {error}"));
    let answer = client.get(uri).await.unwrap_or_else(|error| panic!("{url}: {error}"));
    let (head, body) = answer.into_parts();
    let body = body.collect().await.unwrap_or_else(|error| panic!("{url}: {error}"));
    Response::from_parts(head, body.to_bytes())
}

/// Asks for what must be there: its media type and its bytes.
pub(crate) async fn get_ok(url: &str) -> (String, Bytes) {
    let answer = get(url).await;
    assert_eq!(answer.status(), StatusCode::OK, "{url}: {:?}", answer.body());
    let content_type = answer
        .headers()
        .get(header::CONTENT_TYPE)
        .map(|value| value.to_str().expect("text"));
    (content_type.unwrap_or_default().to_owned(), answer.into_body())
}
