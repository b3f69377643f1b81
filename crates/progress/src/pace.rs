//! How often a watch does what.

use std::time::Duration;

use reelway_domain::limits;

/// Who a caller is, is judged once for each call: this is how long a key that was revoked, or a token that has expired, may
/// still watch.
const WATCH_MAX: Duration = Duration::from_secs(3_600);

/// The intervals of a watch. The default is what the contract promises.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace {
    /// A bookmark is told when nothing else was for so long.
    pub bookmark_every: Duration,
    /// The shortest time between two samples of the same job.
    pub sample_every: Duration,
    /// A watch ends after so long at the latest, and goes on when its client calls again and is still allowed to.
    pub watch_max: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            // With time left for the way to the client, who hears at least every `BOOKMARK_EVERY`.
            bookmark_every: limits::BOOKMARK_EVERY.mul_f64(0.8),
            sample_every: Duration::from_secs(1) / limits::SAMPLES_PER_SECOND_MAX,
            watch_max: WATCH_MAX,
        }
    }
}
