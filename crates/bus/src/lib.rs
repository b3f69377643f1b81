//! Wake-ups and progress samples between roles. Everything on the bus may be lost: the catalog decides, the bus wakes
//! (invariant 4).
//!
//! Hints and samples travel apart, so that many samples never push out a hint.

use reelway_domain::{Hint, Sample};
use tokio::sync::broadcast::{self, error::RecvError};

/// Hints that a subscriber may be behind before it is told to look at everything.
const HINTS_WAITING_MAX: usize = 1024;
/// Samples that a subscriber may be behind before the oldest are dropped.
const SAMPLES_WAITING_MAX: usize = 4096;

/// The bus within one process. Clones are the same bus.
#[derive(Debug, Clone)]
pub struct Bus {
    hints: broadcast::Sender<Hint>,
    samples: broadcast::Sender<Sample>,
}

/// What a subscriber to hints hears.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Heard {
    /// Look at this.
    Hint(Hint),
    /// Hints were lost: look at everything.
    Lost,
}

/// Hints from the moment of subscribing. Subscribe before you look at the catalog, or a change between is missed.
#[derive(Debug)]
pub struct Hints(broadcast::Receiver<Hint>);

/// Samples from the moment of subscribing.
#[derive(Debug)]
pub struct Samples(broadcast::Receiver<Sample>);

impl Default for Bus {
    fn default() -> Self {
        Self {
            hints: broadcast::Sender::new(HINTS_WAITING_MAX),
            samples: broadcast::Sender::new(SAMPLES_WAITING_MAX),
        }
    }
}

impl Bus {
    /// Tells every subscriber to look.
    pub fn wake(&self, hint: Hint) {
        // Fails only without subscribers, and then nobody waits.
        let _ = self.hints.send(hint);
    }

    /// Tells every subscriber how far something is.
    pub fn sample(&self, sample: Sample) {
        let _ = self.samples.send(sample);
    }

    /// Subscribes to hints.
    #[must_use]
    pub fn hints(&self) -> Hints {
        Hints(self.hints.subscribe())
    }

    /// Subscribes to samples.
    #[must_use]
    pub fn samples(&self) -> Samples {
        Samples(self.samples.subscribe())
    }
}

impl Hints {
    /// The next hint; `None` when the bus is gone.
    pub async fn next(&mut self) -> Option<Heard> {
        match self.0.recv().await {
            Ok(hint) => Some(Heard::Hint(hint)),
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

#[cfg(test)]
mod tests {
    use reelway_domain::{JobId, UploadId};

    use super::*;

    #[tokio::test]
    async fn every_subscriber_hears_every_hint() {
        let bus = Bus::default();
        let (mut one, mut two) = (bus.hints(), bus.hints());
        let hint = Hint::Events { job: JobId::new() };
        bus.wake(hint);
        assert_eq!(one.next().await, Some(Heard::Hint(hint)));
        assert_eq!(two.next().await, Some(Heard::Hint(hint)));
    }

    #[tokio::test]
    async fn a_slow_subscriber_is_told_to_look_at_everything() {
        let bus = Bus::default();
        let mut slow = bus.hints();
        for _ in 0..=HINTS_WAITING_MAX {
            bus.wake(Hint::Tasks);
        }
        assert_eq!(slow.next().await, Some(Heard::Lost));
        assert_eq!(slow.next().await, Some(Heard::Hint(Hint::Tasks)));
    }

    #[tokio::test]
    async fn samples_do_not_push_out_hints() {
        let bus = Bus::default();
        let (mut hints, mut samples) = (bus.hints(), bus.samples());
        bus.wake(Hint::Tasks);
        let upload = UploadId::new();
        for durable_offset in 0..10_000 {
            bus.sample(Sample::Upload { upload, durable_offset });
        }
        assert_eq!(hints.next().await, Some(Heard::Hint(Hint::Tasks)));
        let Some(Sample::Upload { durable_offset, .. }) = samples.next().await else {
            panic!("no sample")
        };
        assert!(
            durable_offset >= 10_000 - i64::try_from(SAMPLES_WAITING_MAX).unwrap(),
            "{durable_offset}"
        );
    }
}
