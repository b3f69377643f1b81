//! How calls are refused.

use reelway_domain::{Failure, Reason};
use reelway_rpc::from_status;
use tonic::Status;

#[expect(clippy::needless_pass_by_value, reason = "for map_err")]
pub(crate) fn failure(status: Status) -> Failure {
    from_status(&status).unwrap_or_else(|| panic!("not one of ours: {status:?}"))
}

/// The failure's offsets, as the client goes on from them.
pub(crate) fn durable(failure: &Failure) -> usize {
    failure.metadata["durableOffset"].parse().unwrap()
}

/// Checks the reason and gives the failure.
pub(crate) fn refused<T: std::fmt::Debug>(result: Result<T, Failure>, reason: Reason) -> Failure {
    let failure = result.unwrap_err();
    assert_eq!(failure.reason, reason, "{failure}");
    failure
}
