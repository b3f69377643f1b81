//! A tus client that knows two edges, and turns to the other one when the one that it has goes away.

use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::{Method, Request, Response, StatusCode, body::Incoming};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use tokio::time::{sleep, timeout};

/// What is sent with one request.
const PIECE_BYTES: usize = 128 << 10;
/// Who gets no answer by then asks somebody else.
const ANSWER_MAX: Duration = Duration::from_secs(20);
/// Before it asks somebody else, so that a test that fails doesn't fill the log.
const PAUSE: Duration = Duration::from_millis(100);
/// So often in a row nobody may answer.
const FAILURES_MAX: usize = 100;

pub(super) struct Tus {
    http: Client<HttpConnector, Full<Bytes>>,
    edges: Vec<String>,
    at: usize,
}

impl Tus {
    pub(super) fn new(edges: Vec<String>) -> Self {
        Self {
            http: Client::builder(TokioExecutor::new()).build_http(),
            edges,
            at: 0,
        }
    }

    /// Uploads this, and gives the upload's id. What was acknowledged stays acknowledged.
    pub(super) async fn upload(&mut self, bytes: &Bytes) -> String {
        let id = loop {
            let length = [("upload-length", bytes.len().to_string())];
            if let Some(answer) = self.call(Method::POST, "/files/", &length, Bytes::new()).await
                && answer.status() == StatusCode::CREATED
            {
                let location = answer.headers()["location"].to_str().expect("text");
                break location.rsplit('/').next().expect("an id").to_owned();
            }
        };
        let path = format!("/files/{id}");
        let (mut at, mut acknowledged) = (0, 0);
        while at < bytes.len() {
            let piece = bytes.slice(at..bytes.len().min(at + PIECE_BYTES));
            let head = [
                ("upload-offset", at.to_string()),
                ("content-type", "application/offset+octet-stream".to_owned()),
            ];
            let answer = self.call(Method::PATCH, &path, &head, piece).await;
            if let Some(answer) = answer.filter(|answer| answer.status() == StatusCode::NO_CONTENT) {
                at = offset(&answer);
                acknowledged = at;
            } else {
                at = self.offset(&path).await;
                assert!(
                    at >= acknowledged,
                    "{id}: {acknowledged} were acknowledged, and {at} are there"
                );
            }
        }
        id
    }

    /// Where to go on, as whoever answers says.
    async fn offset(&mut self, path: &str) -> usize {
        loop {
            if let Some(answer) = self.call(Method::HEAD, path, &[], Bytes::new()).await
                && answer.status().is_success()
            {
                return offset(&answer);
            }
        }
    }

    /// An answer; none if there came none from this edge, or a server's trouble, and the next call is for the other one.
    async fn call(
        &mut self,
        method: Method,
        path: &str,
        head: &[(&str, String)],
        body: Bytes,
    ) -> Option<Response<Incoming>> {
        for _ in 0..FAILURES_MAX {
            let url = format!("{}{path}", self.edges[self.at % self.edges.len()]);
            let mut request = Request::builder()
                .method(&method)
                .uri(&url)
                .header("tus-resumable", "1.0.0");
            for (name, value) in head {
                request = request.header(*name, value);
            }
            let request = request.body(Full::new(body.clone())).expect("a request");
            let answer = timeout(ANSWER_MAX, self.http.request(request)).await;
            match answer {
                Ok(Ok(answer)) if !answer.status().is_server_error() => return Some(answer),
                // What became of a body that was sent has to be asked.
                _ if method == Method::PATCH => {
                    self.at += 1;
                    return None;
                }
                _ => {
                    self.at += 1;
                    sleep(PAUSE).await;
                }
            }
        }
        panic!("{method} {path}: nobody answers");
    }
}

fn offset(answer: &Response<Incoming>) -> usize {
    let offset = answer.headers()["upload-offset"].to_str().expect("text");
    offset.parse().expect("a number")
}
