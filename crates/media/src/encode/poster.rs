//! The picture that stands for a video.

use std::path::{Path, PathBuf};

use reelway_domain::Reason;

use super::{chunk::seek_us, graph, seconds};
use crate::{
    ChunkPlan, Error, TICKS_PER_SECOND, VideoPlan, Workspace, ffmpeg,
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
/// In shorter clips the first frame is taken, in ticks.
const SHORT_TICKS: i64 = TICKS_PER_SECOND;

/// Where the picture is taken, in microseconds from the container's start.
#[derive(Debug, Clone, Copy)]
enum At {
    /// The first picture there is.
    Start,
    /// A keyframe is looked for here, and nothing else decoded.
    Keyframe(i64),
    /// This instant, to which is decoded from the keyframe before it.
    Instant(i64),
}

/// Takes one picture into `poster.jpg` in `work.scratch`.
///
/// # Errors
/// [`Error::Cancelled`], `ENCODER_STALLED`, `STORAGE_FULL`, `ENCODER_FAILED`.
pub async fn take_poster(work: &Workspace<'_>, video: &VideoPlan) -> Result<PathBuf, Error> {
    let file = work.scratch.join(FILE_NAME);
    if let Some(at) = place(video) {
        take(work, video, at, &file).await?;
        if has_bytes(&file).await {
            return Ok(file);
        }
    }
    // The first frame is there if any is.
    take(work, video, At::Start, &file).await?;
    if has_bytes(&file).await {
        Ok(file)
    } else {
        let message = "Not one picture of the video could be decoded.";
        Err(Error::new(Reason::SourceDamaged, message))
    }
}

/// Where a picture is neither black nor dear: at the keyframe that the chunk there is decoded from, or in the first seconds, behind
/// the one keyframe that they have. `None` in a short clip.
fn place(video: &VideoPlan) -> Option<At> {
    let ticks: i64 = video.chunks.iter().map(ChunkPlan::duration_ticks).sum();
    if ticks < SHORT_TICKS {
        return None;
    }
    let at = ticks / SHARE;
    let chunk = video
        .chunks
        .partition_point(|chunk| chunk.start_ticks() <= at)
        .saturating_sub(1);
    let key = video.chunks.get(chunk)?.seek_pts.filter(|key| *key > video.base_pts);
    if let (Some(_), Some(us)) = (key, seek_us(video, chunk, 0)) {
        return Some(At::Keyframe(us));
    }
    let base_us = video.time_base.to_us(video.base_pts);
    let base_us = base_us.saturating_sub(video.container_start_us);
    Some(At::Instant(base_us.saturating_add(at.saturating_mul(100) / 9)))
}

async fn take(work: &Workspace<'_>, video: &VideoPlan, at: At, file: &Path) -> Result<(), Error> {
    let mut args = Vec::new();
    args.words(["-an", "-threads", "1"]);
    args.extend(input::guards(work.tools.limits()));
    match at {
        At::Start => {}
        At::Keyframe(us) => args.words(["-skip_frame", "nokey", "-noaccurate_seek", "-ss", &seconds(us)]),
        At::Instant(us) => args.words(["-ss", &seconds(us.max(0))]),
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
