//! On whose behalf the edge calls: it passes on what the caller showed, and the services judge that.

use axum::extract::FromRequestParts;
use http::{HeaderMap, HeaderValue, header::AUTHORIZATION, request::Parts};
use tonic::{Request, metadata::MetadataMap};

/// The query parameter that stands for `Authorization: Bearer …`, for the signed URLs of upload grants and for browsers, whose
/// WebSockets and event sources can't send headers.
pub(crate) const TOKEN_PARAMETER: &str = "access_token";

/// What a caller showed, if anything.
#[derive(Debug, Clone, Default)]
pub(crate) struct Caller {
    authorization: Option<HeaderValue>,
}

impl Caller {
    /// From the header, or from the query if there is no header.
    pub(crate) fn of(headers: &HeaderMap, query: Option<&str>) -> Self {
        let shown = headers.get(AUTHORIZATION).cloned();
        let authorization = shown.or_else(|| from_query(query?)).map(|mut value| {
            value.set_sensitive(true);
            value
        });
        Self { authorization }
    }

    /// A gRPC request of this caller, in the trace of the request that is being answered.
    pub(crate) fn request<T>(&self, message: T) -> Request<T> {
        let mut headers = HeaderMap::new();
        reelway_telemetry::inject(&mut headers);
        if let Some(authorization) = &self.authorization {
            headers.insert(AUTHORIZATION, authorization.clone());
        }
        let mut request = Request::new(message);
        *request.metadata_mut() = MetadataMap::from_headers(headers);
        request
    }
}

impl<S: Sync> FromRequestParts<S> for Caller {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Self::Rejection> {
        Ok(Self::of(&parts.headers, parts.uri.query()))
    }
}

fn from_query(query: &str) -> Option<HeaderValue> {
    let mut parameters = url::form_urlencoded::parse(query.as_bytes());
    let (_, token) = parameters.find(|(name, _)| name == TOKEN_PARAMETER)?;
    HeaderValue::try_from(format!("Bearer {token}")).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_counts_before_the_query() {
        let mut headers = HeaderMap::new();
        let shown = |headers: &HeaderMap, query| {
            let request = Caller::of(headers, query).request(());
            request
                .metadata()
                .get("authorization")
                .map(|value| value.to_str().unwrap().to_owned())
        };
        assert_eq!(shown(&headers, None), None);
        assert_eq!(
            shown(&headers, Some("a=b&access_token=x%2Dy")).as_deref(),
            Some("Bearer x-y")
        );
        assert_eq!(
            shown(&headers, Some("access_token=a%0D%0Ab")),
            None,
            "no header can be smuggled in"
        );
        headers.insert(AUTHORIZATION, HeaderValue::from_static("Bearer z"));
        assert_eq!(shown(&headers, Some("access_token=x")).as_deref(), Some("Bearer z"));
    }
}
