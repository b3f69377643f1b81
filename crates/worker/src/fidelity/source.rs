//! The times at which a source shows its frames, as a plain ffprobe sees them that decodes them all.

use std::path::Path;

use super::run;

/// The times of all frames or packets of sound that are shown, in seconds of the source's own clock, in order. `stream` is
/// ffmpeg's word for it, for example `v:0`.
pub(super) fn times(file: &Path, stream: &str) -> Vec<f64> {
    let dir = file.parent().unwrap();
    let entries = "stream=time_base:frame=best_effort_timestamp";
    let words = [
        "-v",
        "error",
        "-select_streams",
        stream,
        "-of",
        "compact=nk=1",
        "-show_entries",
        entries,
    ];
    let output = run("ffprobe", dir, &[&words[..], &[file.to_str().unwrap()]].concat());
    let text = String::from_utf8(output.stdout).unwrap();
    let fields = |section: &'static str| {
        let lines = text
            .lines()
            .filter_map(move |line| line.split_once('|').filter(|(name, _)| *name == section));
        lines.map(|(_, rest)| rest.split('|').next().unwrap())
    };
    // Whole numbers, because ffprobe's seconds are rounded to the microsecond.
    let (num, den) = fields("stream").next().unwrap().split_once('/').unwrap();
    let unit: f64 = num.parse::<f64>().unwrap() / den.parse::<f64>().unwrap();
    fields("frame")
        .map(|time| time.parse::<f64>().unwrap() * unit)
        .collect()
}
