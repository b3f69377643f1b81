//! Playback: `/play/{job}/…` from the store.
//!
//! Playlists are served from the prefix that the catalog has published, so a new version becomes visible by that commit
//! alone. What playlists name, `c/…`, never changes under its key.
//!
//! Where playback is signed, `/play/~{token}/{job}/…` opens what `/play/{job}/…` doesn't. The token is a part of the path, because
//! the names in playlists are relative: they carry it along without knowing of it.

mod delivery;
mod file;
mod object;
mod text;

use axum::{
    Router,
    extract::{Path, Request, State},
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse as _, Response},
    routing::get,
};
use reelway_auth::Auth;
use reelway_blob::{BlobError, JobOutput, MediaType, OutputKey, Store};
use reelway_catalog::{Catalog, Playback};
use reelway_domain::{Failure, JobId, Reason};

use crate::problem::Problem;
pub use delivery::{Delivery, NotInBucket, PublicBase, PublicBaseError};

/// What playback answers to. In place of the job there may be a token, with the job after it.
const ROUTE: &str = "/play/{job}/{*path}";
/// What a token begins with in a path; no id does.
const TOKEN_MARK: char = '~';
/// Segments never change under their key; otherwise an answer is used again for so many seconds.
const IMMUTABLE: &str = "max-age=31536000, immutable";
/// A playlist of a job that has ended may be made again by a retry, at most that often.
const SHORT: &str = "max-age=60";
/// A playlist that may still grow is asked for again each time.
const GROWING: &str = "no-cache";
/// The name of the file for download.
const DOWNLOAD: &str = "download.mp4";

/// Who may play.
#[derive(Debug, Clone)]
pub enum PlayAccess {
    /// Whoever knows a job's id, which nobody can guess.
    Public,
    /// Whoever has a token for the job.
    Signed(Auth),
}

#[derive(Debug, Clone)]
struct Play {
    catalog: Catalog,
    store: Store,
    access: PlayAccess,
    delivery: Delivery,
}

/// The routes below `/play/`.
///
/// # Errors
/// If players are to get something from a bucket, and there is none.
pub fn play_router(
    catalog: Catalog,
    store: impl Into<Store>,
    access: PlayAccess,
    delivery: Delivery,
) -> Result<Router, NotInBucket> {
    let store = store.into();
    if delivery != Delivery::Proxied && !store.is_bucket() {
        return Err(NotInBucket);
    }
    let play = Play {
        catalog,
        store,
        access,
        delivery,
    };
    Ok(Router::new().route(ROUTE, get(answer)).with_state(play))
}

async fn answer(State(play): State<Play>, Path((first, rest)): Path<(String, String)>, request: Request) -> Response {
    let answered = play.answer(&first, &rest, request).await;
    answered.unwrap_or_else(|failure| Problem(failure).into_response())
}

impl Play {
    async fn answer(&self, first: &str, rest: &str, request: Request) -> Result<Response, Failure> {
        let (token, job, path) = named(first, rest).ok_or_else(not_found)?;
        // Before anything is looked up: without a token nobody learns which jobs there are.
        self.access.judge(job, token)?;
        let playback = self.catalog.playback(job).await?.ok_or_else(not_found)?;
        reelway_telemetry::link_current(playback.trace.as_ref());
        let (key, freshness) = locate(&playback, path).ok_or_else(not_found)?;
        let media_type = MediaType::of(path);
        let kept_as = (path == DOWNLOAD).then(|| kept_as(job));
        let is_fixed = freshness == IMMUTABLE;
        let found = Found {
            output: self.store.output(job),
            key,
            is_fixed,
            // The end of the job ends its playlists too, by the same commit.
            is_ended: playback.is_final && !is_fixed,
            kept_as: kept_as.as_deref(),
        };
        let mut response = if media_type.is_text {
            self.text(found, request).await?
        } else {
            self.piece(found, request).await?
        };
        let (status, headers) = (response.status(), response.headers_mut());
        if status.is_success() || status.is_redirection() {
            let freshness = match status {
                StatusCode::TEMPORARY_REDIRECT => delivery::redirected(is_fixed, freshness),
                _ => freshness,
            };
            headers.insert(header::CACHE_CONTROL, self.access.caching(freshness));
        }
        if status.is_success() {
            headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type.name));
            if let Some(kept_as) = kept_as.and_then(|kept_as| HeaderValue::try_from(kept_as).ok()) {
                headers.insert(header::CONTENT_DISPOSITION, kept_as);
            }
        }
        Ok(response)
    }

    async fn text(&self, found: Found<'_>, request: Request) -> Result<Response, Failure> {
        let mut text = found.output.read(&found.key).await.map_err(unread)?;
        if let (JobOutput::Bucket(bucket), false) = (&found.output, found.is_fixed) {
            text = self.delivery.named(bucket, text);
        }
        text::answer(text, found.is_ended, request.headers()).await
    }

    async fn piece(&self, found: Found<'_>, request: Request) -> Result<Response, Failure> {
        match &found.output {
            JobOutput::Disk(disk) => file::answer(&disk.path(&found.key), request).await,
            JobOutput::Bucket(bucket) => {
                let (delivery, method) = (&self.delivery, request.method());
                match delivery.redirect(bucket, &found.key, method, found.kept_as).await? {
                    Some(elsewhere) => Ok(elsewhere),
                    None => object::answer(&bucket.reader(&found.key), request).await,
                }
            }
        }
    }
}

/// What a request is for.
struct Found<'a> {
    output: JobOutput,
    key: OutputKey,
    /// It never changes, and names nothing.
    is_fixed: bool,
    /// Nothing is added to it any more.
    is_ended: bool,
    kept_as: Option<&'a str>,
}

impl PlayAccess {
    fn judge(&self, job: JobId, token: Option<&str>) -> Result<(), Failure> {
        match (self, token) {
            (Self::Public, _) => Ok(()),
            (Self::Signed(auth), Some(token)) => auth.verify_playback(job, token),
            (Self::Signed(_), None) => {
                let message = "this takes one of the URLs in an answer about the job";
                Err(Failure::new(Reason::CredentialsMissing, message))
            }
        }
    }

    /// Who may keep an answer, and for how long: what is signed is for whoever asked, for a shared cache knows of no end.
    fn caching(&self, freshness: &str) -> HeaderValue {
        let scope = match self {
            Self::Public => "public",
            Self::Signed(_) => "private",
        };
        // Both are words of this file.
        HeaderValue::try_from(format!("{scope}, {freshness}")).unwrap_or(HeaderValue::from_static("no-store"))
    }
}

/// The token, the job and the path below it. Whatever is wrong with a name, there is nothing under it.
fn named<'a>(first: &'a str, rest: &'a str) -> Option<(Option<&'a str>, JobId, &'a str)> {
    match first.strip_prefix(TOKEN_MARK) {
        None => Some((None, first.parse().ok()?, rest)),
        Some(token) => {
            let (job, path) = rest.split_once('/')?;
            Some((Some(token), job.parse().ok()?, path))
        }
    }
}

/// The key behind a path below `/play/{job}/`, and how long it may be kept.
fn locate(playback: &Playback, path: &str) -> Option<(OutputKey, &'static str)> {
    let freshness = if playback.is_final { SHORT } else { GROWING };
    if let Some(key) = path.strip_prefix("c/") {
        return Some((key.parse().ok()?, IMMUTABLE));
    }
    if path == "poster.jpg" {
        return Some((playback.poster_key.as_ref()?.parse().ok()?, freshness));
    }
    if path == DOWNLOAD {
        return Some((playback.download_key.as_ref()?.parse().ok()?, freshness));
    }
    let prefix: OutputKey = playback.prefix.parse().ok()?;
    Some((prefix.join(path).ok()?, freshness))
}

/// That a browser keeps the file, and under which name: one that no uploader has chosen (RFC 6266).
fn kept_as(job: JobId) -> String {
    format!("attachment; filename=\"{job}.mp4\"")
}

/// What a viewer hears of an output that can't be read.
fn unread(error: BlobError) -> Failure {
    match error {
        BlobError::NotFound { .. } => not_found(),
        other => other.into(),
    }
}

fn not_found() -> Failure {
    let message = "there is nothing to play here; is the job playable yet?";
    Failure::new(Reason::JobNotFound, message)
}

#[cfg(test)]
mod tests;
