//! What stands in front of a gRPC service: it finds out who calls, and holds that against what the method takes.

use std::{
    mem,
    pin::Pin,
    task::{Context, Poll},
};

use http::{Request, Response, request::Parts};
use reelway_domain::Failure;
use tonic::server::NamedService;
use tower::{Layer, Service};

use crate::{Auth, Identity, method};

/// Puts a service behind [`Auth`]. A call is judged when it begins: a stream that runs when its caller's key ends goes on.
#[derive(Debug, Clone)]
pub struct AuthLayer {
    auth: Auth,
}

/// A service that is called only by those who may, with their [`Identity`] in the request's extensions.
#[derive(Debug, Clone)]
pub struct Authenticated<S> {
    inner: S,
    auth: Auth,
}

impl AuthLayer {
    pub(crate) fn new(auth: Auth) -> Self {
        Self { auth }
    }
}

impl<S> Layer<S> for AuthLayer {
    type Service = Authenticated<S>;

    fn layer(&self, inner: S) -> Authenticated<S> {
        Authenticated {
            inner,
            auth: self.auth.clone(),
        }
    }
}

impl<S: NamedService> NamedService for Authenticated<S> {
    const NAME: &'static str = S::NAME;
}

impl<S, B, R> Service<Request<B>> for Authenticated<S>
where
    S: Service<Request<B>, Response = Response<R>> + Clone + Send + 'static,
    S::Future: Send,
    B: Send + 'static,
    R: Default,
{
    type Response = Response<R>;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Response<R>, S::Error>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        // The one that said it is ready is the one that is called.
        let next = self.inner.clone();
        let mut inner = mem::replace(&mut self.inner, next);
        let auth = self.auth.clone();
        Box::pin(async move {
            // Without the body, which may not be one that several threads can look at.
            let (mut parts, body) = request.into_parts();
            match judge(&auth, &parts).await {
                Ok(identity) => {
                    parts.extensions.insert(identity);
                    inner.call(Request::from_parts(parts, body)).await
                }
                Err(failure) => Ok(reelway_rpc::to_status(&failure).into_http()),
            }
        })
    }
}

async fn judge(auth: &Auth, call: &Parts) -> Result<Identity, Failure> {
    let identity = auth.identify(&call.headers).await?;
    method::allow(call.uri.path(), &identity)?;
    Ok(identity)
}

#[cfg(test)]
mod tests;
