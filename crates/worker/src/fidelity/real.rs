//! Clips that others made, with other tools. Nothing is painted into them, so each frame is held against its own.

use std::path::{Path, PathBuf};

use super::{
    check::{ladder, through},
    pictures, run, source,
};
use crate::testing::Bench;

/// How like its source each frame must be: films have grain, which is not worth its bits.
const LIKENESS_MIN: f64 = 0.88;
/// The times of these are milliseconds at worst, and the copy that is read rounds them once more.
const TIME_ERROR_S_MAX: f64 = 0.001_1;

/// The directory that the clips are fetched into.
fn clips() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let script = here.join("../../scripts/lib/real-clips.sh");
    let output = run("bash", here, &[script.to_str().unwrap()]);
    String::from_utf8(output.stdout).unwrap().trim().into()
}

async fn same(name: &str, short_side: u32, size: (u32, u32)) {
    let bench = Bench::new().await;
    let file = bench.dir.path().join(name);
    std::fs::copy(clips().join(name), &file).unwrap();
    let outcome = through(bench, file, ladder(&[short_side])).await;
    assert_eq!(outcome.played.complaints(), "", "{name}");
    let video = &outcome.played.videos[0];
    assert_eq!(video.size, Some(size), "{name}");
    assert!(outcome.played.audio().is_some(), "{name}");
    let (times, shown) = (source::times(&outcome.source, "v:0"), video.shown());
    assert_eq!(shown.len(), times.len(), "{name}");
    for (shown, time) in shown.iter().zip(&times) {
        let expected = time - times[0];
        assert!(
            (shown - expected).abs() <= TIME_ERROR_S_MAX,
            "{name}: {shown} s, not {expected} s"
        );
    }
    let likeness = pictures::likeness(&outcome.source, &video.file, size);
    let least = likeness.iter().copied().fold(1.0, f64::min);
    assert!(
        likeness.len() == times.len() && least >= LIKENESS_MIN,
        "{name}: {least}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_film() {
    same("big-buck-bunny.mp4", 360, (640, 360)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_old_webm() {
    same("small.webm", 240, (320, 240)).await;
}
