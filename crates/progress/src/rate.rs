//! How fast a percentage grows, to tell when it will be done.

use std::time::{Duration, Instant};

/// What lies so far back counts for about a third of what is now.
const MEMORY: Duration = Duration::from_secs(10);
/// Observations that are closer than this say nothing.
const STEP_MIN: Duration = Duration::from_millis(200);
/// A time left beyond this is no better than none.
const TIME_LEFT_MAX: Duration = Duration::from_secs(7 * 24 * 3600);

/// An exponentially weighted mean of growth.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Rate {
    last: Option<(Instant, f64)>,
    percent_per_second: Option<f64>,
}

impl Rate {
    /// Takes in where the percentage is. If it went back, what was learned before is forgotten.
    pub(crate) fn observe(&mut self, now: Instant, percent: f64) {
        let Some((at, before)) = self.last else {
            self.last = Some((now, percent));
            return;
        };
        let step = now.saturating_duration_since(at);
        if percent < before {
            *self = Self::default();
        } else if step < STEP_MIN {
            return;
        } else {
            let newest = (percent - before) / step.as_secs_f64();
            let mean = self.percent_per_second.unwrap_or(newest);
            let weight = 1.0 - (-step.as_secs_f64() / MEMORY.as_secs_f64()).exp();
            self.percent_per_second = Some(mean + weight * (newest - mean));
        }
        self.last = Some((now, percent));
    }

    /// The time until 100 %; `None` if it can't be told.
    pub(crate) fn time_left(&self) -> Option<Duration> {
        let (_, percent) = self.last?;
        let rate = self.percent_per_second.filter(|rate| *rate > 0.0)?;
        let left = Duration::try_from_secs_f64((100.0 - percent) / rate).ok()?;
        (left <= TIME_LEFT_MAX).then_some(left)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rate_of(observations: &[(u64, f64)]) -> Rate {
        let start = Instant::now();
        let mut rate = Rate::default();
        for (ms, percent) in observations {
            rate.observe(start + Duration::from_millis(*ms), *percent);
        }
        rate
    }

    #[test]
    fn a_steady_rate_tells_the_end() {
        let left = rate_of(&[(0, 0.0), (1_000, 10.0), (2_000, 20.0)]).time_left().unwrap();
        assert!((left.as_secs_f64() - 8.0).abs() < 0.01, "{left:?}");
    }

    #[test]
    fn a_standstill_makes_it_longer_and_never_endless() {
        let moving = rate_of(&[(0, 0.0), (1_000, 10.0)]).time_left().unwrap();
        let slower = rate_of(&[(0, 0.0), (1_000, 10.0), (6_000, 10.0)]).time_left().unwrap();
        assert!(slower > moving);
        assert_eq!(rate_of(&[(0, 0.0), (1_000, 10.0), (1_000_000, 10.0)]).time_left(), None);
    }

    #[test]
    fn nothing_is_told_without_growth() {
        assert_eq!(Rate::default().time_left(), None);
        assert_eq!(rate_of(&[(0, 5.0)]).time_left(), None);
        assert_eq!(rate_of(&[(0, 5.0), (1_000, 5.0)]).time_left(), None);
        assert_eq!(rate_of(&[(0, 5.0), (100, 50.0)]).time_left(), None, "too close");
        assert_eq!(
            rate_of(&[(0, 5.0), (1_000, 50.0), (2_000, 1.0)]).time_left(),
            None,
            "began again"
        );
    }
}
