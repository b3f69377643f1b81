//! Recutting the audio of a whole source.

use std::{fs::File, iter, path::Path};

use super::{Fmp4Error, RecutTrack, fragment::Sample, reader::FragmentReader};
use crate::{Plan, TICKS_PER_SECOND};

/// The most segments of one track that are believed: days of audio.
const TRACK_SEGMENTS_MAX: u32 = 1 << 20;

/// When audio segments start, in ticks of 1/90000 s: where the video's do, and after the video's last start every
/// `segment_ms`, without end. Audio that outlasts the video is cut just so.
pub fn audio_starts(plan: &Plan) -> impl Iterator<Item = i64> + '_ {
    let every = plan.segment_ms.max(1) * TICKS_PER_SECOND / 1000;
    let video = || {
        plan.video
            .iter()
            .flat_map(|v| &v.chunks)
            .flat_map(|c| &c.segments)
            .map(|s| s.start_ticks)
    };
    let last = video().next_back();
    video().chain(iter::successors(
        Some(last.map_or(0, |last| last + every)),
        move |start| start.checked_add(every),
    ))
}

/// Cuts a track of audio frames at the frame nearest to each start, one file each, named by `name` from the start's
/// place in `starts`. The starts are in ticks of 1/90000 s and ascend from 0; there may be more of them than audio. A
/// single last frame stays with the segment before it.
///
/// Blocks on files. Memory holds the table of one segment's frames, never the frames. A frame lasts until the next one;
/// the files are new and not synced.
///
/// # Errors
/// If the input is not a fragmented AAC file, if its frames overlap, or if reading or writing fails. Files that were
/// written remain.
pub fn recut_audio(
    input: &Path,
    starts: impl IntoIterator<Item = i64>,
    out_dir: &Path,
    name: impl Fn(u32) -> String,
) -> Result<RecutTrack, Fmp4Error> {
    let mut reader = FragmentReader::open(File::open(input)?)?;
    if reader.init().entry.picture.is_some() {
        return Err(Fmp4Error::Unsupported("video where audio was asked for"));
    }
    let mut track = RecutTrack::new(reader.init());
    // The first segment starts with the first frame, whenever that is.
    let mut starts = Starts {
        ahead: starts.into_iter().skip(1).peekable(),
        timescale: track.timescale,
        number: 0,
    };
    let mut pending: Vec<Sample> = Vec::new();
    // The number of the segment that ends before the last pending frame. It is written once another frame is there: a
    // track that outlasts its last start by a part of a frame gets no segment of one frame.
    let mut ended: Option<u32> = None;
    while let Some(fragment) = reader.next_fragment()? {
        for sample in fragment {
            if let Some(last) = pending.last_mut() {
                last.duration = ticks_between(last, &sample)?;
            }
            if let Some(number) = ended.take() {
                let rest = pending.split_off(pending.len() - 1);
                track.write_segment(&mut reader, &pending, number, out_dir, &name)?;
                pending = rest;
            }
            let number = starts.number;
            if starts.pass(&sample)? && !pending.is_empty() {
                ended = Some(number);
            }
            pending.push(sample);
        }
    }
    if !pending.is_empty() {
        let number = ended.unwrap_or(starts.number);
        track.write_segment(&mut reader, &pending, number, out_dir, &name)?;
    }
    Ok(track)
}

fn ticks_between(sample: &Sample, next: &Sample) -> Result<u32, Fmp4Error> {
    let ticks = u32::try_from(next.decode_time.saturating_sub(sample.decode_time)).ok();
    ticks
        .filter(|ticks| *ticks > 0)
        .ok_or(Fmp4Error::Order("audio frames overlap"))
}

/// The starts that are still ahead.
struct Starts<I: Iterator<Item = i64>> {
    ahead: iter::Peekable<I>,
    timescale: u32,
    /// The number of the segment that is being filled.
    number: u32,
}

impl<I: Iterator<Item = i64>> Starts<I> {
    /// Whether this frame begins another segment: it is the first that lies more after a start than before it.
    fn pass(&mut self, sample: &Sample) -> Result<bool, Fmp4Error> {
        let middle_doubled = i128::from(sample.decode_time) * 2 + i128::from(sample.duration);
        let mut passed = false;
        let due = |start: &i64| {
            let start_doubled = i128::from(*start) * 2 * i128::from(self.timescale);
            middle_doubled * i128::from(TICKS_PER_SECOND) >= start_doubled
        };
        while self.ahead.next_if(due).is_some() {
            passed = true;
            self.number += 1;
            if self.number > TRACK_SEGMENTS_MAX {
                let (value, max) = (self.number.into(), TRACK_SEGMENTS_MAX.into());
                return Err(Fmp4Error::TooMuch {
                    what: "segments in a track",
                    value,
                    max,
                });
            }
        }
        Ok(passed)
    }
}
