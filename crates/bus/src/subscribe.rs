//! What subscribers hear, whichever way it comes.

use reelway_domain::{Hint, Sample};
use tokio::sync::broadcast::{self, error::RecvError};

/// Hints that a subscriber may be behind before it is told to look at everything.
pub(crate) const HINTS_WAITING_MAX: usize = 1024;
/// Samples that a subscriber may be behind before the oldest are dropped.
pub(crate) const SAMPLES_WAITING_MAX: usize = 4096;

/// What a subscriber to hints hears.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Heard {
    /// Look at this.
    Hint(Hint),
    /// Hints may have been lost: look at everything.
    Lost,
}

/// Hints from the moment of subscribing. Subscribe before you look at the catalog, or a change between is missed.
///
/// A bus that has yet to begin to listen for its first subscriber says [`Heard::Lost`] as soon as it does.
#[derive(Debug)]
pub struct Hints(pub(crate) broadcast::Receiver<Heard>);

/// Samples from the moment of subscribing.
#[derive(Debug)]
pub struct Samples(pub(crate) broadcast::Receiver<Sample>);

impl Hints {
    /// The next hint; `None` when the bus is gone. Loses nothing if it is dropped while it waits.
    pub async fn next(&mut self) -> Option<Heard> {
        match self.0.recv().await {
            Ok(heard) => Some(heard),
            Err(RecvError::Lagged(_)) => Some(Heard::Lost),
            Err(RecvError::Closed) => None,
        }
    }
}

impl Samples {
    /// The next sample; `None` when the bus is gone. Samples that were lost are not missed: the next one tells more.
    pub async fn next(&mut self) -> Option<Sample> {
        loop {
            match self.0.recv().await {
                Ok(sample) => return Some(sample),
                Err(RecvError::Lagged(count)) => tracing::debug!(count, "samples were dropped"),
                Err(RecvError::Closed) => return None,
            }
        }
    }
}
