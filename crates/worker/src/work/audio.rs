//! One run of one audio track.

use std::path::{Path, PathBuf};

use reelway_catalog::Effect;
use reelway_domain::{Failure, Reason};
use reelway_media::{
    self as media, AudioPieces, AudioPlan, AudioReading, AudioRun, Heard, PieceSet,
    fmp4::{self, RecutTrack},
};
use tokio_util::sync::CancellationToken;

use super::{
    Done, Job, StoredPlan,
    encode::{blocking, keep, throttled},
    internal, json,
};
use crate::scratch;

/// An audio task's index is its track's place times this, and the run's place.
pub(super) const RUNS_PER_TRACK: usize = reelway_domain::limits::AUDIO_RUNS_MAX;

/// Whether the task of this index makes the first run of a track.
pub(super) fn is_first(index: i32) -> bool {
    usize::try_from(index).is_ok_and(|index| index % RUNS_PER_TRACK == 0)
}

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
    let source = job.source(&stored, scratch).await?;
    let reader = Reader {
        job,
        stored: &stored,
        audio,
        run,
        source: &source,
        scratch,
        cancel,
    };
    let made = make(&reader).await?;
    let pieces = PieceSet {
        silenced_ms: made.silenced_ms,
        ..keep(job, &made.dir, &audio.name, &made.track).await?
    };
    Ok(Done {
        result: json(&AudioPieces(pieces))?,
        effect: Effect::None,
    })
}

/// A run and what it is read from.
struct Reader<'a> {
    job: &'a Job,
    stored: &'a StoredPlan,
    audio: &'a AudioPlan,
    /// The run's place in the track, and the run.
    run: (usize, AudioRun),
    source: &'a Path,
    scratch: &'a Path,
    cancel: &'a CancellationToken,
}

/// A run that is encoded and cut.
struct MadeRun {
    track: RecutTrack,
    /// Where its segments are.
    dir: PathBuf,
    heard: Heard,
    /// How many milliseconds of it are silence in place of sound.
    silenced_ms: i64,
}

/// Makes a run. What a seek doesn't find, or what can't be decoded after it, is looked for from the source's start, and what isn't
/// there is silence: the runs behind this one begin where it is planned to end.
async fn make(reader: &Reader<'_>) -> Result<MadeRun, media::Error> {
    let (place, run) = &reader.run;
    // How many frames there are before silence begins that no sound follows.
    let mut sounding = 0;
    for reading in [AudioReading::Planned, AudioReading::FromStart, AudioReading::FilledUp] {
        let mut made = reader.read(reading).await?;
        if reading != AudioReading::FilledUp {
            sounding = made.track.frames;
        }
        let is_whole = !is_short(&made.track, run);
        if is_whole {
            made.silenced_ms = lost(run, sounding) + reader.undecoded_ms(&made.heard, sounding).await?;
        }
        if is_whole && (made.silenced_ms == 0 || reading != AudioReading::Planned) {
            return Ok(made);
        }
        // What a view doesn't show can't be decoded either.
        if !reader.job.has_whole_source(reader.stored) {
            let (frames, silenced_ms, name) = (made.track.frames, made.silenced_ms, &reader.audio.name);
            let message = format!("{frames} frames came out of run {place} of {name}, {silenced_ms} ms of them silent");
            return Err(Failure::new(Reason::OutputShort, message).into());
        }
    }
    let made = reader.read(AudioReading::Silence).await?;
    Ok(MadeRun {
        silenced_ms: lost(run, 0),
        ..made
    })
}

impl Reader<'_> {
    /// Encodes the run and cuts it, in a directory of its own: another reading makes files of the same names.
    async fn read(&self, reading: AudioReading) -> Result<MadeRun, media::Error> {
        let (place, run) = self.run;
        let dir = scratch::below(self.scratch, &format!("{reading:?}")).await?;
        let work = self.job.workspace(self.source, &dir, self.cancel);
        let encoded = media::encode_audio(&work, self.audio, place, reading, throttled(self.job)).await?;
        let (plan, name, into) = (self.stored.plan.clone(), self.audio.name.clone(), dir.clone());
        let track = blocking(move || {
            fmp4::recut_audio(&encoded.file, &run, fmp4::audio_starts(&plan), &into, |number| {
                format!("{name}-{number:05}.m4s")
            })
        });
        Ok(MadeRun {
            track: track.await?,
            dir,
            heard: encoded.heard,
            silenced_ms: 0,
        })
    }

    /// How much of the run's first frames is silence in place of packets that couldn't be decoded, in milliseconds.
    async fn undecoded_ms(&self, heard: &Heard, frames: i64) -> Result<i64, media::Error> {
        let work = self.job.workspace(self.source, self.scratch, self.cancel);
        media::undecoded_ms(&work, self.audio, &self.run.1, heard, frames).await
    }
}

/// How much of a run is missing if so many frames are there, in milliseconds. Of one to the track's end nothing is filled up.
fn lost(run: &AudioRun, frames: i64) -> i64 {
    let found = AudioRun {
        start_frame: run.start_frame + frames,
        ..*run
    };
    run.end_ms().map_or(0, |end_ms| end_ms - found.start_ms())
}

/// Whether frames are missing. Of a run to the track's end, at least one must be there.
fn is_short(made: &RecutTrack, run: &AudioRun) -> bool {
    let planned = run.end_frame.map_or(1, |end| end - run.start_frame);
    made.frames < planned
}
