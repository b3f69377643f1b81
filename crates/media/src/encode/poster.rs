//! The picture that stands for a video.

use std::path::{Path, PathBuf};

use reelway_domain::Reason;

use super::{graph, seconds};
use crate::{
    Error, VideoPlan, Workspace, ffmpeg,
    input::{self, Args},
    sandbox::file_url,
};

/// The output's name in the scratch directory.
const FILE_NAME: &str = "poster.jpg";
/// The longest side, in pixels.
const SIDE_PIXELS_MAX: u32 = 1280;
/// The largest file, in bytes.
const POSTER_BYTES_MAX: u64 = 16 << 20;
/// The picture is taken after this share of the video: the first ones are often black.
const SHARE: i64 = 10;
/// In shorter clips the first frame is taken, in microseconds.
const SHORT_US: i64 = 1_000_000;

/// Takes one picture into `poster.jpg` in `work.scratch`.
///
/// # Errors
/// [`Error::Cancelled`], `ENCODER_STALLED`, `STORAGE_FULL`, `ENCODER_FAILED`.
pub async fn take_poster(work: &Workspace<'_>, video: &VideoPlan) -> Result<PathBuf, Error> {
    let file = work.scratch.join(FILE_NAME);
    let ticks: i64 = video.chunks.iter().map(crate::ChunkPlan::duration_ticks).sum();
    let duration_us = ticks.saturating_mul(100) / 9;
    if duration_us >= SHORT_US {
        let base_us = video
            .time_base
            .to_us(video.base_pts)
            .saturating_sub(video.container_start_us);
        take(work, video, Some(base_us.saturating_add(duration_us / SHARE)), &file).await?;
        if has_bytes(&file).await {
            return Ok(file);
        }
    }
    // The first frame is there if any is.
    take(work, video, None, &file).await?;
    if has_bytes(&file).await {
        Ok(file)
    } else {
        let message = "Not one picture of the video could be decoded.";
        Err(Error::new(Reason::SourceDamaged, message))
    }
}

async fn take(work: &Workspace<'_>, video: &VideoPlan, at_us: Option<i64>, file: &Path) -> Result<(), Error> {
    let mut args = Vec::new();
    args.words(["-an", "-threads", "1"]);
    args.extend(input::guards(work.tools.limits()));
    if let Some(at_us) = at_us {
        args.words(["-ss", &seconds(at_us.max(0))]);
    }
    args.extend(input::input(work.source));
    let (width, height) = size(video);
    let graph = format!(
        "[0:{}]null{},scale={width}:{height}:flags=bicubic:out_range=pc,format=yuvj420p,setsar=1[v0]",
        video.stream_index,
        graph::corrections(video)
    );
    args.words([
        "-filter_complex_threads",
        "1",
        "-filter_complex",
        &graph,
        "-map",
        &graph::pad(0),
    ]);
    args.words([
        "-frames:v",
        "1",
        "-c:v",
        "mjpeg",
        "-threads",
        "1",
        "-q:v",
        "3",
        "-map_metadata",
        "-1",
        "-f",
        "mjpeg",
    ]);
    args.push(file_url(file));
    ffmpeg::run(work, args, POSTER_BYTES_MAX, work.tools.limits().stall_max, |_| {}).await
}

/// The size of the largest rung, or a smaller one with its aspect ratio.
fn size(video: &VideoPlan) -> (u32, u32) {
    let Some(rung) = video.rungs.first() else {
        return (SIDE_PIXELS_MAX, SIDE_PIXELS_MAX);
    };
    let long = rung.width.max(rung.height);
    let side = |side: u32| {
        if long > SIDE_PIXELS_MAX {
            (side * SIDE_PIXELS_MAX / long).max(1)
        } else {
            side
        }
    };
    (side(rung.width), side(rung.height))
}

async fn has_bytes(file: &Path) -> bool {
    tokio::fs::metadata(file).await.is_ok_and(|metadata| metadata.len() > 0)
}
