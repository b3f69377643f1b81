//! How many browsers watch.

use metrics::{Gauge, gauge};

/// Streams to browsers that are open now, by `kind`: `events` or `socket`.
const OPEN: &str = "reelway_edge_streams_open";

/// Counts a stream until it is dropped.
pub(super) struct Counted(Gauge);

impl Counted {
    /// Counts one more.
    pub(super) fn one(kind: &'static str) -> Self {
        let open = gauge!(OPEN, "kind" => kind);
        open.increment(1.0);
        Self(open)
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.decrement(1.0);
    }
}
