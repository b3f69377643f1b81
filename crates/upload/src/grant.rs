//! Grants: a token with which a browser or a phone can write one upload, and nothing else.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use reelway::v1::{CreateUploadGrantRequest, CreateUploadGrantResponse};
use reelway_auth::{Identity, Scope, UploadGrant};
use reelway_domain::{Failure, Reason, Timestamp, UploadId, UploadKind, UploadState, limits};
use reelway_rpc::{
    convert::timestamp,
    request::{all_valid, parse_id, violation},
};

use crate::{
    ended::{not_writable, outcome},
    server::Shared,
};

impl Shared {
    /// Signs a grant for an upload that still receives.
    ///
    /// # Errors
    /// `FIELD_INVALID` if it would be good for too long; `UPLOAD_COMPLETE` and others if nothing can be written any more;
    /// `UPLOAD_NOT_WRITABLE` for an upload that is put together from others; `FEATURE_UNAVAILABLE` if this server signs none.
    pub(crate) async fn grant(
        &self,
        caller: &Identity,
        request: &CreateUploadGrantRequest,
    ) -> Result<CreateUploadGrantResponse, Failure> {
        caller.require(Scope::UploadsWrite)?;
        let mut violations = Vec::new();
        let id = parse_id::<UploadId>("upload_id", &request.upload_id, &mut violations);
        let lifetime = parse_lifetime(request.lifetime.as_ref());
        if lifetime.is_none() {
            let description = format!("must be above 0 and at most {} s", limits::GRANT_LIFETIME_MAX.as_secs());
            violations.push(violation("lifetime", description));
        }
        all_valid(violations)?;
        // Without a violation there are both.
        let (id, lifetime) = id
            .zip(lifetime)
            .ok_or_else(|| Failure::new(Reason::Internal, "a field was lost"))?;
        let upload = self.find(&caller.tenant, id).await?;
        if upload.kind == UploadKind::Joined {
            return Err(not_writable(id));
        }
        if upload.state == UploadState::Complete {
            let message = "the upload is complete; there is nothing left to write";
            return Err(Failure::new(Reason::UploadComplete, message).with("uploadId", id));
        }
        if upload.state != UploadState::Receiving {
            outcome(upload.clone())?;
        }
        let Some(auth) = &self.settings.auth else {
            let message = "this server signs no upload grants";
            return Err(Failure::new(Reason::FeatureUnavailable, message));
        };
        let expires_at = end_of(lifetime);
        let grant = UploadGrant {
            upload: id,
            size: upload.size,
            content_type: upload.content_type,
            expires_at,
        };
        let token = auth.sign_grant(&caller.tenant, &grant);
        let base = self.settings.public_url.as_deref().unwrap_or_default();
        Ok(CreateUploadGrantResponse {
            url: format!("{}/files/{id}?access_token={token}", base.trim_end_matches('/')),
            token,
            expire_time: Some(timestamp(expires_at)),
        })
    }
}

/// How long a grant is to be good for; `None` if it can't be.
pub(crate) fn parse_lifetime(asked: Option<&prost_types::Duration>) -> Option<Duration> {
    let Some(asked) = asked else {
        return Some(limits::GRANT_LIFETIME_DEFAULT);
    };
    let lifetime = Duration::try_from(*asked).ok()?;
    (!lifetime.is_zero() && lifetime <= limits::GRANT_LIFETIME_MAX).then_some(lifetime)
}

/// When a grant ends that is signed now. Whoever verifies it looks at the same kind of clock.
pub(crate) fn end_of(lifetime: Duration) -> Timestamp {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp(i64::try_from((now + lifetime).as_millis()).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lifetimes() {
        let parse = |seconds, nanos| parse_lifetime(Some(&prost_types::Duration { seconds, nanos }));
        assert_eq!(parse_lifetime(None), Some(Duration::from_secs(3600)));
        assert_eq!(parse(60, 0), Some(Duration::from_secs(60)));
        assert_eq!(parse(24 * 3600, 0), Some(limits::GRANT_LIFETIME_MAX));
        for (seconds, nanos) in [(0, 0), (-1, 0), (0, -1), (24 * 3600, 1), (i64::MAX, 0)] {
            assert_eq!(parse(seconds, nanos), None, "{seconds} s {nanos} ns");
        }
    }
}
