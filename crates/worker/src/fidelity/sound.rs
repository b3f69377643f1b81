//! When a file's beeps begin.

use std::path::Path;

use super::run;

/// The times at which silence ends, in seconds of the file's own clock. A beep at the very start has no silence before it
/// and doesn't count.
pub(super) fn onsets(file: &Path) -> Vec<f64> {
    let dir = file.parent().unwrap();
    let words = [
        "-nostdin",
        "-hide_banner",
        "-copyts",
        "-i",
        file.to_str().unwrap(),
        "-vn",
    ];
    let filter = ["-af", "silencedetect=noise=-20dB:duration=0.1", "-f", "null", "-"];
    let output = run("ffmpeg", dir, &[&words[..], &filter].concat());
    let text = String::from_utf8_lossy(&output.stderr);
    let mut onsets: Vec<f64> = text
        .lines()
        .filter_map(|line| line.split_once("silence_end: ")?.1.split(' ').next()?.parse().ok())
        .collect();
    // All clips end in silence, and the filter lets that end too.
    onsets.pop();
    onsets
}
