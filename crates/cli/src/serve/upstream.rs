//! The services that an edge calls: those of its own process are called directly, the others over the network.

use std::convert::Infallible;

use http::{Request, Response};
use reelway_client::channel;
use reelway_edge::{GrpcService, Upstream, in_process, remote};
use reelway_rpc::observed;
use tonic::body::Body;
use tower::Service;

use crate::{
    args::trust,
    config::{ServeConfig, UpstreamConfig},
    error::CliError,
    serve_args::Role,
};

/// How many connections an edge has to each server: all watchers in all browsers are streams on them, and a server allows a
/// thousand on each.
const CONNECTIONS_PER_SERVER: usize = 4;

/// A gRPC service that can be called without a port.
pub(super) trait LocalService:
    Service<Request<Body>, Response = Response<Body>, Error = Infallible, Future: Send + 'static>
    + Clone
    + Send
    + Sync
    + 'static
{
}

impl<S> LocalService for S where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible, Future: Send + 'static>
        + Clone
        + Send
        + Sync
        + 'static
{
}

/// The services of this process.
#[derive(Default)]
pub(super) struct LocalServices {
    upload: Option<GrpcService>,
    jobs: Option<GrpcService>,
    progress: Option<GrpcService>,
}

impl LocalServices {
    /// Keeps the service of a role that serves gRPC, as its port has it.
    pub(super) fn keep(&mut self, role: Role, service: impl LocalService) {
        let place = match role {
            Role::Upload => &mut self.upload,
            Role::Jobs => &mut self.jobs,
            Role::Progress => &mut self.progress,
            Role::Edge | Role::Worker => return,
        };
        *place = Some(in_process(observed(service)));
    }

    /// What the edge of this process calls. To servers that ask for a certificate it shows its own.
    ///
    /// # Errors
    /// If an address can't be called, or a file can't be read.
    pub(super) fn upstream(self, config: &ServeConfig) -> Result<Upstream, CliError> {
        let pair = config
            .tls
            .as_ref()
            .map(|tls| (tls.certificate.as_path(), tls.key.as_path()));
        let trust = trust(config.upstream.ca.as_deref(), pair)?;
        let service = |local: Option<GrpcService>, role| match (local, config.upstream.of(role)) {
            (Some(local), _) => Ok(local),
            (None, Some(urls)) => Ok(remote(channel(urls, &trust, CONNECTIONS_PER_SERVER)?)),
            (None, None) => Err(missing(role)),
        };
        Ok(Upstream {
            uploads: service(self.upload, Role::Upload)?,
            jobs: service(self.jobs, Role::Jobs)?,
            progress: service(self.progress, Role::Progress)?,
        })
    }
}

/// An edge that doesn't know where a role is.
fn missing(role: Role) -> CliError {
    let option = UpstreamConfig::option(role);
    let message = format!("{option}: an edge without this role in its process must know where it is");
    CliError::usage(message).hint(format!("{option} http://HOST:PORT, or --server for all of them"))
}

/// Refuses an edge that doesn't know where the other roles are, and settings that would change nothing.
///
/// # Errors
/// A usage error that names the option.
pub(super) fn check(config: &ServeConfig) -> Result<(), CliError> {
    if !config.roles.contains(&Role::Edge) {
        return Ok(());
    }
    let elsewhere = [Role::Upload, Role::Jobs, Role::Progress]
        .into_iter()
        .filter(|role| !config.roles.contains(role));
    let mut has_tls = false;
    for role in elsewhere {
        let urls = config.upstream.of(role).ok_or_else(|| missing(role))?;
        has_tls |= urls.contains("https://");
        let is_url = |url: &str| url.starts_with("http://") || url.starts_with("https://");
        if !urls.split(',').all(is_url) {
            let message = format!(
                "{} {urls}: it must look like http://HOST:PORT",
                UpstreamConfig::option(role)
            );
            return Err(CliError::usage(message));
        }
    }
    if config.upstream.ca.is_some() && !has_tls {
        let message = "--upstream-ca: this edge reaches no server by https://, so there is no certificate to check";
        return Err(CliError::usage(message));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::testing::config;

    fn refused(options: &[&str]) -> CliError {
        check(&config(options)).expect_err(&options.join(" "))
    }

    #[test]
    fn an_edge_alone_must_know_where_the_others_are() {
        let error = refused(&["--role", "edge"]);
        assert!(error.message.starts_with("--upload-url"), "{error}");
        let error = refused(&["--role", "edge,upload", "--jobs-url", "http://h:1"]);
        assert!(error.message.starts_with("--progress-url"), "{error}");
        let error = refused(&["--role", "edge", "--server", "h:1"]);
        assert!(error.message.starts_with("--upload-url h:1"), "{error}");
        let error = refused(&["--role", "edge", "--server", "http://h:1", "--upstream-ca", "/ca.pem"]);
        assert!(error.message.starts_with("--upstream-ca"), "{error}");
        for works in [
            &[
                "--role",
                "edge",
                "--server",
                "http://a:1,https://b:1",
                "--upstream-ca",
                "/ca.pem",
            ][..],
            &["--role", "edge,upload,jobs", "--progress-url", "http://h:1"],
            &["--role", "upload"],
            &[],
        ] {
            check(&config(works)).expect("it works");
        }
    }

    #[test]
    fn each_role_may_be_elsewhere() {
        let config = config(&[
            "--role",
            "edge",
            "--server",
            "http://all:1",
            "--jobs-url",
            "http://jobs:1",
        ]);
        let urls = [Role::Upload, Role::Jobs, Role::Progress].map(|role| config.upstream.of(role));
        assert_eq!(
            urls,
            [Some("http://all:1"), Some("http://jobs:1"), Some("http://all:1")]
        );
    }
}
