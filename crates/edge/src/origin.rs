//! Under which address the client knows this server: what absolute URLs in answers begin with.

use std::convert::Infallible;

use axum::extract::{FromRef, FromRequestParts};
use http::{header, request::Parts, uri::Authority};

use crate::{Edge, forwarded::Addressed};

/// Whoever names no host that could be one gets this.
const NOWHERE: &str = "localhost";

/// The scheme and the host of the request, for example `https://video.example`, without a slash at the end.
#[derive(Debug, Clone)]
pub(crate) struct Origin(pub(crate) String);

impl<S: Sync> FromRequestParts<S> for Origin
where
    Edge: FromRef<S>,
{
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Infallible> {
        let edge = Edge::from_ref(state);
        Ok(Self::of(parts, edge.settings.public_url.as_deref()))
    }
}

impl Origin {
    fn of(parts: &Parts, public_url: Option<&str>) -> Self {
        if let Some(url) = public_url {
            return Self(url.trim_end_matches('/').to_owned());
        }
        let Addressed { scheme, host } = parts.extensions.get().cloned().unwrap_or_default();
        let named = parts.headers.get(header::HOST).and_then(|host| host.to_str().ok());
        let named = named.and_then(|host| host.parse::<Authority>().ok());
        // HTTP/2 names the host in the request's target.
        let host = host.or(named).or_else(|| parts.uri.authority().cloned());
        let host = host.filter(|host| !host.as_str().contains('@'));
        let scheme = scheme.as_ref().map_or("http", |scheme| scheme.as_str());
        Self(format!(
            "{scheme}://{}",
            host.as_ref().map_or(NOWHERE, Authority::as_str)
        ))
    }
}

#[cfg(test)]
mod tests {
    use http::{Request, uri::Scheme};

    use super::*;

    fn origin(host: &str, addressed: Option<Addressed>) -> String {
        let mut request = Request::get("/files/").header(header::HOST, host);
        if let Some(addressed) = addressed {
            request = request.extension(addressed);
        }
        Origin::of(&request.body(()).unwrap().into_parts().0, None).0
    }

    #[test]
    fn urls_begin_where_the_client_believes_us() {
        assert_eq!(origin("video.example:8080", None), "http://video.example:8080");
        let proxied = Addressed {
            scheme: Some(Scheme::HTTPS),
            host: Some(Authority::from_static("video.example")),
        };
        assert_eq!(origin("10.0.0.7:8080", Some(proxied)), "https://video.example");
        for wrong in ["evil.example/path?", "user@evil.example", "a b"] {
            assert_eq!(origin(wrong, None), "http://localhost", "{wrong}");
        }
        let parts = Request::get("http://h2.example/files/")
            .body(())
            .unwrap()
            .into_parts()
            .0;
        assert_eq!(Origin::of(&parts, None).0, "http://h2.example");
        assert_eq!(
            Origin::of(&parts, Some("https://public.example/")).0,
            "https://public.example"
        );
    }
}
