//! Making the renditions of the video.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use reelway_catalog::Effect;
use reelway_domain::{Failure, Reason, limits};
use reelway_media::{
    self as media, ChunkJob, ChunkPieces, EncodeProgress, PieceSet, Rungs,
    fmp4::{self, RecutTrack},
};
use tokio_util::sync::CancellationToken;

use super::{Done, Job, internal, json, trial};
use crate::{attempt::ran_out_of_memory, scratch};

/// Encodes a chunk at all rungs that no lead task makes.
pub(super) async fn video(job: &Job, scratch: &Path, cancel: &CancellationToken) -> Result<Done, media::Error> {
    let index = usize::try_from(job.claim.task.index).map_err(|error| internal(&error))?;
    let is_led = index < job.plan()?.video()?.lead_chunks;
    let chunk_job = ChunkJob {
        rungs: if is_led { Rungs::AllButSmallest } else { Rungs::All },
        caps: trial::caps(job).await?,
        ..ChunkJob::new(index, job.claim.task.attempt)
    };
    chunk(job, chunk_job, scratch, cancel).await
}

/// Encodes a chunk at its smallest rung alone: that is what playing begins with.
pub(super) async fn lead(job: &Job, scratch: &Path, cancel: &CancellationToken) -> Result<Done, media::Error> {
    let index = usize::try_from(job.claim.task.index).map_err(|error| internal(&error))?;
    let chunk_job = ChunkJob {
        rungs: Rungs::Smallest,
        ..ChunkJob::new(index, job.claim.task.attempt)
    };
    chunk(job, chunk_job, scratch, cancel).await
}

async fn chunk(
    job: &Job,
    chunk_job: ChunkJob,
    scratch: &Path,
    cancel: &CancellationToken,
) -> Result<Done, media::Error> {
    let stored = job.plan()?;
    let video = stored.video()?;
    let (index, attempt) = (chunk_job.chunk, chunk_job.attempt);
    let chunk = video
        .chunks
        .get(index)
        .ok_or_else(|| internal(&"the plan has no such chunk"))?;
    let source = job.source(&stored, scratch).await?;
    let work = job.workspace(&source, scratch, cancel);
    let encoded = if ran_out_of_memory(&job.claim.task) {
        media::encode_chunk_thriftily(&work, video, &chunk_job, throttled(job)).await?
    } else {
        media::encode_chunk(&work, video, &chunk_job, throttled(job)).await?
    };

    let planned: i64 = chunk.segments.iter().map(|segment| segment.frames).sum();
    let rungs = chunk_job.rungs.of(&video.rungs);
    let mut renditions = Vec::with_capacity(rungs.len());
    for (rung, file) in rungs.iter().zip(encoded.pieces) {
        let (segments, dir, rendition) = (chunk.segments.clone(), scratch.to_owned(), rung.name.clone());
        let track = blocking(move || {
            fmp4::recut_video(&file, &segments, &dir, |number| format!("{rendition}-{number:05}.m4s"))
        })
        .await?;
        // Another way of seeking may find the rest; only after that the source is to blame.
        if track.frames < planned && (attempt == 1 || job.sees_windows()) {
            let message = format!("{} of {planned} frames came out of chunk {index}", track.frames);
            return Err(Failure::new(Reason::OutputShort, message).into());
        }
        renditions.push(keep(job, scratch, &rung.name, &track).await?);
    }
    let chunk = u32::try_from(index).map_err(|error| internal(&error))?;
    Ok(Done {
        result: json(&ChunkPieces { chunk, renditions })?,
        effect: Effect::None,
    })
}

/// Stores a track's init section and segments, and says what they are.
pub(super) async fn keep(
    job: &Job,
    scratch: &Path,
    rendition: &str,
    track: &RecutTrack,
) -> Result<PieceSet, media::Error> {
    let init = scratch.join(format!("{rendition}-init.mp4"));
    tokio::fs::write(&init, &track.init)
        .await
        .map_err(|error| scratch::failure(&error))?;
    let init_key = job.keep(&format!("{rendition}-init.mp4"), &init).await?;
    for segment in &track.segments {
        job.keep(&segment.file_name, &scratch.join(&segment.file_name)).await?;
    }
    let prefix = init_key.as_str().rsplit_once('/').map_or("", |(prefix, _)| prefix);
    Ok(track.pieces(rendition, init_key.to_string(), |file_name| {
        format!("{prefix}/{file_name}")
    }))
}

/// Passes progress on to watchers, not more often than they may hear of it.
pub(super) fn throttled(job: &Job) -> impl FnMut(EncodeProgress) + Send {
    let pause = Duration::from_secs(1) / limits::SAMPLES_PER_SECOND_MAX;
    let mut told_at: Option<Instant> = None;
    move |progress| {
        if told_at.is_none_or(|at| at.elapsed() >= pause) {
            told_at = Some(Instant::now());
            job.tell(&progress);
        }
    }
}

pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, fmp4::Fmp4Error> + Send + 'static,
) -> Result<T, media::Error> {
    let result = tokio::task::spawn_blocking(work)
        .await
        .map_err(|error| internal(&error))?;
    Ok(result.map_err(Failure::from)?)
}
