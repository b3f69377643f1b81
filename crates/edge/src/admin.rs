//! The admin port: `/healthz`, `/readyz`, `/metrics`.

use axum::{Router, extract::State, http::StatusCode, routing::get};
use metrics_exporter_prometheus::PrometheusHandle;
use reelway_catalog::Catalog;
use tokio_util::sync::CancellationToken;

/// What readiness depends on. Liveness depends on nothing: a restart doesn't mend a database.
#[derive(Debug, Clone)]
pub struct Readiness {
    /// Is asked for a trivial answer.
    pub catalog: Catalog,
    /// Once it is cancelled, the node takes no new work.
    pub shutdown: CancellationToken,
}

/// The routes of the admin port.
pub fn admin_router(readiness: Readiness, metrics: PrometheusHandle) -> Router {
    Router::new()
        .route("/healthz", get(async || "ok\n"))
        .route("/readyz", get(ready).with_state(readiness))
        .route("/metrics", get(async move || metrics.render()))
}

async fn ready(State(readiness): State<Readiness>) -> (StatusCode, &'static str) {
    if readiness.shutdown.is_cancelled() {
        return (StatusCode::SERVICE_UNAVAILABLE, "shutting down\n");
    }
    match readiness.catalog.ping().await {
        Ok(()) => (StatusCode::OK, "ready\n"),
        Err(error) => {
            tracing::warn!(%error, "not ready");
            (
                StatusCode::SERVICE_UNAVAILABLE,
                "the catalog's database does not answer\n",
            )
        }
    }
}
