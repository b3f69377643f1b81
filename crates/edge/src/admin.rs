//! The admin port: `/healthz`, `/readyz`, `/startupz`, `/metrics`.

use std::collections::BTreeMap;

use axum::{
    Router,
    extract::State,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use metrics_exporter_prometheus::PrometheusHandle;
use tokio::sync::watch;

/// Whether a process can do its work.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Readiness {
    /// All of its parts have been put together. It stays true.
    pub is_started: bool,
    /// What is wrong, under the name of the part: `catalog`, `schema`, `store`, `draining`.
    pub problems: BTreeMap<&'static str, String>,
}

impl Readiness {
    /// Whether it can do its work.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.is_started && self.problems.is_empty()
    }
}

/// The routes of the admin port. Liveness depends on nothing: a restart doesn't mend a database.
pub fn admin_router(readiness: watch::Receiver<Readiness>, metrics: PrometheusHandle) -> Router {
    Router::new()
        .route("/healthz", get(async || "ok\n"))
        .route("/readyz", get(ready))
        .route("/startupz", get(started))
        .with_state(readiness)
        .route("/metrics", get(async move || metrics.render()))
}

async fn ready(State(readiness): State<watch::Receiver<Readiness>>) -> Response {
    let now = readiness.borrow().clone();
    told(&now, now.is_ready())
}

async fn started(State(readiness): State<watch::Receiver<Readiness>>) -> Response {
    let now = readiness.borrow().clone();
    told(&now, now.is_started)
}

/// The answer to a probe, which looks at the status; the body is for people.
fn told(now: &Readiness, is_good: bool) -> Response {
    let status = if is_good {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    let body = serde_json::json!({ "ready": now.is_ready(), "started": now.is_started, "problems": now.problems });
    let json = [(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))];
    (status, json, format!("{body}\n")).into_response()
}

#[cfg(test)]
mod tests {
    use axum::body;

    use super::*;

    async fn parts(response: Response) -> (StatusCode, serde_json::Value) {
        let status = response.status();
        let body = body::to_bytes(response.into_body(), 1 << 16).await.unwrap();
        (status, serde_json::from_slice(&body).unwrap())
    }

    #[tokio::test]
    async fn probes_say_what_is_wrong() {
        let (tell, readiness) = watch::channel(Readiness::default());
        assert_eq!(
            started(State(readiness.clone())).await.status(),
            StatusCode::SERVICE_UNAVAILABLE
        );

        tell.send_modify(|now| now.is_started = true);
        assert_eq!(ready(State(readiness.clone())).await.status(), StatusCode::OK);

        let away = BTreeMap::from([("catalog", "no answer".to_owned())]);
        tell.send_modify(|now| now.problems = away);
        let (status, body) = parts(ready(State(readiness.clone())).await).await;
        assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(
            (&body["ready"], &body["problems"]["catalog"]),
            (&false.into(), &"no answer".into())
        );
        assert_eq!(
            started(State(readiness)).await.status(),
            StatusCode::OK,
            "it has started"
        );
    }
}
