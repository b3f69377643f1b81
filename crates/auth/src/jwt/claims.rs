//! What the claims of a good token mean here.

use reelway_domain::{Failure, Reason, Tenant};
use serde_json::{Map, Value};

use crate::{Access, Identity, Scope, Scopes};

/// Whom the claims name, and what it may do. Words that are no scopes here belong to others: `openid`, `profile`.
///
/// # Errors
/// `CREDENTIALS_INVALID` if they name no tenant. There is no other claim that would do instead: `sub` is a person at one
/// provider and a program at another.
pub(super) fn identity(claims: &Map<String, Value>, tenant: &str, scopes: &str) -> Result<Identity, Failure> {
    let named = claims.get(tenant).and_then(Value::as_str).map(Tenant::named);
    let tenant = match named {
        Some(Ok(tenant)) => tenant,
        Some(Err(error)) => {
            let message = format!("the token's claim {tenant} names no tenant: {error}");
            return Err(Failure::new(Reason::CredentialsInvalid, message).with("claim", tenant));
        }
        None => {
            let message = format!("the token has no claim {tenant} that names its tenant");
            return Err(Failure::new(Reason::CredentialsInvalid, message).with("claim", tenant));
        }
    };
    Ok(Identity {
        tenant,
        access: Access::Scoped(claims.get(scopes).map_or_else(Scopes::default, scopes_of)),
    })
}

fn scopes_of(claim: &Value) -> Scopes {
    match claim {
        Value::String(words) => words.split_ascii_whitespace().filter_map(known).collect(),
        Value::Array(words) => words.iter().filter_map(Value::as_str).filter_map(known).collect(),
        _ => Scopes::default(),
    }
}

fn known(word: &str) -> Option<Scope> {
    word.parse().ok()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(claims: &Value) -> Result<Identity, Failure> {
        identity(claims.as_object().unwrap(), "org", "scope")
    }

    #[test]
    fn scopes_are_words_in_a_text_or_an_array() {
        let expected = Access::Scoped([Scope::JobsRead, Scope::UploadsWrite].into_iter().collect());
        for scope in [
            json!("openid jobs:read  uploads:write"),
            json!(["uploads:write", 7, "jobs:read"]),
        ] {
            let identity = read(&json!({"org": "acme", "scope": scope})).unwrap();
            assert_eq!((identity.tenant.as_str(), identity.access), ("acme", expected.clone()));
        }
        for scope in [json!(null), json!(7), json!("uploads"), json!({"jobs:read": true})] {
            let identity = read(&json!({"org": "acme", "scope": scope})).unwrap();
            assert_eq!(
                identity.access,
                Access::Scoped(Scopes::default()),
                "nothing is given for granted"
            );
        }
    }

    #[test]
    fn without_a_tenant_nobody_is_meant() {
        for claims in [
            json!({"sub": "acme"}),
            json!({"org": "a/b"}),
            json!({"org": ""}),
            json!({"org": ["acme"]}),
        ] {
            let failure = read(&claims).unwrap_err();
            assert_eq!(failure.reason, Reason::CredentialsInvalid);
            assert_eq!(failure.metadata.get("claim").map(String::as_str), Some("org"));
        }
    }
}
