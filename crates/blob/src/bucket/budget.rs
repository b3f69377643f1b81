//! How much of all uploads may be in memory together. Who finds no room waits, and with it its client.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// What is counted with: one unit is so many bytes.
const UNIT_BYTES: u64 = 4 << 10;

/// Room for the bytes of uploads that are on their way to the bucket. Clones share it.
#[derive(Debug, Clone)]
pub(crate) struct Budget {
    units: Arc<Semaphore>,
    units_max: u32,
}

/// Room that is taken; given back when it is dropped.
pub(crate) type Room = OwnedSemaphorePermit;

impl Budget {
    /// Room for so many bytes.
    pub(crate) fn new(bytes_max: u64) -> Self {
        let units_max = u32::try_from(bytes_max / UNIT_BYTES).unwrap_or(u32::MAX).max(1);
        Self {
            units: Arc::new(Semaphore::new(units_max as usize)),
            units_max,
        }
    }

    /// How many bytes there is room for when nothing is taken.
    pub(crate) fn bytes_max(&self) -> u64 {
        u64::from(self.units_max) * UNIT_BYTES
    }

    /// Room for so many bytes if there is some now.
    pub(crate) fn try_take(&self, bytes: u64) -> Option<Room> {
        Arc::clone(&self.units).try_acquire_many_owned(self.units(bytes)).ok()
    }

    /// Waits for room for so many bytes, in turn. What is more than there can ever be is cut to that.
    pub(crate) async fn take(&self, bytes: u64) -> Room {
        let taken = Arc::clone(&self.units).acquire_many_owned(self.units(bytes)).await;
        taken.expect("the semaphore is never closed")
    }

    fn units(&self, bytes: u64) -> u32 {
        u32::try_from(bytes.div_ceil(UNIT_BYTES))
            .unwrap_or(u32::MAX)
            .min(self.units_max)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn no_more_than_there_is_room_for() {
        let budget = Budget::new(8 * UNIT_BYTES);
        let first = budget.try_take(7 * UNIT_BYTES + 1).unwrap();
        assert!(budget.try_take(1).is_none());
        drop(first);
        let all = budget.take(1 << 40).await;
        assert!(budget.try_take(1).is_none(), "more than all is all");
        drop(all);
        assert_eq!(budget.bytes_max(), 8 * UNIT_BYTES);
    }
}
