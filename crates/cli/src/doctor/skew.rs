//! Whether a server's clock agrees with this machine's.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use reelway_domain::Timestamp;

use super::Finding;

/// Clocks that are kept by a time service agree better than that.
const SKEW_WARNED_OF: Duration = Duration::from_secs(2);
/// From here on tokens and grants are refused that should be good.
const SKEW_MAX: Duration = Duration::from_secs(30);
const ADVICE: &str = "run a time service (chrony, systemd-timesyncd) on both; the database's clock judges leases and expiries, but \
                      tokens, upload grants and log lines go by this machine's";

/// Compares what `whose` clock told, which was asked for at `asked_at`, with this machine's.
pub(super) fn finding(check: &'static str, whose: &str, told: Timestamp, asked_at: SystemTime) -> Finding {
    judge(
        check,
        whose,
        ms(told),
        (since_epoch(asked_at), since_epoch(SystemTime::now())),
    )
}

fn judge(check: &'static str, whose: &str, told: Duration, (asked, heard): (Duration, Duration)) -> Finding {
    // It was told at some moment in between: only what lies outside is known to be wrong.
    let skew = asked.saturating_sub(told).max(told.saturating_sub(heard));
    let message = format!("{whose} clock and this machine's differ by {} ms", skew.as_millis());
    if skew >= SKEW_MAX {
        Finding::failed(check, message).advise(ADVICE)
    } else if skew >= SKEW_WARNED_OF {
        Finding::warning(check, message).advise(ADVICE)
    } else {
        Finding::ok(check, message)
    }
}

fn ms(told: Timestamp) -> Duration {
    Duration::from_millis(u64::try_from(told.0).unwrap_or(0))
}

fn since_epoch(time: SystemTime) -> Duration {
    time.duration_since(UNIX_EPOCH).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::Verdict;

    #[test]
    fn only_what_cannot_be_the_way_is_skew() {
        let at = Duration::from_millis;
        let judged = |told| judge("clock", "its", at(told), (at(100_000), at(104_000)));
        assert_eq!(judged(100_000).verdict, Verdict::Ok);
        assert_eq!(judged(104_000).verdict, Verdict::Ok, "the way took four seconds");
        assert_eq!(judged(107_000).verdict, Verdict::Warning);
        assert_eq!(judged(97_000).verdict, Verdict::Warning);
        let late = judged(40_000);
        assert_eq!(late.verdict, Verdict::Failed);
        assert!(late.message.contains("60000 ms"), "{}", late.message);
    }
}
