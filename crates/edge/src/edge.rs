//! The public router, and what its routes share.

use std::{sync::Arc, time::Duration};

use axum::{Router, extract::FromRef};
use reelway_domain::limits;
use tokio_util::sync::CancellationToken;

use crate::{AllowedOrigin, api, live, resumable, tus, upstream::Upstream};

/// What can be configured.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The address that clients use, for example `https://video.example`; `None`: the one that each request names.
    pub public_url: Option<String>,
    /// The longest upload that is taken, in bytes.
    pub upload_bytes_max: i64,
    /// A request body of which nothing arrives for so long is cut off; what came is kept.
    pub body_idle_max: Duration,
    /// The pages of other origins that may upload, call the API and open WebSockets. Any page may play.
    pub cors_origins: Vec<AllowedOrigin>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            public_url: None,
            upload_bytes_max: limits::UPLOAD_BYTES_MAX,
            body_idle_max: limits::STREAM_IDLE_MAX,
            cors_origins: Vec::new(),
        }
    }
}

/// A bridge from HTTP to the services; it holds no state of its own. Clones are the same edge.
#[derive(Debug, Clone)]
pub struct Edge {
    pub(crate) upstream: Upstream,
    pub(crate) settings: Arc<Settings>,
    /// Streams to browsers end when this is cancelled.
    pub(crate) shutdown: CancellationToken,
}

impl Edge {
    /// An edge in front of these services.
    #[must_use]
    pub fn new(upstream: Upstream, settings: Settings, shutdown: CancellationToken) -> Self {
        Self {
            upstream,
            settings: Arc::new(settings),
            shutdown,
        }
    }

    /// Everything but playback, and but what [`crate::Front`] puts before it.
    pub(crate) fn router(self) -> Router {
        Router::new()
            .merge(tus::routes())
            .merge(resumable::routes())
            .merge(api::routes())
            .merge(live::routes())
            .with_state(self)
    }
}

impl FromRef<Edge> for Upstream {
    fn from_ref(edge: &Edge) -> Self {
        edge.upstream.clone()
    }
}
