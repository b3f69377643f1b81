//! Whether the bus works: one number for those who watch, and one line when it changes.

use std::sync::{Mutex, PoisonError};

use super::{entry::EntryId, trouble::Trouble};

/// 1 while hints go through Redis, 0 while everybody looks for themselves.
const UP: &str = "reelway_bus_up";
const ERRORS: &str = "reelway_bus_errors_total";
/// What can fail, as [`count`] names it.
const OPERATIONS: [&str; 6] = ["connect", "follow", "publish", "sample", "script", "wake"];

/// Makes the counters known before anything fails: of one that appears with its first event, nobody sees that event.
pub(super) fn begin() {
    for operation in OPERATIONS {
        metrics::counter!(ERRORS, "op" => operation).increment(0);
    }
}

#[derive(Debug, Default)]
pub(super) struct Health(Mutex<Standing>);

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Standing {
    #[default]
    Unknown,
    Up,
    /// There is no connection.
    Away,
    /// There is one, but what is published is refused, for example because the memory is full.
    Refusing,
}

impl Health {
    /// Something was written, or could have been.
    pub(super) fn accepts(&self) {
        self.change(|_| Standing::Up);
    }

    /// There is no connection any more, or still none.
    pub(super) fn lost(&self, trouble: &Trouble) {
        self.fall(Standing::Away, trouble);
    }

    /// Something was not written.
    pub(super) fn fails(&self, trouble: &Trouble) {
        let refuses = trouble.code().is_some();
        let to = if refuses { Standing::Refusing } else { Standing::Away };
        self.fall(to, trouble);
    }

    fn fall(&self, to: Standing, trouble: &Trouble) {
        let has_fallen = self.change(|standing| match standing {
            Standing::Unknown | Standing::Up => to,
            Standing::Away | Standing::Refusing => standing,
        });
        if has_fallen {
            tracing::warn!(%trouble, "the bus is away: everything goes on by looking at the catalog, slower");
        }
    }

    /// Whether it changed from working to not working.
    fn change(&self, to: impl FnOnce(Standing) -> Standing) -> bool {
        let mut standing = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let before = *standing;
        *standing = to(before);
        let is_up = *standing == Standing::Up;
        metrics::gauge!(UP).set(if is_up { 1.0 } else { 0.0 });
        if before == *standing {
            return false;
        }
        if is_up {
            tracing::info!("the bus is there");
        }
        !is_up
    }
}

/// Counts trouble with one kind of operation.
pub(super) fn count(operation: &'static str, trouble: &Trouble) {
    tracing::debug!(operation, %trouble, "the bus failed");
    metrics::counter!(ERRORS, "op" => operation).increment(1);
}

/// Counts an entry that is none of ours and is passed over.
pub(super) fn malformed(key: &str, id: EntryId) {
    tracing::debug!(key, %id, "an entry that can't be understood");
    metrics::counter!("reelway_bus_malformed_total").increment(1);
}
