//! When to try again, and after which pause.

use std::time::Duration;

use rand::Rng as _;
use reelway_domain::Reason;
use tonic::Code;

use crate::{Error, Refusal};

/// Whether the same may succeed later.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// Ask for the state and go on from there.
    Again,
    /// The answer stays the same until somebody changes something.
    Never,
}

/// What a refusal means for another attempt. An upload or a watch that meets [`Class::Again`] asks where the server stands
/// before it goes on, so `ABORTED` is among them.
#[must_use]
pub fn classify(refusal: &Refusal) -> Class {
    // A broken connection says nothing about the request, whatever code it was given on the way up.
    if refusal.is_transport {
        return Class::Again;
    }
    match refusal.known_reason() {
        // Somebody else writes now; taking over from them would make two writers fight.
        Some(Reason::WriterSuperseded) => return Class::Never,
        // Damaged on the way here or there: the same bytes read again may arrive whole.
        Some(Reason::ChunkChecksumMismatch) => return Class::Again,
        // A part of a bucket's upload, which is handed out once more.
        Some(Reason::PartMismatch) => return Class::Again,
        _ => {}
    }
    match refusal.code {
        Code::Unavailable | Code::Aborted | Code::DeadlineExceeded | Code::Cancelled | Code::Unknown => Class::Again,
        // Without a time to wait there is no reason to hope (AIP-194).
        Code::ResourceExhausted if refusal.retry_after.is_some() => Class::Again,
        Code::Ok
        | Code::InvalidArgument
        | Code::NotFound
        | Code::AlreadyExists
        | Code::PermissionDenied
        | Code::ResourceExhausted
        | Code::FailedPrecondition
        | Code::OutOfRange
        | Code::Unimplemented
        | Code::Internal
        | Code::DataLoss
        | Code::Unauthenticated => Class::Never,
    }
}

/// How often and how soon to try again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RetryPolicy {
    /// The longest first pause; each further one may be twice as long.
    pub pause_first: Duration,
    /// The longest pause.
    pub pause_max: Duration,
    /// How often to try again in a row before giving up.
    pub retries_max: u32,
}

impl Default for RetryPolicy {
    /// Ten more attempts within half a minute or so: a server that restarts is back by then.
    fn default() -> Self {
        Self {
            pause_first: Duration::from_millis(200),
            pause_max: Duration::from_secs(8),
            retries_max: 10,
        }
    }
}

/// The pauses between attempts: exponential with full jitter, so that clients that were cut together don't return together.
#[derive(Debug)]
pub(crate) struct Backoff {
    policy: RetryPolicy,
    retries: u32,
}

impl Backoff {
    pub(crate) fn new(policy: RetryPolicy) -> Self {
        Self { policy, retries: 0 }
    }

    /// How many attempts in a row have failed.
    pub(crate) fn retries(&self) -> u32 {
        self.retries
    }

    /// Something went forward: the next failure is a first one.
    pub(crate) fn reset(&mut self) {
        self.retries = 0;
    }

    /// The pause before the next attempt.
    ///
    /// # Errors
    /// Gives the error back if there is to be no next attempt.
    pub(crate) fn after(&mut self, error: Error) -> Result<Duration, Error> {
        if error.class() == Class::Never || self.retries >= self.policy.retries_max {
            return Err(error);
        }
        let ceiling = self
            .policy
            .pause_first
            .saturating_mul(1 << self.retries.min(30))
            .min(self.policy.pause_max);
        self.retries += 1;
        let asked = match &error {
            Error::Refused(refusal) => refusal.retry_after.unwrap_or_default(),
            _ => Duration::ZERO,
        };
        Ok(asked.saturating_add(ceiling.mul_f64(rand::rng().random())))
    }
}

#[cfg(test)]
mod tests {
    use tonic::Status;
    use tonic_types::{ErrorDetails, StatusExt as _};

    use super::*;

    fn refused(code: Code, reason: Option<Reason>) -> Refusal {
        let mut details = ErrorDetails::new();
        if let Some(reason) = reason {
            details.set_error_info(
                reason.as_str(),
                "reelway.dev",
                [("key", "value")].map(|(k, v)| (k.into(), v.into())),
            );
        }
        Status::with_error_details(code, "no", details).into()
    }

    #[test]
    fn a_refusal_carries_the_servers_words() {
        let refusal = refused(Code::Aborted, Some(Reason::OffsetMismatch));
        assert_eq!(refusal.known_reason(), Some(Reason::OffsetMismatch));
        assert_eq!(refusal.metadata["key"], "value");
        assert_eq!(
            refused(Code::DataLoss, None).reason,
            "DATA_LOSS",
            "without details the code is the reason"
        );
    }

    #[test]
    fn each_code_and_reason_has_its_class() {
        let class = |code, reason| classify(&refused(code, reason));
        assert_eq!(class(Code::Unavailable, None), Class::Again);
        assert_eq!(class(Code::Aborted, Some(Reason::OffsetMismatch)), Class::Again);
        assert_eq!(class(Code::Aborted, Some(Reason::WriterSuperseded)), Class::Never);
        assert_eq!(class(Code::InvalidArgument, Some(Reason::FieldInvalid)), Class::Never);
        assert_eq!(
            class(Code::InvalidArgument, Some(Reason::ChunkChecksumMismatch)),
            Class::Again
        );
        assert_eq!(class(Code::ResourceExhausted, Some(Reason::StorageFull)), Class::Never);
        let waits = Refusal {
            retry_after: Some(Duration::from_secs(1)),
            ..refused(Code::ResourceExhausted, None)
        };
        assert_eq!(classify(&waits), Class::Again);
        let broken = Refusal {
            is_transport: true,
            ..refused(Code::Internal, None)
        };
        assert_eq!(classify(&broken), Class::Again);
    }

    #[test]
    fn pauses_grow_and_end() {
        let policy = RetryPolicy {
            pause_first: Duration::from_secs(1),
            pause_max: Duration::from_secs(4),
            retries_max: 5,
        };
        let mut backoff = Backoff::new(policy);
        for ceiling_s in [1, 2, 4, 4, 4] {
            let pause = backoff
                .after(refused(Code::Unavailable, None).into())
                .expect("another attempt");
            assert!(pause <= Duration::from_secs(ceiling_s), "{pause:?} of {ceiling_s}");
        }
        assert!(
            backoff.after(refused(Code::Unavailable, None).into()).is_err(),
            "the sixth is too many"
        );
        backoff.reset();
        assert!(backoff.after(refused(Code::Unavailable, None).into()).is_ok());
        assert!(
            backoff.after(refused(Code::NotFound, None).into()).is_err(),
            "no pause helps here"
        );
    }

    #[test]
    fn the_servers_wish_to_wait_is_a_floor() {
        let asked = Duration::from_secs(3);
        let refusal = Refusal {
            retry_after: Some(asked),
            ..refused(Code::Unavailable, None)
        };
        assert!(
            Backoff::new(RetryPolicy::default())
                .after(refusal.into())
                .expect("another attempt")
                >= asked
        );
    }
}
