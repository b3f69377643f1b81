//! Pauses between tries to connect.

use std::time::Duration;

use tokio::time::sleep;

const PAUSE_MIN: Duration = Duration::from_millis(25);
/// So long at most after Redis is back, everything goes its fast way again.
const PAUSE_MAX: Duration = Duration::from_secs(1);

/// Pauses that double. Half of each is chance, so that the processes of a deployment don't come all at once.
#[derive(Debug)]
pub(super) struct Backoff(Duration);

impl Default for Backoff {
    fn default() -> Self {
        Self(PAUSE_MIN)
    }
}

impl Backoff {
    pub(super) async fn pause(&mut self) {
        let pause = self.0.mul_f64(rand::random_range(0.5..1.0));
        self.0 = (self.0 * 2).min(PAUSE_MAX);
        sleep(pause).await;
    }
}
