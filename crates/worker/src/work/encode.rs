//! Making the renditions: video chunks, the audio track, the poster.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use reelway_catalog::Effect;
use reelway_domain::{Failure, Reason, limits};
use reelway_media::{
    self as media, AudioPieces, ChunkPieces, EncodeProgress, PieceSet,
    fmp4::{self, RecutTrack},
};
use tokio_util::sync::CancellationToken;

use super::{Done, Job, internal, json};
use crate::attempt::ran_out_of_memory;

pub(super) async fn video(job: &Job, scratch: &Path, cancel: &CancellationToken) -> Result<Done, media::Error> {
    let stored = job.plan()?;
    let video = stored.video()?;
    let index = usize::try_from(job.claim.task.index).map_err(|error| internal(&error))?;
    let chunk = video
        .chunks
        .get(index)
        .ok_or_else(|| internal(&"the plan has no such chunk"))?;
    let (source, attempt) = (job.source(&stored)?, job.claim.task.attempt);
    let work = job.workspace(&source, scratch, cancel);
    let encoded = if ran_out_of_memory(&job.claim.task) {
        media::encode_chunk_thriftily(&work, video, index, attempt, throttled(job)).await?
    } else {
        media::encode_chunk(&work, video, index, attempt, throttled(job)).await?
    };

    let planned: i64 = chunk.segments.iter().map(|segment| segment.frames).sum();
    let mut renditions = Vec::with_capacity(video.rungs.len());
    for (rung, file) in video.rungs.iter().zip(encoded.pieces) {
        let (segments, dir, rendition) = (chunk.segments.clone(), scratch.to_owned(), rung.name.clone());
        let track = blocking(move || {
            fmp4::recut_video(&file, &segments, &dir, |number| format!("{rendition}-{number:05}.m4s"))
        })
        .await?;
        // Another way of seeking may find the rest; only after that the source is to blame.
        if track.frames < planned && attempt == 1 {
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

pub(super) async fn audio(job: &Job, scratch: &Path, cancel: &CancellationToken) -> Result<Done, media::Error> {
    let stored = job.plan()?;
    let audio = stored.audio()?;
    let source = job.source(&stored)?;
    let file = media::encode_audio(&job.workspace(&source, scratch, cancel), audio, throttled(job)).await?;
    let (plan, dir) = (stored.plan.clone(), scratch.to_owned());
    let track = blocking(move || {
        fmp4::recut_audio(&file, fmp4::audio_starts(&plan), &dir, |number| {
            format!("audio-{number:05}.m4s")
        })
    })
    .await?;
    let pieces = keep(job, scratch, media::AUDIO_RENDITION, &track).await?;
    Ok(Done {
        result: json(&AudioPieces(pieces))?,
        effect: Effect::None,
    })
}

pub(super) async fn poster(job: &Job, scratch: &Path, cancel: &CancellationToken) -> Result<Done, media::Error> {
    let stored = job.plan()?;
    let video = stored.video()?;
    let source = job.source(&stored)?;
    let file = media::take_poster(&job.workspace(&source, scratch, cancel), video).await?;
    let key = job.keep("poster.jpg", &file).await?;
    Ok(Done {
        result: json(&key.to_string())?,
        effect: Effect::None,
    })
}

/// Stores a track's init section and segments, and says what they are.
async fn keep(job: &Job, scratch: &Path, rendition: &str, track: &RecutTrack) -> Result<PieceSet, media::Error> {
    let init = scratch.join(format!("{rendition}-init.mp4"));
    tokio::fs::write(&init, &track.init)
        .await
        .map_err(|error| scratch_failure(&error))?;
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
fn throttled(job: &Job) -> impl FnMut(EncodeProgress) + Send {
    let pause = Duration::from_secs(1) / limits::SAMPLES_PER_SECOND_MAX;
    let mut told_at: Option<Instant> = None;
    move |progress| {
        if told_at.is_none_or(|at| at.elapsed() >= pause) {
            told_at = Some(Instant::now());
            job.tell(&progress);
        }
    }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, fmp4::Fmp4Error> + Send + 'static,
) -> Result<T, media::Error> {
    let result = tokio::task::spawn_blocking(work)
        .await
        .map_err(|error| internal(&error))?;
    Ok(result.map_err(Failure::from)?)
}

fn scratch_failure(error: &std::io::Error) -> Failure {
    match error.kind() {
        std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => {
            Failure::new(Reason::StorageFull, "the worker's scratch directory is full")
        }
        _ => Failure::new(
            Reason::StoreUnavailable,
            format!("the worker's scratch directory can't be written: {error}"),
        ),
    }
}
