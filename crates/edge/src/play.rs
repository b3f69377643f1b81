//! Playback: `/play/{job}/…` from the store.
//!
//! Playlists are served from the prefix that the catalog has published, so a new version becomes visible by that commit
//! alone. What playlists name, `c/…`, never changes under its key.
//!
//! Where playback is signed, `/play/~{token}/{job}/…` opens what `/play/{job}/…` doesn't. The token is a part of the path, because
//! the names in playlists are relative: they carry it along without knowing of it.

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
use reelway_blob::{BlobError, JobOutput, OutputKey, Store};
use reelway_catalog::{Catalog, Playback};
use reelway_domain::{Failure, JobId, Reason};

use crate::problem::Problem;

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
}

/// The routes below `/play/`.
pub fn play_router(catalog: Catalog, store: impl Into<Store>, access: PlayAccess) -> Router {
    let store = store.into();
    let play = Play { catalog, store, access };
    Router::new().route(ROUTE, get(answer)).with_state(play)
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
        let (output, media_type) = (self.store.output(job), media_type(path));
        let mut response = if media_type.is_text {
            // The end of the job ends its playlists too, by the same commit.
            let is_ended = playback.is_final && freshness != IMMUTABLE;
            let text = output.read(&key).await.map_err(unread)?;
            text::answer(text, is_ended, request.headers()).await?
        } else {
            match output {
                JobOutput::Disk(disk) => file::answer(&disk.path(&key), request).await?,
                JobOutput::Bucket(bucket) => object::answer(&bucket.reader(&key), request).await?,
            }
        };
        let status = response.status();
        let headers = response.headers_mut();
        if status.is_success() || status == StatusCode::NOT_MODIFIED {
            headers.insert(header::CACHE_CONTROL, self.access.caching(freshness));
        }
        if status.is_success() {
            headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type.name));
            if path == DOWNLOAD {
                headers.insert(header::CONTENT_DISPOSITION, kept_as(job));
            }
        }
        Ok(response)
    }
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
fn kept_as(job: JobId) -> HeaderValue {
    // Ids consist of letters, digits and `_`.
    HeaderValue::try_from(format!("attachment; filename=\"{job}.mp4\""))
        .unwrap_or(HeaderValue::from_static("attachment"))
}

/// A media type.
struct MediaType {
    name: &'static str,
    /// It is a playlist or the like: small, changing, and much smaller when it is compressed.
    is_text: bool,
}

/// The media type by the name that we gave the file ourselves (RFC 8216 section 4).
fn media_type(path: &str) -> MediaType {
    let (name, is_text) = match path.rsplit_once('.').map(|(_, extension)| extension) {
        Some("m3u8") => ("application/vnd.apple.mpegurl", true),
        Some("mpd") => ("application/dash+xml", true),
        Some("vtt") => ("text/vtt", true),
        Some("m4s") => ("video/iso.segment", false),
        Some("mp4") => ("video/mp4", false),
        Some("jpg") => ("image/jpeg", false),
        _ => ("application/octet-stream", false),
    };
    MediaType { name, is_text }
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
