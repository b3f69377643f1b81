//! What stands in front of a service and lets only as many requests through as a limiter does.

use std::{
    mem,
    pin::Pin,
    task::{Context, Poll},
};

use http::{Extensions, Request, Response};
use reelway_domain::Failure;
use tonic::server::NamedService;
use tower::{Layer, Service};

use super::{ClientAddr, RateBy, RateLimiter};
use crate::Identity;

/// Puts a service behind a limiter, or behind none. A limiter by tenant looks at the [`Identity`] in the request's extensions, one
/// by address at the [`ClientAddr`]; a request without is let through. `F` makes the answer of a refusal.
#[derive(Debug, Clone)]
pub struct RateLayer<F> {
    limiter: Option<RateLimiter>,
    refuse: F,
}

/// A service that is called no more often than its limiter allows.
#[derive(Debug, Clone)]
pub struct RateLimited<S, F> {
    inner: S,
    limiter: Option<RateLimiter>,
    refuse: F,
}

impl<F> RateLayer<F> {
    /// A layer with this limiter, which answers refusals with what `refuse` makes of the failure.
    pub fn new(limiter: Option<RateLimiter>, refuse: F) -> Self {
        Self { limiter, refuse }
    }
}

impl<S, F: Clone> Layer<S> for RateLayer<F> {
    type Service = RateLimited<S, F>;

    fn layer(&self, inner: S) -> RateLimited<S, F> {
        RateLimited {
            inner,
            limiter: self.limiter.clone(),
            refuse: self.refuse.clone(),
        }
    }
}

impl<S: NamedService, F> NamedService for RateLimited<S, F> {
    const NAME: &'static str = S::NAME;
}

impl<S, F, B, R> Service<Request<B>> for RateLimited<S, F>
where
    S: Service<Request<B>, Response = Response<R>> + Clone + Send + 'static,
    S::Future: Send,
    F: Fn(Failure) -> Response<R> + Clone + Send + 'static,
    B: Send + 'static,
{
    type Response = Response<R>;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Response<R>, S::Error>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let limiter = self.limiter.clone();
        let limited = limiter.and_then(|limiter| Some((key(limiter.by(), request.extensions())?, limiter)));
        let Some((key, limiter)) = limited else {
            return Box::pin(self.inner.call(request));
        };
        // The one that said it is ready is the one that is called.
        let next = self.inner.clone();
        let mut inner = mem::replace(&mut self.inner, next);
        let refuse = self.refuse.clone();
        Box::pin(async move {
            match limiter.take(&key).await {
                Ok(()) => inner.call(request).await,
                Err(failure) => Ok(refuse(failure)),
            }
        })
    }
}

fn key(by: RateBy, extensions: &Extensions) -> Option<String> {
    match by {
        RateBy::Tenant => Some(extensions.get::<Identity>()?.tenant.as_str().to_owned()),
        RateBy::Address => extensions.get::<ClientAddr>()?.key(),
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use reelway_bus::Bus;
    use reelway_domain::{Reason, Tenant};
    use tower::{ServiceExt as _, service_fn};

    use super::*;

    /// The statuses of requests with these extensions, one after the other.
    async fn statuses<T: Clone + Send + Sync + 'static>(by: RateBy, shown: &[T]) -> Vec<u16> {
        let limiter = RateLimiter::new(by, "2/h".parse().unwrap(), &Bus::default());
        let refuse = |failure: Failure| {
            assert_eq!(failure.reason, Reason::RateLimited);
            let status = failure.reason.http_status();
            Response::builder().status(status).body(()).unwrap()
        };
        let answer = service_fn(async |_: Request<()>| Ok::<_, Infallible>(Response::new(())));
        let mut service = RateLayer::new(Some(limiter), refuse).layer(answer);
        let mut statuses = Vec::new();
        for shown in shown {
            let mut request = Request::new(());
            request.extensions_mut().insert(shown.clone());
            let response = service.ready().await.unwrap().call(request).await.unwrap();
            statuses.push(response.status().as_u16());
        }
        statuses
    }

    #[tokio::test]
    async fn each_tenant_has_its_own_calls() {
        let of = |name| Identity {
            tenant: Tenant::named(name).unwrap(),
            ..Identity::anybody()
        };
        let shown = [of("a"), of("a"), of("a"), of("b")];
        assert_eq!(statuses(RateBy::Tenant, &shown).await, [200, 200, 429, 200]);
    }

    #[tokio::test]
    async fn each_address_has_its_own_calls_and_loopback_all_of_them() {
        let of = |address: &str| ClientAddr(address.parse().unwrap());
        let shown = [of("192.0.2.1"), of("192.0.2.1"), of("192.0.2.1"), of("192.0.2.2")];
        assert_eq!(statuses(RateBy::Address, &shown).await, [200, 200, 429, 200]);
        assert_eq!(statuses(RateBy::Address, &[of("127.0.0.1"); 4]).await, [200; 4]);
    }

    #[tokio::test]
    async fn who_is_not_known_is_let_through() {
        assert_eq!(statuses(RateBy::Tenant, &["a stranger"; 4]).await, [200; 4]);
        assert_eq!(statuses(RateBy::Address, &["from nowhere"; 4]).await, [200; 4]);
    }
}
