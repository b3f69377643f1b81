//! The rules that are kept, seen by a client that keeps them and by one that doesn't.

use std::{sync::Arc, time::Duration};

use hyper::{Method, Request, StatusCode};
use object_store::{
    ClientOptions, Error, ObjectStore as _, ObjectStoreExt as _, PutMode, PutPayload, RetryConfig, UpdateVersion,
    client::{HttpClient, HttpConnector as _, HttpRequestBody, ReqwestConnector},
    gcp::{GoogleCloudStorage, GoogleCloudStorageBuilder},
    multipart::{MultipartStore as _, PartId},
    path::Path,
    signer::Signer as _,
};

use super::GoogleStorage;

const MIB: usize = 1 << 20;

/// A server, its own kind of client, and a plain one.
struct Given {
    google: GoogleStorage,
    client: GoogleCloudStorage,
    http: HttpClient,
    token: String,
}

impl Given {
    async fn new() -> Self {
        let google = GoogleStorage::start();
        let options = ClientOptions::new().with_allow_http(true);
        let client = GoogleCloudStorageBuilder::new()
            .with_service_account_path(google.key_file().to_string_lossy())
            .with_base_url(&google.url())
            .with_bucket_name(&google.bucket)
            .with_client_options(options.clone())
            .with_retry(RetryConfig {
                max_retries: 0,
                ..RetryConfig::default()
            });
        let client = client.build().unwrap();
        let token = client.credentials().get_credential().await.unwrap().bearer.clone();
        Self {
            http: ReqwestConnector::default().connect(&options).unwrap(),
            google,
            client,
            token,
        }
    }

    /// A name that nothing has yet.
    fn name(&self) -> Path {
        let name = format!("{}/google-{:032x}", self.google.prefix, rand::random::<u128>());
        Path::from(name)
    }

    fn url(&self, name: &Path, query: &str) -> String {
        format!("{}/{}/{name}{query}", self.google.url(), self.google.bucket)
    }

    /// What a client hears that asks for exactly this.
    async fn ask(&self, method: Method, url: &str, headers: &[(&str, &str)], body: &str) -> (StatusCode, String) {
        let mut request = Request::builder().method(method).uri(url);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(HttpRequestBody::from(body.to_owned())).unwrap();
        let answer = self.http.execute(request).await.unwrap();
        let status = answer.status();
        let body = answer.into_body().bytes().await.unwrap();
        (status, String::from_utf8_lossy(&body).into_owned())
    }

    /// The same as the account.
    async fn ask_as_account(
        &self,
        method: Method,
        url: &str,
        header: (&str, &str),
        body: &str,
    ) -> (StatusCode, String) {
        let bearer = format!("Bearer {}", self.token);
        self.ask(method, url, &[("authorization", &bearer), header], body).await
    }
}

fn code(answer: &(StatusCode, String)) -> (u16, &str) {
    let (_, rest) = answer.1.split_once("<Code>").unwrap_or_default();
    (answer.0.as_u16(), rest.split_once("</Code>").unwrap_or_default().0)
}

const PLAIN: (&str, &str) = ("x-test", "1");

#[tokio::test]
async fn nobody_else_is_let_in() {
    let given = Given::new().await;
    let url = given.url(&given.name(), "");
    let anonymous = given.ask(Method::GET, &url, &[], "").await;
    assert_eq!(code(&anonymous), (403, "AccessDenied"));
    let (message, signature) = given.token.rsplit_once('.').unwrap();
    let other = format!("{}.{signature}", message.replace('e', "f"));
    for token in ["", "x", "a.b.c", message, &other] {
        let bearer = format!("Bearer {token}");
        let refused = given.ask(Method::GET, &url, &[("authorization", &bearer)], "").await;
        assert_eq!(code(&refused), (401, "AuthenticationRequired"), "{token}");
    }
    let account = given.ask_as_account(Method::GET, &url, PLAIN, "").await;
    assert_eq!(code(&account), (404, "NoSuchKey"));
}

#[tokio::test]
async fn a_machine_gets_a_token() {
    let given = Given::new().await;
    let url = format!(
        "{}/computeMetadata/v1/instance/service-accounts/default/token",
        given.google.url()
    );
    assert_eq!(given.ask(Method::GET, &url, &[], "").await.0, StatusCode::FORBIDDEN);
    let (_, said) = given.ask(Method::GET, &url, &[("metadata-flavor", "Google")], "").await;
    let said: serde_json::Value = serde_json::from_str(&said).unwrap();
    let bearer = format!("Bearer {}", said["access_token"].as_str().unwrap());
    let url = given.url(&given.name(), "");
    let asked = given.ask(Method::GET, &url, &[("authorization", &bearer)], "").await;
    assert_eq!(code(&asked), (404, "NoSuchKey"));
}

#[tokio::test]
async fn what_only_amazon_has_is_refused_and_remembered() {
    let given = Given::new().await;
    let name = given.name();
    let id = given.client.create_multipart(&name).await.unwrap();
    let part = format!("?partNumber=1&uploadId={id}");
    let source = format!("{}/{name}", given.google.bucket);
    for (method, query, header, named) in [
        (
            Method::PUT,
            "",
            ("x-amz-storage-class", "GLACIER"),
            "ExcessHeaderValues",
        ),
        (
            Method::PUT,
            &*part,
            ("x-amz-copy-source", &*source),
            "ExcessHeaderValues",
        ),
        (Method::PUT, &*part, ("x-goog-copy-source", &*source), "InvalidArgument"),
        (
            Method::PUT,
            &*part,
            ("x-goog-if-generation-match", "0"),
            "InvalidArgument",
        ),
        (Method::POST, "?delete", PLAIN, "InvalidArgument"),
        (Method::PUT, "?tagging", PLAIN, "InvalidArgument"),
        (Method::PUT, "?partNumber=10001&uploadId=x", PLAIN, "InvalidArgument"),
    ] {
        let refused = given.ask_as_account(method, &given.url(&name, query), header, "").await;
        assert_eq!(code(&refused), (400, named), "{query} {header:?}");
        assert_eq!(given.google.take_refused().len(), 1, "{query} {header:?}");
    }
    given.client.abort_multipart(&name, &id).await.unwrap();
    assert_eq!(given.google.take_refused(), [] as [String; 0]);
}

#[tokio::test]
async fn an_object_is_made_once_and_removed_once() {
    let given = Given::new().await;
    let (name, create) = (given.name(), PutMode::Create);
    let made = given.client.put_opts(&name, "one".into(), create.clone().into()).await;
    assert!(made.unwrap().version.is_some(), "it has a generation");
    let url = given.url(&name, "");
    let soon = given
        .ask_as_account(Method::PUT, &url, ("if-none-match", "*"), "two")
        .await;
    assert_eq!(code(&soon), (429, "SlowDown"), "one name is written once a second");
    // What S3's clients say is taken for nothing.
    while given
        .ask_as_account(Method::PUT, &url, ("if-none-match", "*"), "three")
        .await
        .0
        != StatusCode::OK
    {}
    let made = unhurried(async || given.client.put_opts(&name, "two".into(), create.clone().into()).await).await;
    assert!(matches!(made, Err(Error::AlreadyExists { .. })), "{made:?}");
    let found = given.client.get(&name).await.unwrap().bytes().await.unwrap();
    assert_eq!(found, "three");
    given.client.delete(&name).await.unwrap();
    assert!(matches!(given.client.delete(&name).await, Err(Error::NotFound { .. })));
}

/// What comes of it when the name may be written again.
async fn unhurried<T>(asked: impl AsyncFn() -> object_store::Result<T>) -> object_store::Result<T> {
    loop {
        match asked().await {
            Err(Error::Generic { .. }) => {}
            done => return done,
        }
    }
}

#[tokio::test]
async fn an_object_is_replaced_if_it_is_still_the_same() {
    let given = Given::new().await;
    let name = given.name();
    let replaced = async |version: &str| {
        let version = UpdateVersion {
            e_tag: None,
            version: Some(version.to_owned()),
        };
        let mode = PutMode::Update(version);
        unhurried(async || given.client.put_opts(&name, "two".into(), mode.clone().into()).await).await
    };
    let none = replaced("1").await;
    assert!(matches!(none, Err(Error::Precondition { .. })), "{none:?}");
    let first = given.client.put(&name, "one".into()).await.unwrap().version.unwrap();
    let other = replaced("1").await;
    assert!(matches!(other, Err(Error::Precondition { .. })), "{other:?}");
    let second = replaced(&first).await.unwrap().version.unwrap();
    assert_ne!(first, second);
    let stale = replaced(&first).await;
    assert!(matches!(stale, Err(Error::Precondition { .. })), "{stale:?}");
    given.client.delete(&name).await.unwrap();
}

/// Sends a part, and gives what it is called.
async fn part(given: &Given, name: &Path, id: &String, number: usize, bytes: usize) -> PartId {
    let body = PutPayload::from(vec![7; bytes]);
    given.client.put_part(name, id, number - 1, body).await.unwrap()
}

async fn completed(given: &Given, name: &Path, id: &str, parts: &[(usize, &PartId)]) -> (StatusCode, String) {
    let parts: String = parts
        .iter()
        .map(|(number, part)| {
            format!(
                "<Part><PartNumber>{number}</PartNumber><ETag>{}</ETag></Part>",
                part.content_id
            )
        })
        .collect();
    let body = format!("<CompleteMultipartUpload>{parts}</CompleteMultipartUpload>");
    let url = given.url(name, &format!("?uploadId={id}"));
    given.ask_as_account(Method::POST, &url, PLAIN, &body).await
}

#[tokio::test]
async fn parts_are_long_enough_in_order_and_the_newest() {
    let given = Given::new().await;
    let name = given.name();
    let id = given.client.create_multipart(&name).await.unwrap();
    let (long, short) = (
        part(&given, &name, &id, 2, 5 * MIB).await,
        part(&given, &name, &id, 5, MIB).await,
    );
    let other = part(&given, &name, &id, 7, 2 * MIB).await;
    for (parts, named) in [
        (&[][..], "MalformedCompleteMultipartUploadRequest"),
        (&[(5, &short), (2, &long)], "InvalidPartOrder"),
        (&[(2, &long), (3, &short)], "InvalidPart"),
        (&[(2, &long), (5, &other)], "InvalidPart"),
        (&[(2, &long), (5, &short), (7, &other)], "EntityTooSmall"),
    ] {
        let refused = completed(&given, &name, &id, parts).await;
        assert_eq!(code(&refused), (400, named));
    }
    let newer = part(&given, &name, &id, 5, 3).await;
    let refused = completed(&given, &name, &id, &[(2, &long), (5, &short)]).await;
    assert_eq!(code(&refused), (400, "InvalidPart"), "it was sent again");
    let done = completed(&given, &name, &id, &[(2, &long), (5, &newer)]).await;
    assert_eq!(done.0, StatusCode::OK, "{}", done.1);
    assert_eq!(given.client.head(&name).await.unwrap().size, 5 * MIB as u64 + 3);
    let again = completed(&given, &name, &id, &[(2, &long), (5, &newer)]).await;
    assert_eq!(code(&again), (404, "NoSuchUpload"));
    let ended = given.client.abort_multipart(&name, &id).await;
    assert!(matches!(ended, Err(Error::NotFound { .. })), "{ended:?}");
    given.client.delete(&name).await.unwrap();
}

#[tokio::test]
async fn a_signed_url_is_for_one_request_and_a_while() {
    let given = Given::new().await;
    let (name, client) = (given.name(), Arc::new(&given.client));
    client.put(&name, "x".into()).await.unwrap();
    let signed = async |life| -> String {
        let url = client.signed_url(Method::GET, &name, Duration::from_secs(life)).await;
        url.unwrap().into()
    };
    let url = signed(60).await;
    assert_eq!(
        given.ask(Method::GET, &url, &[], "").await,
        (StatusCode::OK, "x".to_owned())
    );
    for (method, url) in [
        (Method::DELETE, url.clone()),
        (Method::GET, url.replace("google-", "google%2D1")),
        (Method::GET, url.replace("Expires=60", "Expires=61")),
    ] {
        let refused = given.ask(method, &url, &[], "").await;
        assert_eq!(code(&refused), (403, "SignatureDoesNotMatch"), "{url}");
    }
    let over = given.ask(Method::GET, &signed(0).await, &[], "").await;
    assert_eq!(code(&over), (400, "ExpiredToken"));
    given.client.delete(&name).await.unwrap();
}
