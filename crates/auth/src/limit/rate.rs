//! Rates as people write them.

use std::{fmt, num::NonZeroU32, str::FromStr, time::Duration};

use governor::Quota;

/// Nobody has more calls at once. With the greatest interval this is still far below what the numbers of Lua and the nanoseconds
/// of `governor` hold.
const BURST_MAX: u32 = 1_000_000;
const MICROS_PER_SECOND: u64 = 1_000_000;

/// So many calls in a time, evenly, and so many of them at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// The time between two calls. In whole microseconds, so that it is the same wherever it is counted.
    interval_us: u64,
    burst: NonZeroU32,
}

/// A text that is no rate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "a rate looks like 100/s, 600/m or 1000/h:50 (50 at once), with at most {BURST_MAX} at once and {MICROS_PER_SECOND}/s"
)]
pub struct RateError;

impl Rate {
    /// The time between two calls, in microseconds.
    pub(super) fn interval_us(self) -> u64 {
        self.interval_us
    }

    /// How much sooner than evenly a call may come, in microseconds.
    pub(super) fn tolerance_us(self) -> u64 {
        self.interval_us * u64::from(self.burst.get() - 1)
    }

    /// The same for `governor`; `None` never comes, because the interval isn't 0.
    pub(super) fn quota(self) -> Option<Quota> {
        let quota = Quota::with_period(Duration::from_micros(self.interval_us))?;
        Some(quota.allow_burst(self.burst))
    }
}

impl FromStr for Rate {
    type Err = RateError;

    /// `COUNT/UNIT[:BURST]`, with `s`, `m` or `h` as unit. Without a burst, all of them may come at once.
    fn from_str(text: &str) -> Result<Self, RateError> {
        let (count, rest) = text.split_once('/').ok_or(RateError)?;
        let (unit, burst) = rest.split_once(':').unwrap_or((rest, count));
        let seconds = match unit {
            "s" => 1,
            "m" => 60,
            "h" => 3600,
            _ => return Err(RateError),
        };
        let count: u64 = count.parse().ok().filter(|count| *count > 0).ok_or(RateError)?;
        let burst: NonZeroU32 = burst.parse().map_err(|_| RateError)?;
        let interval_us = seconds * MICROS_PER_SECOND / count;
        if interval_us == 0 || burst.get() > BURST_MAX {
            return Err(RateError);
        }
        Ok(Self { interval_us, burst })
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "one in {} us, {} at once", self.interval_us, self.burst)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rate(text: &str) -> Rate {
        text.parse().unwrap()
    }

    #[test]
    fn rates_are_written_with_their_unit() {
        assert_eq!(
            (rate("100/s").interval_us(), rate("100/s").tolerance_us()),
            (10_000, 990_000)
        );
        assert_eq!(
            (rate("600/m:1").interval_us(), rate("600/m:1").tolerance_us()),
            (100_000, 0)
        );
        assert_eq!(rate("2/h").interval_us(), 1_800_000_000);
        assert!(rate("1/h:1000000").quota().is_some() && rate("1000000/s").quota().is_some());
    }

    #[test]
    fn what_is_no_rate_is_refused() {
        for text in [
            "",
            "100",
            "0/s",
            "1/d",
            "1/s:0",
            "-1/s",
            "1/s:",
            "/s",
            "1000001/s",
            "1/s:1000001",
            "1/s:1:1",
        ] {
            assert_eq!(text.parse::<Rate>(), Err(RateError), "{text}");
        }
    }
}
