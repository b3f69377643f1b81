//! How like its source what was encoded is: SSIM, and VMAF where ffmpeg can measure it.

use std::path::{Path, PathBuf};

use reelway_domain::Quality;
use serde::Deserialize;

use super::{chunk::seek_us, graph, output_bytes_max, seconds};
use crate::{
    Error, VideoPlan, Workspace, ffmpeg,
    input::{self, Args},
    plan::ticks_to_ms,
    sandbox::file_url,
};

/// One frame in so many is compared: neighbours are alike, and comparing costs as much as encoding.
const EVERY: u32 = 10;
/// The most that ffmpeg writes about a frame, in bits a second of excerpt; the file limit is far above.
const STATS_BITS: u32 = 1_000_000;

/// What VMAF says.
#[derive(Debug, Deserialize)]
struct Vmaf {
    pooled_metrics: Pooled,
}

#[derive(Debug, Deserialize)]
struct Pooled {
    vmaf: Score,
}

#[derive(Debug, Deserialize)]
struct Score {
    mean: f64,
}

/// Compares encoded files with the first chunk of `video`, which they hold, at the size `width` × `height`. `None` for one
/// of which nothing could be compared.
///
/// # Errors
/// [`Error::Cancelled`], `ENCODER_STALLED`, `STORAGE_FULL`, `ENCODER_FAILED`.
pub(super) async fn measure(
    work: &Workspace<'_>,
    video: &VideoPlan,
    files: &[&PathBuf],
    (width, height): (u32, u32),
) -> Result<Vec<Option<Quality>>, Error> {
    let Some(chunk) = video.chunks.first() else {
        return Ok(Vec::new());
    };
    let vmaf = work.tools.features().vmaf;
    let mut args = Vec::new();
    args.words(["-copyts", "-threads", "1"]);
    args.extend(input::guards(work.tools.limits()));
    if let Some(at_us) = seek_us(video, 0, 0) {
        args.words(["-noaccurate_seek", "-ss", &seconds(at_us)]);
    }
    args.extend(input::input(work.source));
    for file in files {
        args.words(["-threads", "1"]);
        args.extend(input::guards(work.tools.limits()));
        args.words(["-i"]);
        args.push(file_url(file));
    }
    let source = format!("{}{}", graph::frames(video, chunk), graph::corrections(video));
    let metrics: &[&str] = if vmaf { &[SSIM, VMAF] } else { &[SSIM] };
    args.words(["-filter_complex_threads", "1", "-filter_complex"]);
    args.push(comparisons(&source, files.len(), metrics, (width, height)).into());
    for place in 0..files.len() * metrics.len() {
        args.words([
            "-map",
            &graph::pad(place),
            "-fps_mode",
            "passthrough",
            "-f",
            "null",
            "-",
        ]);
    }
    let bytes_max = output_bytes_max(STATS_BITS, ticks_to_ms(chunk.duration_ticks()));
    ffmpeg::run(work, args, bytes_max, work.tools.limits().stall_max, |_| {}).await?;
    let mut measured = Vec::with_capacity(files.len());
    for place in 0..files.len() {
        let ssim = read(work.scratch, &format!("{place}.ssim")).await;
        let vmaf = read(work.scratch, &format!("{place}.vmaf")).await;
        measured.push(mean_ssim(&ssim).map(|ssim| Quality {
            vmaf: mean_vmaf(&vmaf),
            ssim,
        }));
    }
    Ok(measured)
}

/// Filters of two inputs, what was encoded and what it was made of; `#` stands for the file's place.
const SSIM: &str = "ssim=stats_file=#.ssim";
const VMAF: &str = "libvmaf=log_fmt=json:log_path=#.vmaf";

/// Every so many frames of both, numbered anew, at one size, into each metric.
fn comparisons(source: &str, files: usize, metrics: &[&str], (width, height): (u32, u32)) -> String {
    let pick = format!("select='not(mod(n,{EVERY}))'");
    let same =
        format!("scale={width}:{height}:flags=bicubic:out_range=tv,format=yuv420p,setsar=1,settb=1/90000,setpts=N");
    let pads =
        |name: char, range: std::ops::Range<usize>| -> String { range.map(|i| format!("[{name}{i}]")).collect() };
    let all = files * metrics.len();
    let mut graph = format!("{source},{pick},{same},split={all}{}", pads('r', 0..all));
    for file in 0..files {
        let own = file * metrics.len()..(file + 1) * metrics.len();
        graph += &format!(
            ";[{}:v]{pick},{same},split={}{}",
            file + 1,
            metrics.len(),
            pads('d', own.clone())
        );
        for (place, metric) in own.zip(metrics) {
            let metric = metric.replace('#', &file.to_string());
            graph += &format!(";[d{place}][r{place}]{metric}{}", graph::pad(place));
        }
    }
    graph
}

/// What a filter wrote; nothing if it wrote no file.
async fn read(scratch: &Path, name: &str) -> String {
    tokio::fs::read_to_string(scratch.join(name)).await.unwrap_or_default()
}

/// The mean of the luma over all frames: lines like `n:1 Y:0.991 U:0.993 V:0.992 All:0.992 (20.8)`.
#[expect(clippy::cast_precision_loss, reason = "counts of frames are small")]
fn mean_ssim(stats: &str) -> Option<f64> {
    let luma = |line: &str| {
        line.split_whitespace()
            .find_map(|word| word.strip_prefix("Y:")?.parse::<f64>().ok())
    };
    let found: Vec<f64> = stats.lines().filter_map(luma).filter(|ssim| ssim.is_finite()).collect();
    (!found.is_empty()).then(|| found.iter().sum::<f64>() / found.len() as f64)
}

fn mean_vmaf(report: &str) -> Option<f64> {
    let report: Vmaf = serde_json::from_str(report).ok()?;
    Some(report.pooled_metrics.vmaf.mean).filter(|mean| mean.is_finite())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn means_of_what_the_filters_write() {
        let stats = "n:1 Y:0.900000 U:0.99 V:0.99 All:0.92 (11.0)\nn:2 Y:0.800000 U:0.99 V:0.99 All:0.9 (10.0)\n";
        assert!((mean_ssim(stats).unwrap() - 0.85).abs() < 1e-9);
        assert_eq!(mean_ssim(""), None);
        let report =
            r#"{"version":"2.3.1","pooled_metrics":{"vmaf":{"min":90.1,"max":99.0,"mean":95.5,"harmonic_mean":95.4}}}"#;
        assert_eq!(mean_vmaf(report), Some(95.5));
        assert_eq!(mean_vmaf(""), None);
    }

    #[test]
    fn every_metric_gets_both_pictures_of_every_file() {
        let graph = comparisons("[0:0]null", 2, &[SSIM, VMAF], (64, 36));
        for part in [
            "split=4[r0][r1][r2][r3]",
            "[d0][r0]ssim=stats_file=0.ssim[v0]",
            "[d3][r3]libvmaf=log_fmt=json:log_path=1.vmaf[v3]",
        ] {
            assert!(graph.contains(part), "{graph}");
        }
    }
}
