//! Which frame goes into which segment, and when exactly each is decoded and shown.

use std::ops::Range;

use super::{Fmp4Error, fragment::Sample};
use crate::SegmentPlan;

/// A frame this near to a segment's planned start is the segment's first: the plan and ffmpeg round to ticks in
/// different ways.
const ROUNDING_TICKS: i64 = 1;
/// How many usual frames later than it is shown a frame may be decoded. The encoder keeps back two for its B-frames.
const LATE_FRAMES_MAX: i64 = 3;

/// The samples of one segment.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Cut {
    /// The segment's place in the chunk.
    pub(super) place: usize,
    /// In decode order.
    pub(super) samples: Range<usize>,
}

/// Assigns the samples of a chunk, which come in decode order and in ticks of 1/90000 s, to its segments, and gives
/// them a decode timeline without gaps: the i-th to be decoded is decoded when the i-th to be shown is shown. So every
/// duration is the distance to the next frame, and the last frame's reaches to the end of the chunk. Only around a long
/// pause between two frames, frames are decoded earlier than that.
///
/// A segment without frames is left out; the frame before it then lasts longer. If the chunk's first frames are missing,
/// its first frame is shown from the chunk's start on.
///
/// # Errors
/// If a frame is outside of the chunk or too many, if a segment does not begin with a keyframe, or if two frames are
/// shown at the same time.
pub(super) fn retime(samples: &mut [Sample], segments: &[SegmentPlan]) -> Result<Vec<Cut>, Fmp4Error> {
    let (Some(first), Some(last)) = (segments.first(), segments.last()) else {
        return Err(Fmp4Error::Unsupported("a chunk without segments"));
    };
    let chunk = first.start_ticks..last.start_ticks + last.duration_ticks;
    let mut shown = samples.iter().map(Sample::shown).collect::<Result<Vec<i64>, _>>()?;
    let cuts = assign(&shown, segments, &chunk)?;
    for (nth, cut) in cuts.iter().enumerate() {
        let segment = &segments[cut.place];
        let shown = &mut shown[cut.samples.clone()];
        if !samples[cut.samples.start].is_sync() || shown.iter().any(|t| *t < shown[0]) {
            return Err(Fmp4Error::NoKeyframe(segment.number));
        }
        if nth == 0 {
            shown[0] = chunk.start;
        } else if (shown[0] - segment.start_ticks).abs() <= ROUNDING_TICKS {
            shown[0] = segment.start_ticks;
        }
    }
    set_times(samples, &shown, chunk.end)?;
    Ok(cuts)
}

/// Groups the samples by segment.
fn assign(shown: &[i64], segments: &[SegmentPlan], chunk: &Range<i64>) -> Result<Vec<Cut>, Fmp4Error> {
    let mut cuts: Vec<Cut> = Vec::new();
    for (i, &time) in shown.iter().enumerate() {
        let rounded = time.saturating_add(ROUNDING_TICKS);
        if !chunk.contains(&rounded) {
            let (start_ticks, end_ticks) = (chunk.start, chunk.end);
            return Err(Fmp4Error::FrameOutside {
                shown_ticks: time,
                start_ticks,
                end_ticks,
            });
        }
        let place = segments.partition_point(|s| s.start_ticks <= rounded).saturating_sub(1);
        match cuts.last_mut() {
            Some(cut) if cut.place == place => cut.samples.end = i + 1,
            Some(cut) if cut.place > place => {
                return Err(Fmp4Error::Order(
                    "a frame of a segment is decoded after the next segment's keyframe",
                ));
            }
            _ => cuts.push(Cut {
                place,
                samples: i..i + 1,
            }),
        }
    }
    for cut in &cuts {
        let (
            frames,
            SegmentPlan {
                number,
                frames: planned,
                ..
            },
        ) = (cut.samples.len(), segments[cut.place]);
        if i64::try_from(frames).is_ok_and(|frames| frames > planned) {
            return Err(Fmp4Error::SurplusFrames {
                number,
                frames,
                planned,
            });
        }
    }
    Ok(cuts)
}

fn set_times(samples: &mut [Sample], shown: &[i64], end: i64) -> Result<(), Fmp4Error> {
    let decoded = decode_times(shown)?;
    let ends = decoded.iter().copied().skip(1).chain([end]);
    for (((sample, shown), decode_time), end) in samples.iter_mut().zip(shown).zip(&decoded).zip(ends) {
        sample.decode_time = *decode_time;
        sample.duration = u32::try_from(end - decode_time).map_err(|_| Fmp4Error::Order("a frame lasts too long"))?;
        let late = i32::try_from(shown - decode_time);
        sample.composition_offset = late.map_err(|_| Fmp4Error::Order("a frame is shown too long after decoding"))?;
    }
    Ok(())
}

/// When each frame is decoded, ascending. B-frames before a pause come after the frame that ends the pause; if they were
/// decoded after it too, some players would take the pause for a delay of the whole track and lose the sound.
fn decode_times(shown: &[i64]) -> Result<Vec<i64>, Fmp4Error> {
    let mut decoded = shown.to_vec();
    decoded.sort_unstable();
    let mut pauses: Vec<i64> = decoded.windows(2).map(|pair| pair[1] - pair[0]).collect();
    pauses.sort_unstable();
    if pauses.first() == Some(&0) {
        return Err(Fmp4Error::Order("two frames are shown at the same time"));
    }
    let late_max = LATE_FRAMES_MAX * pauses.get(pauses.len() / 2).copied().unwrap_or(0);
    // The earliest of the frames that are still to be decoded must not wait much longer.
    let mut earliest = i64::MAX;
    for (time, shown) in decoded.iter_mut().zip(shown).rev() {
        earliest = earliest.min(*shown);
        *time = (*time).min(earliest.saturating_add(late_max));
    }
    for i in 1..decoded.len() {
        decoded[i] = decoded[i].max(decoded[i - 1] + 1);
    }
    Ok(decoded)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Samples shown at these times, in decode order; keyframes are those marked.
    fn samples(shown: &[(i64, bool)]) -> Vec<Sample> {
        let sample = |&(shown, key): &(i64, bool)| Sample {
            decode_time: shown,
            composition_offset: 0,
            duration: 1,
            flags: if key { 0 } else { 0x0001_0000 },
            size: 1,
            position: 0,
        };
        shown.iter().map(sample).collect()
    }

    fn two_segments() -> [SegmentPlan; 2] {
        [0, 1].map(|number| SegmentPlan {
            number,
            start_ticks: 1000 + 100 * i64::from(number),
            duration_ticks: 100,
            frames: 3,
        })
    }

    /// Decode time, composition offset and duration of each sample.
    fn times(samples: &[Sample]) -> Vec<(i64, i32, u32)> {
        samples
            .iter()
            .map(|s| (s.decode_time, s.composition_offset, s.duration))
            .collect()
    }

    #[test]
    fn decode_times_are_the_sorted_presentation_times() {
        let mut made = samples(&[(1000, true), (1070, false), (1030, false), (1100, true), (1150, false)]);
        let cuts = retime(&mut made, &two_segments()).unwrap();
        assert_eq!(
            cuts,
            [
                Cut {
                    place: 0,
                    samples: 0..3
                },
                Cut {
                    place: 1,
                    samples: 3..5
                }
            ]
        );
        let expected = [
            (1000, 0, 30),
            (1030, 40, 40),
            (1070, -40, 30),
            (1100, 0, 50),
            (1150, 0, 50),
        ];
        assert_eq!(times(&made), expected);
    }

    #[test]
    fn a_pause_does_not_delay_the_frames_before_it() {
        let decoded = |shown: &[i64]| decode_times(shown).unwrap();
        assert_eq!(decoded(&[7]), [7]);
        assert_eq!(
            decoded(&[0, 3000, 900_000, 6000, 9000, 903_000, 906_000]),
            [0, 3000, 6000, 9000, 18_000, 903_000, 906_000]
        );
        assert_eq!(
            decoded(&[0, 10, 20, 30, 40, 5000, 6000, 7000, 50, 7010]),
            [0, 10, 20, 30, 40, 50, 80, 81, 82, 7010]
        );
    }

    #[test]
    fn rounding_at_a_start_is_undone_and_only_there() {
        for off in [-1, 0, 1] {
            let mut made = samples(&[(1000 + off, true), (1051, false), (1100 + off, true)]);
            let cuts = retime(&mut made, &two_segments()).unwrap();
            assert_eq!(cuts.len(), 2, "{off}");
            assert_eq!(times(&made), [(1000, 0, 51), (1051, 0, 49), (1100, 0, 100)], "{off}");
        }
        let mut late = samples(&[(1000, true), (1102, true)]);
        retime(&mut late, &two_segments()).unwrap();
        assert_eq!(times(&late), [(1000, 0, 102), (1102, 0, 98)]);
    }

    #[test]
    fn orders_that_make_no_sense_are_errors() {
        let failed = |shown: &[(i64, bool)]| retime(&mut samples(shown), &two_segments()).unwrap_err();
        assert!(matches!(failed(&[(1000, true), (1000, false)]), Fmp4Error::Order(_)));
        assert!(matches!(
            failed(&[(1000, true), (1100, true), (1050, false)]),
            Fmp4Error::Order(_)
        ));
        assert!(matches!(
            failed(&[(1010, true), (1005, false)]),
            Fmp4Error::NoKeyframe(0)
        ));
        assert!(matches!(
            failed(&[(1000, true), (1100, false)]),
            Fmp4Error::NoKeyframe(1)
        ));
        assert!(matches!(failed(&[(1199, true)]), Fmp4Error::FrameOutside { .. }));
        assert!(matches!(failed(&[(i64::MAX, true)]), Fmp4Error::FrameOutside { .. }));
    }
}
