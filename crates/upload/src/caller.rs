//! Who calls.

use reelway_domain::Tenant;
use tonic::Request;

/// Whose uploads a request is about. A node without identities has one tenant.
pub(crate) fn tenant<T>(_request: &Request<T>) -> Tenant {
    Tenant::single()
}
