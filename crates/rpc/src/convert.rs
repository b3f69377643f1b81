//! Domain values as messages of the contract.

mod event;
mod ladder;
mod resource;
mod state;
mod urls;

use reelway::v1;
use reelway_domain::{Failure, Reason, Timestamp};

use crate::status::INTERNAL_MESSAGE;

pub use event::job_event;
pub(crate) use ladder::from_proto as ladder_from_proto;
pub use ladder::ladder;
pub use resource::{rendition, source};
pub use state::ProtoEnum;
pub use urls::PlaybackUrls;

/// A point in time.
#[must_use]
pub fn timestamp(at: Timestamp) -> prost_types::Timestamp {
    prost_types::Timestamp {
        seconds: at.0.div_euclid(1000),
        nanos: nanos(at.0.rem_euclid(1000)),
    }
}

/// A span of time, given in milliseconds.
#[must_use]
pub fn duration_ms(ms: i64) -> prost_types::Duration {
    // Both parts have the sign of the whole, as protobuf wants it.
    prost_types::Duration {
        seconds: ms / 1000,
        nanos: nanos(ms % 1000),
    }
}

/// A failure that is part of a resource. As in a status, nothing of a defect is told but that there was one.
#[must_use]
pub fn error(failure: &Failure) -> v1::Error {
    let reason = failure.reason.as_str().to_owned();
    if failure.reason == Reason::Internal {
        return v1::Error {
            reason,
            message: INTERNAL_MESSAGE.to_owned(),
            ..Default::default()
        };
    }
    v1::Error {
        reason,
        message: failure.message.clone(),
        metadata: failure.metadata.clone().into_iter().collect(),
    }
}

/// The nanoseconds of less than a second's milliseconds.
fn nanos(ms: i64) -> i32 {
    i32::try_from(ms * 1_000_000).unwrap_or_default()
}

/// A count that the contract holds as a signed number; what is beyond its range becomes its end.
fn signed(count: u32) -> i32 {
    i32::try_from(count).unwrap_or(i32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_before_and_after_the_epoch() {
        let parts = |t: prost_types::Timestamp| (t.seconds, t.nanos);
        assert_eq!(parts(timestamp(Timestamp(1_500))), (1, 500_000_000));
        assert_eq!(parts(timestamp(Timestamp(-1))), (-1, 999_000_000));
        let duration = duration_ms(-1_500);
        assert_eq!((duration.seconds, duration.nanos), (-1, -500_000_000));
    }

    #[test]
    fn defects_in_resources_stay_inside() {
        let told = error(&Failure::new(Reason::Internal, "/srv/secret").with("path", "/srv/secret"));
        assert!(!format!("{told:?}").contains("secret"), "{told:?}");
        assert_eq!(
            error(&Failure::new(Reason::SourceEmpty, "no bytes").with("n", 0)).metadata["n"],
            "0"
        );
    }
}
