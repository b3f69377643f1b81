//! Playback: `/play/{job}/…` from the store.
//!
//! Playlists are served from the prefix that the catalog has published, so a new version becomes visible by that commit
//! alone. What playlists name, `c/…`, never changes under its key.

use axum::{
    Router,
    body::Body,
    extract::{Path, Request, State},
    http::{HeaderName, HeaderValue, Method, StatusCode, header},
    response::{IntoResponse as _, Response},
    routing::get,
};
use reelway_blob::{DiskStore, OutputKey};
use reelway_catalog::{Catalog, Playback};
use reelway_domain::{Failure, JobId, Reason};
use tower::ServiceExt as _;
use tower_http::{cors, services::ServeFile};

use crate::trace;

/// What playback answers to.
const ROUTE: &str = "/play/{job}/{*path}";
/// Segments never change under their key.
const IMMUTABLE: HeaderValue = HeaderValue::from_static("public, max-age=31536000, immutable");
/// A playlist of a job that has ended may be made again by a retry, at most that often.
const SHORT: HeaderValue = HeaderValue::from_static("public, max-age=60");
/// A playlist that may still grow.
const NONE: HeaderValue = HeaderValue::from_static("no-cache");

#[derive(Debug, Clone)]
struct Play {
    catalog: Catalog,
    store: DiskStore,
}

/// The routes below `/play/`.
pub fn play_router(catalog: Catalog, store: DiskStore) -> Router {
    // Players run on other people's pages; nothing here depends on who asks.
    let cors = cors::CorsLayer::new()
        .allow_origin(cors::Any)
        .allow_methods([Method::GET, Method::HEAD])
        .allow_headers([header::RANGE, HeaderName::from_static("traceparent")])
        .expose_headers([header::CONTENT_LENGTH, header::CONTENT_RANGE, header::ETAG]);
    Router::new()
        .route(ROUTE, get(play))
        .layer(trace::layer(ROUTE))
        .layer(cors)
        .with_state(Play { catalog, store })
}

async fn play(
    State(Play { catalog, store }): State<Play>,
    Path((job, path)): Path<(String, String)>,
    request: Request,
) -> Response {
    // Whatever is wrong with a name, there is nothing under it.
    let Ok(job) = job.parse::<JobId>() else {
        return not_found();
    };
    let playback = match catalog.playback(job).await {
        Ok(Some(playback)) => playback,
        Ok(None) => return not_found(),
        Err(error) => return refuse(&error.into()),
    };
    reelway_telemetry::link_current(playback.trace.as_ref());
    let Some((key, cache)) = locate(&playback, &path) else {
        return not_found();
    };
    let file = store.output(job).path(&key);
    let mut response = match ServeFile::new(&file).oneshot(request).await {
        Ok(response) => response.map(Body::new),
        Err(never) => match never {},
    };
    if response.status().is_success() || response.status() == StatusCode::NOT_MODIFIED {
        response.headers_mut().insert(header::CACHE_CONTROL, cache);
        response.headers_mut().insert(header::CONTENT_TYPE, content_type(&path));
        response
            .headers_mut()
            .insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    }
    response
}

/// The key behind a path below `/play/{job}/`, and how long it may be cached.
fn locate(playback: &Playback, path: &str) -> Option<(OutputKey, HeaderValue)> {
    let playlist_cache = if playback.is_final { SHORT } else { NONE };
    if let Some(key) = path.strip_prefix("c/") {
        return Some((key.parse().ok()?, IMMUTABLE));
    }
    if path == "poster.jpg" {
        return Some((playback.poster_key.as_ref()?.parse().ok()?, playlist_cache));
    }
    let prefix: OutputKey = playback.prefix.parse().ok()?;
    Some((prefix.join(path).ok()?, playlist_cache))
}

/// The media type by the name that we gave the file ourselves (H23 of the HLS rules: RFC 8216 section 4).
fn content_type(path: &str) -> HeaderValue {
    HeaderValue::from_static(match path.rsplit_once('.').map(|(_, extension)| extension) {
        Some("m3u8") => "application/vnd.apple.mpegurl",
        Some("m4s") => "video/iso.segment",
        Some("mp4") => "video/mp4",
        Some("jpg") => "image/jpeg",
        Some("vtt") => "text/vtt",
        _ => "application/octet-stream",
    })
}

fn not_found() -> Response {
    refuse(&Failure::new(
        Reason::JobNotFound,
        "there is nothing to play here; is the job playable yet?",
    ))
}

fn refuse(failure: &Failure) -> Response {
    let status = StatusCode::from_u16(failure.reason.http_status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    (status, format!("{}: {}\n", failure.reason, failure.message)).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn playback() -> Playback {
        Playback {
            prefix: "package-0000-e2".into(),
            poster_key: Some("poster-0000-e1/poster.jpg".into()),
            is_final: true,
            trace: None,
        }
    }

    fn key(path: &str) -> Option<String> {
        locate(&playback(), path).map(|(key, _)| key.to_string())
    }

    #[test]
    fn playlists_come_from_the_published_prefix() {
        assert_eq!(key("master.m3u8").as_deref(), Some("package-0000-e2/master.m3u8"));
        assert_eq!(key("poster.jpg").as_deref(), Some("poster-0000-e1/poster.jpg"));
        assert_eq!(
            key("c/video-0000-e1/720p-00000.m4s").as_deref(),
            Some("video-0000-e1/720p-00000.m4s")
        );
    }

    #[test]
    fn no_path_leads_out_of_the_job() {
        for path in [
            "c/../../x",
            "../x",
            "c//etc/passwd",
            "c/",
            "..",
            "a/../../b",
            "c/.hidden",
        ] {
            assert_eq!(key(path), None, "{path}");
        }
    }

    #[test]
    fn only_what_can_change_is_asked_for_again() {
        assert_eq!(locate(&playback(), "c/a/b.m4s").unwrap().1, IMMUTABLE);
        assert_eq!(
            locate(
                &Playback {
                    is_final: false,
                    ..playback()
                },
                "master.m3u8"
            )
            .unwrap()
            .1,
            NONE
        );
    }
}
