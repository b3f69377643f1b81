//! When a webhook that was not taken is tried again.

use std::time::Duration;

use rand::Rng as _;
use reelway_catalog::NextTry;

use super::answer::SendError;

/// The longest that a receiver may ask to be left alone.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(24 * 3600);
/// A pause is stretched by at most this much of itself, so that what failed together doesn't come together again.
const JITTER_MAX: f64 = 0.1;

/// What comes after try number `attempt`, from 1, that ended with `error`.
pub(super) fn next_try(pauses: &[Duration], attempt: i32, error: &SendError) -> NextTry {
    let pause = usize::try_from(attempt - 1).ok().and_then(|at| pauses.get(at));
    match pause {
        Some(pause) if !error.is_final() => {
            let asked = error.retry_after().unwrap_or_default().min(RETRY_AFTER_MAX);
            let jitter = rand::rng().random_range(0.0..JITTER_MAX);
            NextTry::After(asked.max(*pause).mul_f64(1.0 + jitter))
        }
        _ => NextTry::GiveUp,
    }
}

#[cfg(test)]
mod tests {
    use reqwest::StatusCode;

    use super::*;

    const PAUSES: &[Duration] = &[Duration::from_secs(5), Duration::from_secs(300)];

    fn answered(status: u16, retry_after: Option<u64>) -> SendError {
        SendError::Answered {
            status: StatusCode::from_u16(status).unwrap(),
            retry_after: retry_after.map(Duration::from_secs),
        }
    }

    fn assert_about(next: NextTry, seconds: u64) {
        let NextTry::After(pause) = next else {
            panic!("{next:?}")
        };
        let pause = pause.as_secs_f64() / Duration::from_secs(seconds).as_secs_f64();
        assert!((1.0..=1.0 + JITTER_MAX).contains(&pause), "{next:?}");
    }

    #[test]
    fn pauses_are_kept_until_there_are_no_more() {
        assert_about(next_try(PAUSES, 1, &answered(500, None)), 5);
        assert_about(next_try(PAUSES, 2, &SendError::TimedOut), 300);
        assert_eq!(next_try(PAUSES, 3, &SendError::TimedOut), NextTry::GiveUp);
    }

    #[test]
    fn a_receiver_can_ask_for_more_time_within_bounds() {
        assert_about(next_try(PAUSES, 1, &answered(429, Some(60))), 60);
        assert_about(next_try(PAUSES, 1, &answered(503, Some(1))), 5);
        assert_about(
            next_try(PAUSES, 1, &answered(503, Some(u64::MAX))),
            RETRY_AFTER_MAX.as_secs(),
        );
    }

    #[test]
    fn a_receiver_that_is_gone_is_not_tried_again() {
        assert_eq!(next_try(PAUSES, 1, &answered(410, None)), NextTry::GiveUp);
        assert_about(next_try(PAUSES, 1, &answered(404, None)), 5);
    }
}
