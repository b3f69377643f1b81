//! How a loop takes errors: it says once what is wrong, waits longer each time, and goes on.

use std::{fmt::Display, time::Duration};

/// The pause after the first failure; each further one doubles it.
const PAUSE_MIN: Duration = Duration::from_millis(100);
/// The longest pause of a loop that fails.
const PAUSE_MAX: Duration = Duration::from_secs(10);

/// Whether a loop is in trouble, and since how many rounds.
pub(crate) struct Trouble {
    name: &'static str,
    told: Option<String>,
    failures: u32,
}

impl Trouble {
    /// A loop without trouble; `name` is for the log.
    pub(crate) fn new(name: &'static str) -> Self {
        Self {
            name,
            told: None,
            failures: 0,
        }
    }

    /// Takes a round's result and gives how long to wait before the next: `usual` if all was well. Logs only what is new,
    /// so that a database that is away for an hour is two lines and not thousands.
    pub(crate) fn pause(&mut self, result: Result<(), impl Display>, usual: Duration) -> Duration {
        match result {
            Ok(()) => {
                if self.told.take().is_some() {
                    tracing::info!(name = self.name, failures = self.failures, "control loop works again");
                }
                self.failures = 0;
                usual
            }
            Err(error) => {
                let error = error.to_string();
                if self.told.as_ref() != Some(&error) {
                    tracing::warn!(name = self.name, error, "control loop failed and goes on trying");
                    self.told = Some(error);
                }
                self.failures = self.failures.saturating_add(1);
                let doublings = (self.failures - 1).min(16);
                PAUSE_MIN.saturating_mul(1 << doublings).min(PAUSE_MAX)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_a_limit_and_end_with_the_trouble() {
        let mut trouble = Trouble::new("test");
        let usual = Duration::from_millis(7);
        assert_eq!(trouble.pause(Ok::<(), &str>(()), usual), usual);
        let pauses: Vec<Duration> = (0..40).map(|_| trouble.pause(Err("away"), usual)).collect();
        assert_eq!(pauses[0], PAUSE_MIN);
        assert_eq!(pauses[1], PAUSE_MIN * 2);
        assert_eq!(pauses[39], PAUSE_MAX);
        assert_eq!(trouble.pause(Ok::<(), &str>(()), usual), usual);
        assert_eq!(trouble.pause(Err("away"), usual), PAUSE_MIN);
    }
}
