//! One run of one audio track.

use std::path::Path;

use reelway_catalog::Effect;
use reelway_domain::{Failure, Reason};
use reelway_media::{
    self as media, AudioPieces, AudioPlan, AudioReading, AudioRun, PieceSet,
    fmp4::{self, RecutTrack},
};
use tokio_util::sync::CancellationToken;

use super::{
    Done, Job, StoredPlan,
    encode::{blocking, keep, throttled},
    internal, json,
};

/// An audio task's index is its track's place times this, and the run's place.
pub(super) const RUNS_PER_TRACK: usize = reelway_domain::limits::AUDIO_RUNS_MAX;

pub(super) async fn audio(job: &Job, scratch: &Path, cancel: &CancellationToken) -> Result<Done, media::Error> {
    let stored = job.plan()?;
    let index = usize::try_from(job.claim.task.index).map_err(|error| internal(&error))?;
    let (track, run) = (index / RUNS_PER_TRACK, index % RUNS_PER_TRACK);
    let audio = stored.plan.audios.get(track);
    let audio = audio.ok_or_else(|| internal(&"the plan has no such audio track"))?;
    let run = audio
        .runs
        .get(run)
        .map(|planned| (run, *planned))
        .ok_or_else(|| internal(&"the plan has no such audio run"))?;
    let (made, silenced_ms) = make(job, &stored, audio, run, scratch, cancel).await?;
    let pieces = PieceSet {
        silenced_ms,
        ..keep(job, scratch, &audio.name, &made).await?
    };
    Ok(Done {
        result: json(&AudioPieces(pieces))?,
        effect: Effect::None,
    })
}

/// Encodes and cuts a run, and says how many milliseconds of it are silence in place of sound. What a seek doesn't find is
/// looked for from the source's start, and what isn't there is silence: the runs behind this one begin where it is planned
/// to end.
async fn make(
    job: &Job,
    stored: &StoredPlan,
    audio: &AudioPlan,
    (place, run): (usize, AudioRun),
    scratch: &Path,
    cancel: &CancellationToken,
) -> Result<(RecutTrack, i64), media::Error> {
    let source = job.source(stored, scratch).await?;
    let work = job.workspace(&source, scratch, cancel);
    let mut lost_ms = 0;
    for reading in [AudioReading::Planned, AudioReading::FromStart, AudioReading::FilledUp] {
        let file = media::encode_audio(&work, audio, place, reading, throttled(job)).await?;
        let made = cut(stored, audio, run, file, scratch).await?;
        if !is_short(&made, &run) {
            return Ok((made, if reading == AudioReading::FilledUp { lost_ms } else { 0 }));
        }
        if !job.has_whole_source(stored) {
            let message = format!("{} frames came out of run {place} of {}", made.frames, audio.name);
            return Err(Failure::new(Reason::OutputShort, message).into());
        }
        if reading != AudioReading::FilledUp {
            lost_ms = lost(&run, made.frames);
        }
    }
    let file = media::encode_audio(&work, audio, place, AudioReading::Silence, throttled(job)).await?;
    Ok((cut(stored, audio, run, file, scratch).await?, lost_ms))
}

/// How much of a run is missing if so many frames are there, in milliseconds. Of one to the track's end nothing is filled up.
fn lost(run: &AudioRun, frames: i64) -> i64 {
    let found = AudioRun {
        start_frame: run.start_frame + frames,
        ..*run
    };
    run.end_ms().map_or(0, |end_ms| end_ms - found.start_ms())
}

async fn cut(
    stored: &StoredPlan,
    audio: &AudioPlan,
    run: AudioRun,
    file: std::path::PathBuf,
    scratch: &Path,
) -> Result<RecutTrack, media::Error> {
    let (plan, name, dir) = (stored.plan.clone(), audio.name.clone(), scratch.to_owned());
    blocking(move || {
        fmp4::recut_audio(&file, &run, fmp4::audio_starts(&plan), &dir, |number| {
            format!("{name}-{number:05}.m4s")
        })
    })
    .await
}

/// Whether frames are missing. Of a run to the track's end, at least one must be there.
fn is_short(made: &RecutTrack, run: &AudioRun) -> bool {
    let planned = run.end_frame.map_or(1, |end| end - run.start_frame);
    made.frames < planned
}
