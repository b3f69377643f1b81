//! The benches still run. What they print then means nothing: the sizes are small and the build is a debug build.

use std::time::Duration;

use tokio::process::Command;

use crate::harness::{Process, reelway_path};

/// The README's line.
pub(super) const COMMAND: &str = "scripts/bench";
/// All groups one after the other, beside other tests.
const BENCH_MAX: Duration = Duration::from_secs(900);

#[tokio::test(flavor = "multi_thread")]
async fn every_group_of_the_bench_runs() {
    let mut bench = Command::new(format!("{}/../../{COMMAND}", env!("CARGO_MANIFEST_DIR")));
    bench.arg("--smoke").env("REELWAY_BIN", reelway_path());
    let ended = Process::spawn(bench).ended(BENCH_MAX).await;
    assert_eq!(
        ended.code,
        Some(0),
        "{}\n{}",
        ended.out.join("\n"),
        ended.err.join("\n")
    );
}
