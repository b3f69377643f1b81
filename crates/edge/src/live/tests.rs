//! Browsers over real connections, with the real ProgressService behind the edge.

mod credentials;
mod events;
mod harness;
mod reader;
mod slow;
mod socket;

use serde_json::Value;

/// The numbers of events must follow each other.
fn assert_gapless(seqs: &[i64], first: i64, last: i64) {
    assert_eq!(seqs, (first..=last).collect::<Vec<_>>());
}

/// The number of an event, as JSON writes it.
fn seq(event: &Value) -> i64 {
    event["seq"]
        .as_str()
        .expect("a 64-bit number is a string")
        .parse()
        .unwrap()
}
