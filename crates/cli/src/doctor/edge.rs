//! A running deployment as its users meet it: over HTTP, at the edge, with every proxy that stands before it.

mod trickle;

use std::{fs, path::Path, time::Duration};

use bytes::Bytes;
use reqwest::{
    Certificate, Client, Method, Response, StatusCode,
    header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue},
    redirect::Policy,
};
use serde_json::{Value, json};
use url::Url;

pub(super) use self::trickle::Trickle;
use super::Finding;
use crate::error::CliError;

/// Whoever answers no sooner is away. Bodies may take longer.
const ANSWER_MAX: Duration = Duration::from_secs(30);
const CONNECT_MAX: Duration = Duration::from_secs(5);
/// More than a bucket or a CDN answers with.
const REDIRECTS_MAX: usize = 3;
/// So much of an answer that was not expected is shown.
const SHOWN_CHARS_MAX: usize = 200;

/// An edge, and who calls.
pub(super) struct Edge {
    http: Client,
    /// Goes where it is sent, as players do.
    player: Client,
    base: Url,
    token: Option<HeaderValue>,
}

/// An upload that was made for the test.
pub(super) struct Made {
    pub(super) id: String,
    /// Empty if nothing is made of it.
    pub(super) job: String,
}

/// What went wrong on the way.
#[derive(Debug, thiserror::Error)]
pub(super) enum Trouble {
    #[error("{what}: {}", chain(source))]
    Unreachable { what: String, source: reqwest::Error },
    #[error("{what}: HTTP {status}: {said}")]
    Refused {
        what: String,
        status: StatusCode,
        said: String,
    },
    #[error("{what}: the answer is not what an edge says: {said}")]
    Strange { what: String, said: String },
}

impl Edge {
    /// An edge at a URL. Nothing is sent yet.
    ///
    /// # Errors
    /// A usage error if the URL, the token or the file of authorities can't be used.
    pub(super) fn at(url: &str, token: Option<&str>, ca: Option<&Path>) -> Result<Self, CliError> {
        let base = Url::parse(url).map_err(|error| CliError::usage(format!("--edge-url {url}: {error}")))?;
        let mut authorities = Vec::new();
        if let Some(path) = ca {
            let unusable =
                |error: &dyn std::fmt::Display| CliError::usage(format!("--upstream-ca {}: {error}", path.display()));
            let pem = fs::read(path).map_err(|error| unusable(&error))?;
            authorities = Certificate::from_pem_bundle(&pem).map_err(|error| unusable(&error))?;
        }
        let client = |redirects| {
            let client = Client::builder().connect_timeout(CONNECT_MAX).redirect(redirects);
            let built = client.tls_certs_merge(authorities.clone()).build();
            built.map_err(|error| CliError::failed("EDGE", chain(&error)))
        };
        let token = token.map(|token| {
            let mut value = HeaderValue::from_str(&format!("Bearer {token}"))?;
            value.set_sensitive(true);
            Ok::<_, reqwest::header::InvalidHeaderValue>(value)
        });
        Ok(Self {
            http: client(Policy::none())?,
            player: client(Policy::limited(REDIRECTS_MAX))?,
            base,
            token: token
                .transpose()
                .map_err(|_| CliError::usage("the token has characters that no token has"))?,
        })
    }

    /// Where it is.
    pub(super) fn base(&self) -> &Url {
        &self.base
    }

    /// Makes an upload.
    pub(super) async fn create(&self, name: &str, bytes: usize, preset: &str) -> Result<Made, Trouble> {
        let asked =
            json!({ "fileName": name, "sizeBytes": bytes.to_string(), "contentType": "video/mp4", "preset": preset });
        let made = self.json(Method::POST, "/v1/uploads", Some(&asked)).await?;
        let field = |name: &str| made["upload"][name].as_str().unwrap_or_default().to_owned();
        Ok(Made {
            id: field("id"),
            job: field("jobId"),
        })
    }

    /// How much of an upload is on stable storage.
    pub(super) async fn durable(&self, upload: &Made) -> Result<u64, Trouble> {
        let seen = self
            .json(Method::GET, &format!("/v1/uploads/{}", upload.id), None)
            .await?;
        let offset = seen["upload"]["durableOffset"]
            .as_str()
            .and_then(|offset| offset.parse().ok());
        offset.ok_or_else(|| strange("the upload", &seen))
    }

    /// Sends bytes as a tus client does.
    pub(super) fn patch(&self, upload: &Made, offset: u64, body: impl Into<reqwest::Body>) -> reqwest::RequestBuilder {
        self.tus(Method::PATCH, upload)
            .header("Upload-Offset", offset)
            .header(CONTENT_TYPE, "application/offset+octet-stream")
            .body(body)
    }

    /// Asks where to go on.
    pub(super) async fn offset(&self, upload: &Made) -> Result<u64, Trouble> {
        let what = "the offset";
        let answer = expect(what, self.tus(Method::HEAD, upload).timeout(ANSWER_MAX).send().await).await?;
        let told = answer
            .headers()
            .get("upload-offset")
            .and_then(|offset| offset.to_str().ok());
        told.and_then(|offset| offset.parse().ok())
            .ok_or_else(|| Trouble::Strange {
                what: what.to_owned(),
                said: "there is no Upload-Offset; does a proxy take it away?".to_owned(),
            })
    }

    fn tus(&self, method: Method, upload: &Made) -> reqwest::RequestBuilder {
        self.request(method, &format!("/files/{}", upload.id))
            .header("Tus-Resumable", "1.0.0")
    }

    /// A call of the JSON API.
    pub(super) async fn json(&self, method: Method, path: &str, body: Option<&Value>) -> Result<Value, Trouble> {
        let what = format!("{method} {path}");
        let mut request = self.request(method, path).timeout(ANSWER_MAX);
        if let Some(body) = body {
            request = request.header(CONTENT_TYPE, "application/json").body(body.to_string());
        }
        let answer = expect(&what, request.send().await).await?;
        let bytes = answer.bytes().await.map_err(|source| Trouble::Unreachable {
            what: what.clone(),
            source,
        })?;
        serde_json::from_slice(&bytes).map_err(|_| Trouble::Strange {
            what,
            said: shown(&String::from_utf8_lossy(&bytes)),
        })
    }

    /// What a playback URL names, at this edge: the URL that players are told may lead around what is tried here.
    pub(super) fn here(&self, url: &Url) -> Url {
        self.at_path(url.path())
    }

    /// Fetches what players fetch, as everybody may: from here, or from the bucket or the CDN to which they are sent.
    pub(super) async fn fetch(&self, url: &Url) -> Result<Bytes, Trouble> {
        let what = format!("GET {}", url.path().rsplit('/').next().unwrap_or_default());
        let answer = expect(&what, self.player.get(url.clone()).timeout(ANSWER_MAX).send().await).await?;
        answer
            .bytes()
            .await
            .map_err(|source| Trouble::Unreachable { what, source })
    }

    fn at_path(&self, path: &str) -> Url {
        let mut url = self.base.clone();
        url.set_path(&format!("{}{path}", self.base.path().trim_end_matches('/')));
        url
    }

    /// A request that says who calls.
    pub(super) fn request(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        let request = self.http.request(method, self.at_path(path));
        match &self.token {
            Some(token) => request.header(AUTHORIZATION, token.clone()),
            None => request,
        }
    }
}

/// An answer with a good status.
pub(super) async fn expect(what: &str, answer: Result<Response, reqwest::Error>) -> Result<Response, Trouble> {
    let answer = answer.map_err(|source| Trouble::Unreachable {
        what: what.to_owned(),
        source,
    })?;
    let status = answer.status();
    if status.is_success() {
        return Ok(answer);
    }
    let text = answer.text().await.unwrap_or_default();
    let detail = serde_json::from_str::<Value>(&text)
        .ok()
        .and_then(|told| told["detail"].as_str().map(str::to_owned));
    Err(Trouble::Refused {
        what: what.to_owned(),
        status,
        said: detail.unwrap_or_else(|| shown(&text)),
    })
}

impl Trouble {
    /// What to say of it.
    pub(super) fn finding(&self, check: &'static str) -> Finding {
        Finding::failed(check, self.to_string()).advise(self.advice())
    }

    fn advice(&self) -> &'static str {
        let Self::Refused { status, .. } = self else {
            return "is the edge running, and does --edge-url (or --public-url) lead to it from here?";
        };
        match *status {
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
                "set REELWAY_TOKEN or --token-file; `reelway token create --scope uploads:write,jobs:read,jobs:write` makes a key"
            }
            StatusCode::PAYLOAD_TOO_LARGE => {
                "a proxy limits bodies: switch that off for /files/ and /uploads/ (nginx: client_max_body_size 0)"
            }
            StatusCode::BAD_GATEWAY | StatusCode::SERVICE_UNAVAILABLE | StatusCode::GATEWAY_TIMEOUT => {
                "a server behind the edge or the proxy is away: look at /readyz of each"
            }
            StatusCode::NOT_FOUND => "is that an edge? Its paths are /v1/, /files/, /uploads/ and /play/",
            _ => "the answer says what is wrong",
        }
    }
}

fn strange(what: &str, said: &Value) -> Trouble {
    Trouble::Strange {
        what: what.to_owned(),
        said: shown(&said.to_string()),
    }
}

fn shown(text: &str) -> String {
    text.chars().take(SHOWN_CHARS_MAX).collect()
}

/// An error with what caused it, without the URL: that of a player may open something.
fn chain(error: &reqwest::Error) -> String {
    let mut told = Vec::new();
    let mut cause = std::error::Error::source(error);
    while let Some(inner) = cause {
        told.push(inner.to_string());
        cause = inner.source();
    }
    if error.is_timeout() {
        told.insert(0, "no answer in time".to_owned());
    }
    if told.is_empty() {
        told.push("the request failed".to_owned());
    }
    told.dedup();
    told.join(": ")
}
