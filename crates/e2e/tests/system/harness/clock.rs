//! Processes whose clock is wrong.

use std::path::Path;

/// What makes a process see another time.
const LIBRARY: &str = "/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1";

/// The environment of a process whose clock is so many seconds ahead (`+300`) or behind (`-300`). What waits for a while waits as
/// long as before.
pub(crate) fn skewed(seconds: &'static str) -> [(&'static str, &'static str); 3] {
    assert!(
        Path::new(LIBRARY).is_file(),
        "{LIBRARY} is missing: run scripts/setup --test"
    );
    [
        ("LD_PRELOAD", LIBRARY),
        ("FAKETIME", seconds),
        ("FAKETIME_DONT_FAKE_MONOTONIC", "1"),
    ]
}
