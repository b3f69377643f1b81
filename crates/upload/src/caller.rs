//! Who calls, and whether that one may write what it names.

use reelway_auth::{Access, Identity};
use reelway_catalog::Upload;
use reelway_domain::{Failure, Reason};
use reelway_rpc::to_status;
use tonic::{Request, Status};

/// Who sent a request, as the layer in front of the service has found out.
///
/// # Errors
/// `INTERNAL` if there is no such layer.
pub(crate) fn identity<T>(request: &Request<T>) -> Result<Identity, Status> {
    let found = Identity::of(request.extensions());
    found.cloned().map_err(|failure| to_status(&failure))
}

/// Whether an upload is still what the caller's grant was signed for. A length that was not known then may be any.
///
/// # Errors
/// `PERMISSION_MISSING` if it has another length or type.
pub(crate) fn check_grant(caller: &Identity, upload: &Upload) -> Result<(), Failure> {
    let Access::Grant(grant) = &caller.access else {
        return Ok(());
    };
    let same_size = grant.size.is_none() || grant.size == upload.size;
    if same_size && grant.content_type == upload.content_type {
        return Ok(());
    }
    let message = "the grant was signed for another length or type than the upload has; ask for another grant";
    Err(Failure::new(Reason::PermissionMissing, message).with("uploadId", upload.id))
}
