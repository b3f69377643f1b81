//! Who calls, as services see it.

use http::Extensions;
use reelway_domain::{Failure, Reason, Tenant, Timestamp, UploadId};

use crate::{Scope, Scopes};

/// Who calls, for one request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// Whose rows the caller may see and change.
    pub tenant: Tenant,
    /// What it may do with them.
    pub access: Access,
}

/// What a caller may do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Access {
    /// Whatever these scopes allow, with everything of the tenant.
    Scoped(Scopes),
    /// Write one upload, and nothing else.
    Grant(UploadGrant),
}

/// What a grant is bound to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UploadGrant {
    /// The upload that may be written.
    pub upload: UploadId,
    /// Its length in bytes when the grant was signed; `None` if it was not known.
    pub size: Option<i64>,
    /// Its media type when the grant was signed.
    pub content_type: String,
    /// When the grant ends.
    pub expires_at: Timestamp,
}

impl Identity {
    /// The caller of a node on which nobody has to say who they are.
    #[must_use]
    pub fn anybody() -> Self {
        Self {
            tenant: Tenant::single(),
            access: Access::Scoped(Scopes::all()),
        }
    }

    /// The caller that the layer in front of the service has found.
    ///
    /// # Errors
    /// `INTERNAL` if no layer stands in front of the service: nothing is answered to nobody.
    pub fn of(extensions: &Extensions) -> Result<&Self, Failure> {
        let found = extensions.get::<Self>();
        found.ok_or_else(|| Failure::new(Reason::Internal, "a service was called without an identity"))
    }

    /// Whether the caller may do this with whatever its tenant has.
    ///
    /// # Errors
    /// `PERMISSION_MISSING` with the scope that it takes.
    pub fn require(&self, scope: Scope) -> Result<(), Failure> {
        match &self.access {
            Access::Scoped(scopes) if scopes.contains(scope) => Ok(()),
            Access::Scoped(_) => {
                let message = format!("this takes a key or token with the scope {scope}");
                Err(Failure::new(Reason::PermissionMissing, message).with("scope", scope))
            }
            Access::Grant(grant) => {
                let message = "an upload grant allows to write its one upload and nothing else";
                Err(Failure::new(Reason::PermissionMissing, message).with("uploadId", grant.upload))
            }
        }
    }

    /// Whether the caller may write this upload, or look how far it is: with a scope for all, or a grant for this one. The
    /// scope to write is enough to look at one upload.
    ///
    /// # Errors
    /// `PERMISSION_MISSING` without the scope; `UPLOAD_NOT_FOUND` for the grant of another upload, so that a grant tells nothing
    /// of what else there is.
    pub fn require_upload(&self, upload: UploadId, scope: Scope) -> Result<(), Failure> {
        match &self.access {
            Access::Grant(grant) if grant.upload == upload => Ok(()),
            Access::Grant(_) => {
                let message = "there is no such upload; the grant is for another";
                Err(Failure::new(Reason::UploadNotFound, message).with("uploadId", upload))
            }
            // Whoever may write an upload must be able to ask how far it is.
            Access::Scoped(scopes) if scope == Scope::UploadsRead && scopes.contains(Scope::UploadsWrite) => Ok(()),
            Access::Scoped(_) => self.require(scope),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn granted(upload: UploadId) -> Identity {
        let grant = UploadGrant {
            upload,
            size: None,
            content_type: String::new(),
            expires_at: Timestamp(0),
        };
        Identity {
            tenant: Tenant::single(),
            access: Access::Grant(grant),
        }
    }

    #[test]
    fn a_grant_is_for_one_upload_and_nothing_else() {
        let upload = UploadId::new();
        let caller = granted(upload);
        assert_eq!(caller.require_upload(upload, Scope::UploadsWrite), Ok(()));
        let other = caller.require_upload(UploadId::new(), Scope::UploadsWrite).unwrap_err();
        assert_eq!(other.reason, Reason::UploadNotFound);
        for scope in Scope::ALL {
            assert_eq!(caller.require(scope).unwrap_err().reason, Reason::PermissionMissing);
        }
    }

    #[test]
    fn a_scope_is_needed_and_enough() {
        let reader = Identity {
            access: Access::Scoped([Scope::UploadsRead].into_iter().collect()),
            ..Identity::anybody()
        };
        assert_eq!(reader.require_upload(UploadId::new(), Scope::UploadsRead), Ok(()));
        let writer = Identity {
            access: Access::Scoped([Scope::UploadsWrite].into_iter().collect()),
            ..Identity::anybody()
        };
        assert_eq!(writer.require_upload(UploadId::new(), Scope::UploadsRead), Ok(()));
        assert_eq!(
            writer.require(Scope::UploadsRead).unwrap_err().reason,
            Reason::PermissionMissing
        );
        let refused = reader.require(Scope::UploadsWrite).unwrap_err();
        assert_eq!(refused.metadata.get("scope").map(String::as_str), Some("uploads:write"));
    }

    #[test]
    fn without_a_layer_nothing_is_answered() {
        assert_eq!(Identity::of(&Extensions::new()).unwrap_err().reason, Reason::Internal);
    }
}
