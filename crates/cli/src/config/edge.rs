//! What an edge needs to know besides: who its callers are, and where the services are that it calls.

use std::path::PathBuf;

use reelway_edge::{AllowedOrigin, Network, PublicBase};
use reelway_rpc::TlsFiles;

use super::ConfigError;
use crate::serve_args::{PlaybackAccess, PlaybackDelivery, Role, ServeOptions};

/// The services that run elsewhere.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct UpstreamConfig {
    server: Option<String>,
    upload: Option<String>,
    jobs: Option<String>,
    progress: Option<String>,
    /// Certificates of authorities, in PEM.
    pub(crate) ca: Option<PathBuf>,
}

/// Whose requests are answered, and how many at once.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct EdgeConfig {
    /// The pages that may call from elsewhere.
    pub(crate) cors_origins: Vec<AllowedOrigin>,
    /// The proxies that are believed.
    pub(crate) trusted_proxies: Vec<Network>,
    /// Who may play.
    pub(crate) playback: PlaybackAccess,
    /// How segments get to players.
    pub(crate) delivery: PlaybackDelivery,
    /// Where everybody may read the bucket.
    pub(crate) playback_public_url: Option<PublicBase>,
    /// How many connections there may be; absent: the edge's own choice.
    pub(crate) connections: Option<usize>,
    /// How many connections there may be from one address; absent: the edge's own choice.
    pub(crate) connections_per_address: Option<usize>,
}

impl UpstreamConfig {
    pub(super) fn take(options: &mut ServeOptions) -> Self {
        Self {
            server: options.server.take(),
            upload: options.upload_url.take(),
            jobs: options.jobs_url.take(),
            progress: options.progress_url.take(),
            ca: options.upstream_ca.take(),
        }
    }

    /// Where a role is, if that was said.
    pub(crate) fn of(&self, role: Role) -> Option<&str> {
        let own = match role {
            Role::Upload => &self.upload,
            Role::Jobs => &self.jobs,
            Role::Progress => &self.progress,
            Role::Edge | Role::Worker => return None,
        };
        own.as_deref().or(self.server.as_deref())
    }

    /// The option that says where a role is.
    pub(crate) fn option(role: Role) -> &'static str {
        match role {
            Role::Upload => "--upload-url",
            Role::Jobs => "--jobs-url",
            Role::Progress => "--progress-url",
            Role::Edge | Role::Worker => "--server",
        }
    }
}

impl EdgeConfig {
    pub(super) fn take(options: &mut ServeOptions) -> Self {
        Self {
            cors_origins: options.cors_origin.take().unwrap_or_default(),
            trusted_proxies: options.trusted_proxy.take().unwrap_or_default(),
            playback: options.playback.take().unwrap_or_default(),
            delivery: options.playback_delivery.take().unwrap_or_default(),
            playback_public_url: options.playback_public_url.take(),
            connections: options.http_connections.take().map(Into::into),
            connections_per_address: options.http_connections_per_address.take().map(Into::into),
        }
    }
}

/// The certificates of a server, if TLS is wanted.
///
/// # Errors
/// If only a part of them is given.
pub(super) fn take_tls(options: &mut ServeOptions) -> Result<Option<TlsFiles>, ConfigError> {
    let (certificate, key, client_ca) = (
        options.tls_cert.take(),
        options.tls_key.take(),
        options.tls_client_ca.take(),
    );
    let half = |option, problem| Err(ConfigError::Half { option, problem });
    match (certificate, key, client_ca) {
        (Some(certificate), Some(key), client_ca) => Ok(Some(TlsFiles {
            certificate,
            key,
            client_ca,
        })),
        (Some(_), None, _) => half("tls-cert", "a certificate is of no use without --tls-key"),
        (None, Some(_), _) => half("tls-key", "a key is of no use without --tls-cert"),
        (None, None, Some(_)) => half(
            "tls-client-ca",
            "clients are only asked for certificates with --tls-cert and --tls-key",
        ),
        (None, None, None) => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    use crate::config::testing::resolve;

    #[test]
    fn tls_is_given_as_a_whole_or_not_at_all() {
        for (options, named) in [
            (&["--tls-cert", "/c"][..], "--tls-cert"),
            (&["--tls-key", "/k"], "--tls-key"),
            (&["--tls-key", "/k", "--tls-client-ca", "/ca"], "--tls-key"),
            (&["--tls-client-ca", "/ca"], "--tls-client-ca"),
        ] {
            let error = resolve(options).expect_err(named).to_string();
            assert!(error.starts_with(named), "{error}");
        }
        let config = resolve(&["--tls-cert", "/c", "--tls-key", "/k"]).expect("both");
        assert_eq!(config.tls.expect("TLS").client_ca, None);
        assert_eq!(resolve(&[]).expect("neither").tls, None);
    }
}
