//! How callers say who they are, as it is configured.

use std::time::Duration;

use super::ConfigError;
use crate::{
    secret::{self, Secret},
    serve_args::{AuthMode, ServeOptions},
};

/// How callers say who they are.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct AuthConfig {
    /// They have to.
    pub(crate) is_required: bool,
    /// Whose tokens are taken.
    pub(crate) jwt: JwtConfig,
    /// What grants and playback addresses are signed with; absent: a key that the catalog keeps.
    pub(crate) signing_key: Option<Secret>,
}

/// Whose tokens are taken, in the words of the configuration.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct JwtConfig {
    /// Where the issuer's keys are; absent: no tokens are taken.
    pub(crate) jwks: Option<String>,
    /// The issuers.
    pub(crate) issuers: Vec<String>,
    /// The audiences.
    pub(crate) audiences: Vec<String>,
    /// How tokens may be signed; absent: the auth crate's own choice.
    pub(crate) algorithms: Option<Vec<String>>,
    /// How far clocks may be apart; absent: the auth crate's own choice.
    pub(crate) leeway: Option<Duration>,
    /// The claim that names the tenant; absent: the auth crate's own choice.
    pub(crate) tenant_claim: Option<String>,
    /// The claim that lists the scopes; absent: the auth crate's own choice.
    pub(crate) scope_claim: Option<String>,
}

impl AuthConfig {
    /// What of the options is about callers.
    ///
    /// # Errors
    /// If the signing key is given twice, or its file can't be read.
    pub(super) fn take(options: &mut ServeOptions) -> Result<Self, ConfigError> {
        let given = options.signing_key.take().map(|secret| secret.0);
        let signing_key = secret::given("signing-key", given, options.signing_key_file.as_deref())?;
        Ok(Self {
            is_required: options.auth.unwrap_or_default() == AuthMode::Required,
            jwt: JwtConfig {
                jwks: options.jwt_jwks.take(),
                issuers: options.jwt_issuer.take().unwrap_or_default(),
                audiences: options.jwt_audience.take().unwrap_or_default(),
                algorithms: options.jwt_algorithms.take(),
                leeway: options.jwt_leeway.map(|leeway| leeway.0),
                tenant_claim: options.jwt_tenant_claim.take(),
                scope_claim: options.jwt_scope_claim.take(),
            },
            signing_key: signing_key.map(Secret),
        })
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::config::testing::{config, resolve};

    #[test]
    fn nobody_is_asked_unless_that_is_said() {
        assert_eq!(config(&[]).auth, AuthConfig::default());
        assert!(config(&["--auth", "required"]).auth.is_required);
    }

    #[test]
    fn the_file_says_what_flags_do_not() {
        let (file, key) = (tempfile::NamedTempFile::new(), tempfile::NamedTempFile::new());
        let (file, key) = (file.expect("a file"), key.expect("a file"));
        fs::write(key.path(), "secret\n").expect("a written file");
        let text =
            "auth = \"required\"\njwt-issuer = [\"a\", \"b\"]\njwt-leeway = \"5s\"\nsigning-key = \"in the file\"\n";
        fs::write(file.path(), text).expect("a written file");
        let [path, key] = [file.path(), key.path()].map(|path| path.to_str().expect("a path").to_owned());
        let auth = config(&["--config", &path, "--jwt-issuer", "c,d"]).auth;
        assert!(auth.is_required);
        assert_eq!(
            (auth.jwt.issuers, auth.jwt.leeway),
            (vec!["c".into(), "d".into()], Some(Duration::from_secs(5)))
        );
        assert_eq!(auth.signing_key, Some(Secret("in the file".into())));
        let auth = config(&["--config", &path, "--signing-key-file", &key]).auth;
        assert_eq!(
            auth.signing_key,
            Some(Secret("secret".into())),
            "a flag's file wins over the file's value"
        );
        let unread = resolve(&["--signing-key-file", "/nowhere/key"]).expect_err("no file");
        assert!(unread.to_string().contains("/nowhere/key"), "{unread}");
    }
}
