//! Recutting the video of one chunk.

use std::{fs::File, path::Path};

use super::{Fmp4Error, RecutTrack, reader::FragmentReader, timeline::retime};
use crate::{SegmentPlan, TICKS_PER_SECOND};

/// The most frames of one chunk that are believed: 10 s at 6000 frames a second.
const CHUNK_FRAMES_MAX: usize = 60_000;

/// Cuts one rendition of a chunk into its planned segments, one file each, named by `name` from the segment's number.
///
/// Blocks on files. Memory holds the table of the chunk's frames, never the frames. Presentation times stay as ffmpeg
/// made them, apart from one tick of rounding at a segment's start; decode times and durations are computed from them,
/// so that the last frame lasts until the chunk ends. Fewer frames than planned are no error: a segment without frames
/// gets no file, and what comes before it lasts longer.
///
/// The files are new and not synced.
///
/// # Errors
/// If the input is not a fragmented video file in ticks of 1/90000 s, if its frames don't fit the plan (outside of the
/// chunk, too many, no keyframe at a segment's start), or if reading or writing fails. Files that were written remain.
pub fn recut_video(
    input: &Path,
    segments: &[SegmentPlan],
    out_dir: &Path,
    name: impl Fn(u32) -> String,
) -> Result<RecutTrack, Fmp4Error> {
    let mut reader = FragmentReader::open(File::open(input)?)?;
    if reader.init().entry.picture.is_none() || i64::from(reader.init().timescale) != TICKS_PER_SECOND {
        return Err(Fmp4Error::Unsupported(
            "a chunk that is not video in ticks of 1/90000 s",
        ));
    }
    let mut samples = Vec::new();
    while let Some(fragment) = reader.next_fragment()? {
        samples.extend(fragment);
        if samples.len() > CHUNK_FRAMES_MAX {
            let (value, max) = (samples.len() as u64, CHUNK_FRAMES_MAX as u64);
            return Err(Fmp4Error::TooMuch {
                what: "frames in a chunk",
                value,
                max,
            });
        }
    }
    let mut track = RecutTrack::new(reader.init());
    for cut in retime(&mut samples, segments)? {
        track.write_segment(
            &mut reader,
            &samples[cut.samples],
            segments[cut.place].number,
            out_dir,
            &name,
        )?;
    }
    Ok(track)
}
