//! How often a watch does what.

use std::time::Duration;

use reelway_domain::limits;

/// The intervals of a watch. The default is what the contract promises.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace {
    /// A bookmark is told when nothing else was for so long.
    pub bookmark_every: Duration,
    /// The shortest time between two samples of the same job.
    pub sample_every: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            // With time left for the way to the client, who hears at least every `BOOKMARK_EVERY`.
            bookmark_every: limits::BOOKMARK_EVERY.mul_f64(0.8),
            sample_every: Duration::from_secs(1) / limits::SAMPLES_PER_SECOND_MAX,
        }
    }
}
