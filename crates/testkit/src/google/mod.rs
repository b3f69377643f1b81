//! Google Cloud Storage as its XML API is on the wire, before the S3 server that `scripts/test` starts, which keeps the bytes.
//!
//! Nobody publishes an emulator that takes multipart uploads of the XML API. This one is as strict as the service is said to be, and
//! where the service is lenient it is stricter, so that whoever takes it for S3 is found out. What it holds to:
//!
//! - Each request has a bearer token: one that the account's key has signed (<https://google.aip.dev/auth/4111>), or one that the
//!   machine's metadata server gave out, which it is too. Or its URL is signed (V4), and is checked.
//! - Headers that begin with `x-amz-` and requests that the XML API doesn't have are refused; so is each parameter and each `x-goog-`
//!   header that it doesn't know: nothing is let through unread.
//! - Objects have generations, which `x-goog-if-generation-match` is about; `If-None-Match` of a write is accepted and does nothing,
//!   as was measured on the service. Multipart uploads have no preconditions.
//! - Nothing is deleted that isn't there, nothing completed or aborted twice.
//! - Parts have 5 MiB at least but the last one (<https://cloud.google.com/storage/quotas>), and are named by their newest ETag in
//!   rising order; numbers may be left out; nothing is copied into a part.
//! - One name is written once a second, or the answer is 429.
//! - Listings are made of names alone, a thousand at a time; there are no directories.
//!
//! What it doesn't show: how the service is under load, how long it takes, and whatever its documentation doesn't tell.

mod account;
mod behind;
mod call;
mod listing;
mod memory;
mod multipart;
mod objects;
mod query;
mod refusal;
mod signed;
mod token;

use std::{
    env, io,
    net::{Ipv4Addr, SocketAddr},
    path::Path,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, combinators::UnsyncBoxBody};
use hyper::{
    Request, Response,
    body::Incoming,
    http::{request::Parts, response::Builder},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use tempfile::NamedTempFile;
use tokio::{
    net::TcpListener,
    task::{JoinHandle, JoinSet},
};

use self::{account::Account, behind::Behind, call::Call, memory::Memory, refusal::Refusal, token::Tokens};

/// A server on loopback that speaks Google's XML API. It ends when it is dropped; the bytes stay with the S3 server.
#[derive(Debug)]
pub struct GoogleStorage {
    address: SocketAddr,
    key: NamedTempFile,
    bucket: String,
    prefix: String,
    service: Arc<Service>,
    running: JoinHandle<()>,
}

/// What all connections share.
#[derive(Debug)]
struct Service {
    bucket: String,
    account: &'static Account,
    tokens: Tokens,
    behind: Behind,
    memory: Mutex<Memory>,
    refused: Mutex<Vec<String>>,
}

type Answer = Response<UnsyncBoxBody<Bytes, io::Error>>;

impl GoogleStorage {
    /// Starts one before the server of `scripts/test`. Within a runtime, which it ends with.
    #[must_use]
    pub fn start() -> Self {
        let of = |name: &str| env::var(name).unwrap_or_else(|_| panic!("scripts/test sets {name}"));
        let (url, endpoint) = (of("REELWAY_TEST_S3"), of("REELWAY_TEST_S3_ENDPOINT"));
        let (bucket, prefix) = url
            .trim_start_matches("s3://")
            .split_once('/')
            .expect("s3://BUCKET/PREFIX");
        let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        listener.set_nonblocking(true).expect("a socket that doesn't block");
        let address = listener.local_addr().expect("it is bound");
        let account = Account::of_this_process();
        let key = NamedTempFile::new().expect("a file");
        std::fs::write(key.path(), account.key_file()).expect("a key file");
        let service = Arc::new(Service {
            bucket: bucket.to_owned(),
            account,
            tokens: Tokens::default(),
            behind: Behind::at(&endpoint, bucket),
            memory: Mutex::default(),
            refused: Mutex::default(),
        });
        let listener = TcpListener::from_std(listener).expect("a runtime");
        Self {
            address,
            key,
            bucket: bucket.to_owned(),
            prefix: prefix.to_owned(),
            service: Arc::clone(&service),
            running: tokio::spawn(accept(listener, service)),
        }
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its URL.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The address of a store in its bucket, below what the tests may use: `gs://BUCKET/PREFIX/NAME`.
    #[must_use]
    pub fn store(&self, name: &str) -> String {
        format!("gs://{}/{}/{name}", self.bucket, self.prefix)
    }

    /// The key file of the service account that may do everything here, as Google gives them out.
    #[must_use]
    pub fn key_file(&self) -> &Path {
        self.key.path()
    }

    /// What it was asked that Google's API doesn't have, or not so, since the last time that this was asked.
    #[must_use]
    pub fn take_refused(&self) -> Vec<String> {
        std::mem::take(&mut lock(&self.service.refused))
    }
}

impl Drop for GoogleStorage {
    fn drop(&mut self) {
        self.running.abort();
    }
}

fn lock<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn accept(listener: TcpListener, service: Arc<Service>) {
    // Dropped with this future, and the connections with it.
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        while connections.try_join_next().is_some() {}
        let service = Arc::clone(&service);
        connections.spawn(async move {
            let answer = service_fn(move |request| answered(request, Arc::clone(&service)));
            // Clients break connections off; that is theirs to do.
            let _ = http1::Builder::new()
                .serve_connection(TokioIo::new(stream), answer)
                .await;
        });
    }
}

/// One request.
async fn answered(request: Request<Incoming>, service: Arc<Service>) -> io::Result<Answer> {
    let (head, body) = request.into_parts();
    if let Some(answer) = service.tokens.metadata(&head, service.account.email()) {
        return Ok(answer);
    }
    // What is sent is read whatever comes of it, as the connection goes on.
    let body = body.collect().await.map_err(io::Error::other)?.to_bytes();
    let done = match service.understood(&head) {
        Ok(call) => service.done(call, &head, body).await,
        Err(refusal) => Err(refusal),
    };
    Ok(done.unwrap_or_else(|refusal| {
        if refusal.is_foreign {
            lock(&service.refused).push(format!("{} {}: {refusal}", head.method, head.uri));
        }
        refusal.answer()
    }))
}

impl Service {
    /// What is asked, by somebody who may.
    fn understood(&self, head: &Parts) -> Result<Call, Refusal> {
        let query = query::Query::of(&head.uri);
        if query.is_signed() {
            signed::check(self.account, head, &query)?;
        } else {
            token::check(self.account, &self.tokens, &head.headers)?;
        }
        Call::of(head, &query, &self.bucket)
    }

    async fn done(&self, call: Call, head: &Parts, body: Bytes) -> Result<Answer, Refusal> {
        match call {
            Call::List(asked) => self.list(asked).await,
            Call::ListMultiparts(asked) => Ok(self.list_multiparts(&asked)),
            Call::Begin(key) => self.begin(key, head).await,
            Call::Part(part) => self.put_part(part, body).await,
            Call::Parts(multipart, asked) => self.list_parts(&multipart, asked),
            Call::Complete(multipart) => self.complete(&multipart, &body).await,
            Call::Abort(multipart) => self.abort(&multipart).await,
            Call::Put(key) => self.put(key, head, body).await,
            Call::Read(key, query) => self.read(&key, head, &query).await,
            Call::Delete(key) => self.delete(&key).await,
        }
    }
}

/// An answer whose body is all there.
fn whole(answer: Builder, body: impl Into<Bytes>) -> Answer {
    let body = Full::new(body.into()).map_err(|never| match never {}).boxed_unsync();
    answer.body(body).expect("its parts were made here")
}

#[cfg(test)]
mod tests;
