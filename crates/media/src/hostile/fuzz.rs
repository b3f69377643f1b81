//! Files that are nearly right: thousands of small changes to each container, all made from a number, so that each can be made again.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    path::Path,
    time::Duration,
};

use tokio::time::{Instant, timeout};

use super::{
    WAY_MAX, bench, cases, is_about_the_source,
    mutate::{Random, mutate},
    seeds::{Seed, seeds},
};
use crate::{
    Arrived, Error, Layout, SandboxLevel, SegmentPlan, TICKS_PER_SECOND, fmp4, layout, make_plan, probe,
    probe::container,
    testbench::{Bench, one_rung},
};

/// How many changed files our own readers get.
const READ: u64 = 10_000;
/// How many ffprobe gets, which takes a hundred times as long.
const PROBED: u64 = 440;
/// A reader that takes longer over one small file is caught in a circle, also on a machine that has much else to do.
const READ_MAX: Duration = Duration::from_secs(20);

/// The changed file of a number.
fn case(seeds: &[Seed], number: u64) -> (&'static str, Vec<u8>) {
    let mut random = Random::new(number);
    let seed = &seeds[usize::try_from(number).unwrap() % seeds.len()];
    (seed.name, mutate(&seed.bytes, &mut random))
}

#[tokio::test]
async fn our_readers_take_anything() {
    cases::alone("hostile::fuzz::our_readers_alone").await;
}

/// Not a test of its own: [`our_readers_take_anything`] gives it a process whose memory it can bound.
#[tokio::test]
async fn our_readers_alone() {
    if !cases::is_alone() {
        return;
    }
    let bench = bench(SandboxLevel::Prefer).await;
    let seeds = seeds(&bench);
    let dir = bench.scratch();
    let numbers = cases::numbers("our readers", READ);
    let (mut usable, count) = (0, numbers.end - numbers.start);
    cases::bound_memory();
    for number in numbers {
        usable += u64::from(read_case(&seeds, number, &dir).await);
    }
    // Changes that leave nothing to read would show nothing.
    assert!(usable > count / 100, "{usable} of {count} could still be read");
}

/// Whether the changed file of a number is still one that our own ffmpeg could have written.
async fn read_case(seeds: &[Seed], number: u64, dir: &Path) -> bool {
    let (name, bytes) = case(seeds, number);
    let (what, file) = (format!("case {number}, a changed {name}"), dir.join("case"));
    std::fs::write(&file, &bytes).unwrap();
    let begun = Instant::now();
    if let Err(error) = container::check(&file).await {
        let reason = error.failure().expect("nobody cancels").reason;
        assert!(is_about_the_source(reason), "{what}: {error:?}");
    }
    let read = catch_unwind(AssertUnwindSafe(|| {
        find_index(&bytes);
        read_fragments(&file, dir)
    }));
    assert!(begun.elapsed() < READ_MAX, "{what}, takes {:?}", begun.elapsed());
    read.unwrap_or_else(|_| panic!("{what}"))
}

/// Looks for the index of a file of which different parts are there.
fn find_index(bytes: &[u8]) {
    let size = bytes.len() as u64;
    for prefix in [size, size / 2, size / 8] {
        let there = Arrived {
            prefix,
            tail: size - size / 4,
            size,
        };
        let read = |at: u64, buffer: &mut [u8]| {
            let at = usize::try_from(at).unwrap();
            buffer.copy_from_slice(&bytes[at..at + buffer.len()]);
            Ok(())
        };
        if let Layout::Indexed(ranges) = layout(&there, read).unwrap() {
            let are_there = ranges
                .iter()
                .all(|range| range.start <= range.end && there.covers(*range));
            assert!(are_there, "{ranges:?}");
        }
    }
}

/// Reads a file as if our own ffmpeg had written it, and tells whether that is possible.
fn read_fragments(file: &Path, dir: &Path) -> bool {
    let segment = SegmentPlan {
        number: 0,
        start_ticks: 0,
        duration_ticks: TICKS_PER_SECOND,
        frames: 4,
    };
    let weighed = fmp4::weigh(file);
    let cut = fmp4::recut_video(file, &[segment], dir, |_| "cut".to_owned());
    weighed.is_ok() || cut.is_ok()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ffprobe_ends_each_with_one_reason() {
    let bench = bench(SandboxLevel::Prefer).await;
    let seeds = seeds(&bench);
    let numbers = cases::numbers("ffprobe", PROBED);
    let count = numbers.end - numbers.start;
    let lane = |lane: usize| {
        let (bench, seeds, numbers) = (&bench, &seeds, numbers.clone());
        async move {
            let mut usable = 0_u64;
            for number in numbers.skip(lane).step_by(2) {
                usable += u64::from(probe_case(bench, seeds, number).await);
            }
            usable
        }
    };
    // One for each core of a small machine.
    let (even, odd) = tokio::join!(lane(0), lane(1));
    let usable = even + odd;
    assert!(usable > 0, "some changes are harmless");
    assert!(usable < count, "some changes are not");
}

/// Whether the changed file of a number is still a source.
async fn probe_case(bench: &Bench, seeds: &[Seed], number: u64) -> bool {
    let (name, bytes) = case(seeds, number);
    let file = bench.file(&format!("{number}-{name}"), &bytes);
    let scratch = bench.scratch();
    let begun = Instant::now();
    let planned = async {
        let work = bench.workspace(&file, &scratch);
        let probe = probe(&work).await?;
        make_plan(&work, &probe, &one_rung()).await.map(drop)
    };
    let ended: Result<(), Error> = timeout(WAY_MAX, planned)
        .await
        .unwrap_or_else(|_| panic!("case {number}, a changed {name}, takes longer than {WAY_MAX:?}"));
    let reason = ended
        .as_ref()
        .err()
        .map(|error| error.failure().expect("nobody cancels").reason);
    assert!(
        reason.is_none_or(is_about_the_source),
        "case {number}, a changed {name}, after {:?}: {ended:?}",
        begun.elapsed()
    );
    std::fs::remove_file(file).unwrap();
    std::fs::remove_dir_all(scratch).unwrap();
    reason.is_none()
}
