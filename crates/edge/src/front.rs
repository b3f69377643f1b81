//! What every request passes before its route, from the outside in: the headers that every answer carries, the trace, from where
//! it comes, which pages may read the answer, and how often an address may call. Who may do what is judged by the services.

use std::sync::Arc;

use axum::{
    Router, middleware,
    response::{IntoResponse as _, Response},
};
use http::{HeaderName, HeaderValue, header};
use reelway_auth::{RateLayer, RateLimiter};

use crate::{
    Edge,
    cors::{self, AllowedOrigin},
    forwarded::{self, Network},
    problem::Problem,
    trace, tus,
};

/// Answers may name tokens in their URLs, and say what they are.
const ALWAYS: [(HeaderName, HeaderValue); 2] = [
    (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
];

/// What can be configured of it.
#[derive(Debug, Clone, Default)]
pub struct Front {
    /// Whose word counts on who calls.
    pub trusted_proxies: Vec<Network>,
    /// How often an address may call; `None`: as often as it likes.
    pub address_limit: Option<RateLimiter>,
}

impl Front {
    /// Puts it before the routes of an edge and those of [`crate::play_router`].
    pub fn before(self, edge: Edge, play: Router) -> Router {
        let origins = edge.settings.cors_origins.as_slice().into();
        self.before_routes(edge.router(), origins, play)
    }

    fn before_routes(self, edge: Router, origins: Arc<[AllowedOrigin]>, play: Router) -> Router {
        let trusted: Arc<[Network]> = self.trusted_proxies.into();
        // Within what browsers are told of origins: a page must be able to read that it calls too often.
        let limited = RateLayer::new(self.address_limit, |failure| Problem(failure).into_response());
        let edge = edge
            .layer(limited.clone())
            .layer(middleware::from_fn(tus::patient))
            .layer(middleware::from_fn_with_state(origins, cors::layer));
        let play = play.layer(limited).layer(cors::for_players());
        edge.merge(play)
            .layer(middleware::from_fn_with_state(trusted, forwarded::layer))
            .layer(middleware::from_fn(trace::measured))
            .layer(trace::layer())
            .layer(middleware::map_response(with_headers))
    }
}

async fn with_headers(mut response: Response) -> Response {
    for (name, value) in ALWAYS {
        response.headers_mut().entry(name).or_insert(value);
    }
    response
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use axum::{
        Extension,
        body::{Body, to_bytes},
        extract::{ConnectInfo, Request},
        routing::get,
    };
    use http::Method;
    use reelway_auth::{ClientAddr, RateBy};
    use tower::ServiceExt as _;

    use super::*;

    /// Asks as a peer, and gives the answer with its body.
    async fn ask(front: &Front, peer: &str, uri: &str, headers: &[(&str, &str)]) -> (Response, String) {
        let who = async |Extension(ClientAddr(client)): Extension<ClientAddr>| client.to_string();
        let edge = Router::new().route("/who", get(who));
        let play = Router::new().route("/play/x", get(async || "played"));
        let mut request = Request::get(uri).extension(ConnectInfo::<SocketAddr>(peer.parse().unwrap()));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let origins = ["https://app.example".parse().unwrap()].into();
        let router = front.clone().before_routes(edge, origins, play);
        let (head, body) = router
            .oneshot(request.body(Body::empty()).unwrap())
            .await
            .unwrap()
            .into_parts();
        let body = to_bytes(body, 1 << 16).await.unwrap();
        (
            Response::from_parts(head, Body::empty()),
            String::from_utf8(body.to_vec()).unwrap(),
        )
    }

    #[tokio::test]
    async fn only_a_trusted_proxy_says_who_calls() {
        let front = Front {
            trusted_proxies: vec!["10.0.0.0/8".parse().unwrap()],
            ..Front::default()
        };
        let said = [("x-forwarded-for", "203.0.113.7"), ("forwarded", "for=203.0.113.7")];
        for (peer, client) in [
            ("10.1.2.3:80", "203.0.113.7"),
            ("[::ffff:10.1.2.3]:80", "203.0.113.7"),
            ("198.51.100.1:80", "198.51.100.1"),
            ("[2001:db8::1]:80", "2001:db8::1"),
        ] {
            assert_eq!(ask(&front, peer, "/who", &said).await.1, client, "{peer}");
        }
    }

    #[tokio::test]
    async fn every_answer_says_what_browsers_are_not_to_do() {
        for uri in ["/who", "/play/x", "/nothing"] {
            let (answer, _) = ask(&Front::default(), "192.0.2.1:80", uri, &[]).await;
            assert_eq!(answer.headers()[header::X_CONTENT_TYPE_OPTIONS], "nosniff", "{uri}");
            assert_eq!(answer.headers()[header::REFERRER_POLICY], "no-referrer", "{uri}");
        }
    }

    #[tokio::test]
    async fn no_client_forgets_its_upload_because_it_asked_too_often() {
        let once = "1/h".parse().unwrap();
        let front = Front {
            address_limit: Some(RateLimiter::new(RateBy::Address, once, &reelway_bus::Bus::default())),
            ..Front::default()
        };
        let mut told = Vec::new();
        for method in [Method::HEAD, Method::HEAD, Method::GET] {
            let request = Request::builder().method(method).uri("/files/x");
            let request = request.extension(ConnectInfo::<SocketAddr>("192.0.2.1:80".parse().unwrap()));
            let who = async |Extension(ClientAddr(client)): Extension<ClientAddr>| client.to_string();
            let routes = Router::new().route("/files/x", get(who));
            let router = front.clone().before_routes(routes, [].into(), Router::new());
            let answer = router.oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
            told.push((
                answer.status().as_u16(),
                answer.headers().contains_key(header::RETRY_AFTER),
            ));
        }
        assert_eq!(told, [(200, false), (503, true), (429, true)]);
    }

    #[tokio::test]
    async fn pages_may_read_that_they_call_too_often_and_anybody_may_play() {
        let front = Front {
            address_limit: Some(RateLimiter::new(
                RateBy::Address,
                "1/h".parse().unwrap(),
                &reelway_bus::Bus::default(),
            )),
            ..Front::default()
        };
        let asked = async |peer, uri, origin| ask(&front, peer, uri, &[("origin", origin)]).await.0;
        let allowed = |answer: &Response| answer.headers().get(header::ACCESS_CONTROL_ALLOW_ORIGIN).cloned();
        let app = HeaderValue::from_static("https://app.example");
        let first = asked("192.0.2.1:80", "/who", "https://app.example").await;
        assert_eq!((first.status().as_u16(), allowed(&first)), (200, Some(app.clone())));
        let second = asked("192.0.2.1:80", "/who", "https://app.example").await;
        assert_eq!((second.status().as_u16(), allowed(&second)), (429, Some(app)));
        assert!(second.headers().contains_key(header::RETRY_AFTER));
        let other = asked("192.0.2.2:80", "/who", "https://other.example").await;
        assert_eq!((other.status().as_u16(), allowed(&other)), (200, None));
        let played = asked("192.0.2.3:80", "/play/x", "https://other.example").await;
        assert_eq!(allowed(&played), Some(HeaderValue::from_static("*")));
    }
}
