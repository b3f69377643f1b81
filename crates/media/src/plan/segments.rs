//! Frames into segments: every frame once, no segment empty.

use super::{Rational, SEGMENT_MS, SegmentPlan, TICKS_PER_SECOND};

/// A segment's length on the grid, in ticks.
const SEGMENT_TICKS: i64 = SEGMENT_MS * TICKS_PER_SECOND / 1000;
/// Segments are made longer or shorter, within these bounds, so that the last of a few ends at a keyframe of the source: from
/// there nothing is decoded in vain. The longest, a frame and a little sound more still round to [`SEGMENT_MS`], which is the
/// target duration.
const STRETCHED_TICKS_MAX: i64 = 435 * TICKS_PER_SECOND / 100;
const STRETCHED_TICKS_MIN: i64 = 3 * TICKS_PER_SECOND;
/// A packet that follows may hold a frame that is shown so much before the last one that is there, in ticks.
const LATE_TICKS_MAX: i64 = TICKS_PER_SECOND;
/// At most so many segments lie between a border and the keyframe that is aimed at.
const STRETCHED_MAX: i64 = 3;

/// The frames of a track on the timeline of its renditions.
#[derive(Debug)]
pub(super) struct Timeline {
    /// The first frame's timestamp in the source.
    pub(super) base_pts: i64,
    /// The timestamp after the last frame, in the source.
    pub(super) end_pts: i64,
    /// The frames, in the order of showing.
    pub(super) frames: Vec<Frame>,
    /// When the last frame ends, in ticks from the first frame.
    pub(super) end_ticks: i64,
}

/// When a frame is shown.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Frame {
    /// In the source's time base.
    pub(super) pts: i64,
    /// In ticks from the first frame; no two frames have the same.
    pub(super) ticks: i64,
    /// The tick is later than the source's time, because the frame before has that.
    is_moved: bool,
}

/// A segment and the timestamp in the source of its first frame.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Cut {
    pub(super) start_pts: i64,
    pub(super) segment: SegmentPlan,
}

impl Timeline {
    /// Lays frames (their timestamps, ascending) out from the first one; `None` if there are none. Of frames that fall on
    /// the same tick, the later ones are shown one tick after the other.
    pub(super) fn new(pts: &[i64], last_duration: i64, time_base: Rational) -> Option<Self> {
        let (base_pts, last_pts) = (*pts.first()?, *pts.last()?);
        let mut previous: i64 = -1;
        let frames = pts.iter().map(|&pts| {
            let own = time_base.to_ticks(pts.saturating_sub(base_pts));
            previous = own.max(previous.saturating_add(1));
            Frame {
                pts,
                ticks: previous,
                is_moved: own != previous,
            }
        });
        let frames: Vec<Frame> = frames.collect();
        let last_ticks = frames.last()?.ticks;
        let duration = match time_base.to_ticks(last_duration) {
            0 => usual_duration(frames.len(), last_ticks),
            told => told,
        };
        let end_pts = last_pts.saturating_add(last_duration.max(1));
        Some(Self {
            base_pts,
            end_pts,
            frames,
            end_ticks: last_ticks.saturating_add(duration),
        })
    }

    /// The segments: a new one begins with the first frame at or after each border. `keyframes` are the timestamps, ascending,
    /// that decoding can begin with at no cost; there may be none.
    pub(super) fn cut(&self, keyframes: &[i64]) -> Vec<Cut> {
        let keys = self.keys(keyframes);
        self.cut_at(&mut Borders::new(&keys, self.end_ticks, i64::MAX))
    }

    /// The same of a track that goes on: the segments that stay as they are whatever follows, and the one that begins behind them,
    /// of which nothing but its beginning is known.
    pub(super) fn cut_beginning(&self, keyframes: &[i64]) -> Vec<Cut> {
        let keys = self.keys(keyframes);
        let last = self.frames.last().map_or(0, |last| last.ticks);
        let mut borders = Borders::new(&keys, i64::MAX, last - LATE_TICKS_MAX);
        let mut cuts = self.cut_at(&mut borders);
        cuts.truncate(borders.settled + 1);
        cuts
    }

    /// When the keyframes are shown.
    fn keys(&self, keyframes: &[i64]) -> Vec<i64> {
        let is_key = |frame: &&Frame| !frame.is_moved && keyframes.binary_search(&frame.pts).is_ok();
        self.frames.iter().filter(is_key).map(|frame| frame.ticks).collect()
    }

    fn cut_at(&self, borders: &mut Borders<'_>) -> Vec<Cut> {
        let mut end = 0;
        let mut cuts: Vec<Cut> = Vec::new();
        for &Frame {
            pts: start_pts,
            ticks,
            is_moved,
        } in &self.frames
        {
            match cuts.last_mut() {
                // An encoder that begins with a frame can't know that the one before it pushes it on.
                Some(last) if is_moved || ticks < end => last.segment.frames += 1,
                _ => {
                    end = borders.after(ticks);
                    cuts.push(Cut {
                        start_pts,
                        segment: SegmentPlan {
                            number: u32::try_from(cuts.len()).unwrap_or(u32::MAX),
                            start_ticks: ticks,
                            duration_ticks: 0,
                            frames: 1,
                        },
                    });
                }
            }
        }
        let ends: Vec<i64> = cuts
            .iter()
            .skip(1)
            .map(|cut| cut.segment.start_ticks)
            .chain([self.end_ticks])
            .collect();
        for (cut, end) in cuts.iter_mut().zip(ends) {
            cut.segment.duration_ticks = end - cut.segment.start_ticks;
        }
        cuts
    }

    /// The most frames that begin within any one second: what a decoder must keep up with.
    pub(super) fn frame_rate_max(&self) -> u32 {
        let (mut first, mut most) = (0, 0);
        for (i, frame) in self.frames.iter().enumerate() {
            while self.frames[first].ticks + TICKS_PER_SECOND <= frame.ticks {
                first += 1;
            }
            most = most.max(i + 1 - first);
        }
        u32::try_from(most).unwrap_or(u32::MAX)
    }
}

/// Where segments end: on a grid of [`SEGMENT_MS`], or at equal distances up to a keyframe, where the grid begins anew.
struct Borders<'a> {
    /// When the source's keyframes are shown, ascending.
    keys: &'a [i64],
    /// When the track ends; [`i64::MAX`] if it goes on.
    end: i64,
    /// All frames up to here are known.
    known: i64,
    /// So many of the first borders are the same whatever follows.
    settled: usize,
    /// All borders so far are.
    is_settled: bool,
    /// Where the grid begins.
    origin: i64,
    /// The keyframe that is aimed at, and how many segments there are up to it.
    aim: Option<(i64, i64)>,
}

impl<'a> Borders<'a> {
    fn new(keys: &'a [i64], end: i64, known: i64) -> Self {
        Self {
            keys,
            end,
            known,
            settled: 0,
            is_settled: true,
            origin: 0,
            aim: None,
        }
    }

    /// The end of the segment that begins at `start`; asked for one segment after the other.
    fn after(&mut self, start: i64) -> i64 {
        if let Some((key, _)) = self.aim.filter(|(key, _)| *key <= start) {
            (self.origin, self.aim) = (key, None);
        }
        if self.aim.is_none() {
            self.aim = self.reachable(start);
            self.is_settled &= start.saturating_add(self.looked_at(start)) <= self.known;
        }
        let end = match self.aim {
            Some((key, segments)) => {
                self.aim = Some((key, (segments - 1).max(1)));
                start + (key - start) / segments
            }
            None => {
                let whole = (start - self.origin) / SEGMENT_TICKS + 1;
                whole.saturating_mul(SEGMENT_TICKS).saturating_add(self.origin)
            }
        };
        self.is_settled &= end <= self.known;
        self.settled += usize::from(self.is_settled);
        end
    }

    /// How far behind `start` a keyframe would have been preferred to what is aimed at from there.
    fn looked_at(&self, start: i64) -> i64 {
        match self.aim {
            _ if self.keys.is_empty() => 0,
            Some((_, segments)) => reach(start).min(segments * STRETCHED_TICKS_MAX),
            None => reach(start),
        }
    }

    /// The keyframe that is next within few segments; of several, that up to which they come nearest to the length on the grid.
    ///
    /// How far it looks depends on the start alone: what was cut of a source stays as it is when more of it is known.
    fn reachable(&self, start: i64) -> Option<(i64, i64)> {
        let is_last = (STRETCHED_TICKS_MIN..=STRETCHED_TICKS_MAX).contains(&(self.end - start));
        if is_last && !self.keys.is_empty() {
            return Some((self.end, 1));
        }
        let reach = reach(start);
        let first = self
            .keys
            .partition_point(|key| key.saturating_sub(start) < STRETCHED_TICKS_MIN);
        let near = self.keys[first..].iter().take_while(|key| *key - start <= reach);
        let aims = near.filter_map(|&key| {
            let segments = (key - start + STRETCHED_TICKS_MAX - 1) / STRETCHED_TICKS_MAX;
            let each = (key - start) / segments;
            (each >= STRETCHED_TICKS_MIN).then_some(((segments, each.abs_diff(SEGMENT_TICKS)), (key, segments)))
        });
        aims.min().map(|(_, aim)| aim)
    }
}

/// How long a frame lasts on average, or 1/25 s if there is only one.
fn usual_duration(frames: usize, last_ticks: i64) -> i64 {
    match i64::try_from(frames) {
        Ok(count @ 2..) => (last_ticks / (count - 1)).max(1),
        _ => TICKS_PER_SECOND / 25,
    }
}

/// How far behind a border a keyframe is looked for.
fn reach(start: i64) -> i64 {
    (start / 2 + STRETCHED_TICKS_MAX).min(STRETCHED_MAX * STRETCHED_TICKS_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Rational = Rational { num: 1, den: 1000 };

    fn cuts(pts: &[i64], last_duration: i64) -> Vec<(i64, i64, i64, i64)> {
        let timeline = Timeline::new(pts, last_duration, MS).unwrap();
        let row = |c: &Cut| {
            (
                c.start_pts,
                c.segment.start_ticks / 90,
                c.segment.duration_ticks / 90,
                c.segment.frames,
            )
        };
        timeline.cut(&[]).iter().map(row).collect()
    }

    #[test]
    fn segments_begin_at_the_first_frame_after_the_grid() {
        let pts: Vec<i64> = (0..5).map(|i| 500 + i * 3000).collect();
        // Shown at 0, 3, 6, 9, 12 s.
        assert_eq!(
            cuts(&pts, 1000),
            [
                (500, 0, 6000, 2),
                (6500, 6000, 3000, 1),
                (9500, 9000, 3000, 1),
                (12_500, 12_000, 1000, 1)
            ]
        );
    }

    /// 25 frames a second for so many milliseconds.
    fn timeline(ms: i64) -> Timeline {
        let pts: Vec<i64> = (0..ms / 40).map(|n| n * 40).collect();
        Timeline::new(&pts, 40, MS).unwrap()
    }

    /// When segments begin of 25 frames a second for 61 s, with these keyframes, all in milliseconds.
    fn starts(keyframes: &[i64]) -> Vec<i64> {
        let cuts = timeline(61_000).cut(keyframes);
        cuts.iter().map(|cut| cut.segment.start_ticks / 90).collect()
    }

    #[test]
    fn segments_are_stretched_to_the_source_keyframes() {
        let every = |ms: usize| (0_i64..61_000).step_by(ms).collect::<Vec<_>>();
        let grid = every(4000);
        for keyframes in [vec![], vec![0], every(40), every(1000), every(2000), every(4000)] {
            assert_eq!(starts(&keyframes), grid, "{keyframes:?}");
        }
        let keyframes = every(8320);
        assert_eq!(starts(&keyframes)[..6], [0, 4000, 8320, 12_480, 16_640, 20_800]);
        assert_eq!(
            starts(&every(10_000))[..7],
            [0, 4000, 7000, 10_000, 14_000, 17_000, 20_000]
        );
        let short: Vec<i64> = (0..100).map(|n| n * 40).collect();
        let cut = Timeline::new(&short, 40, MS).unwrap().cut(&[0, 1000, 2000, 3000]);
        assert_eq!(cut.len(), 1, "what is left is one segment");
        for step in (600..13_000).step_by(360) {
            let starts = starts(&every(step));
            let lengths: Vec<i64> = starts.windows(2).map(|pair| pair[1] - pair[0]).collect();
            assert!(
                lengths.iter().all(|ms| (3000..=4390).contains(ms)),
                "{step}: {lengths:?}"
            );
            let keys = starts.iter().filter(|start| every(step).contains(start)).count();
            let possible = 61_000 / step.max(4320);
            assert!(keys * 3 >= possible, "{keys} of {possible}, each {step} ms: {starts:?}");
        }
    }

    #[test]
    fn a_beginning_is_cut_the_same_whatever_comes_behind() {
        let mut seed: u64 = 1;
        for _ in 0..200 {
            let mut keyframes = vec![0];
            while let Some(last) = keyframes.last().filter(|last| **last < 61_000) {
                seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                keyframes.push(last + 40 * (1 + i64::try_from(seed >> 33).unwrap() % 300));
            }
            let whole = timeline(61_000).cut(&keyframes);
            for known in (2000..61_000).step_by(1720) {
                let there: Vec<i64> = keyframes.iter().copied().filter(|key| *key < known).collect();
                let beginning = timeline(known).cut_beginning(&there);
                let (last, settled) = beginning.split_last().unwrap();
                assert_eq!(settled, &whole[..settled.len()], "{known} of {keyframes:?}");
                assert_eq!(
                    last.start_pts,
                    whole[settled.len()].start_pts,
                    "{known} of {keyframes:?}"
                );
                // The furthest look, the frames that may be late, and the segment that goes on.
                assert!(
                    last.start_pts + 13_050 + 1000 + 4350 > known,
                    "{known} of {keyframes:?}"
                );
            }
        }
    }

    #[test]
    fn a_long_gap_leaves_no_empty_segment() {
        assert_eq!(cuts(&[0, 40, 20_000], 40), [(0, 0, 20_000, 2), (20_000, 20_000, 40, 1)]);
    }

    #[test]
    fn one_frame_lasts_a_moment() {
        assert_eq!(cuts(&[7], 0), [(7, 0, 40, 1)]);
    }

    #[test]
    fn frames_at_the_same_time_are_shown_one_after_the_other() {
        let micro = Rational { num: 1, den: 1_000_000 };
        let timeline = Timeline::new(&[0, 0, 2, 40_000], 40_000, micro).unwrap();
        let ticks: Vec<i64> = timeline.frames.iter().map(|frame| frame.ticks).collect();
        assert_eq!(ticks, [0, 1, 2, 3600]);
        assert_eq!((timeline.end_pts, timeline.end_ticks), (80_000, 7200));
    }

    #[test]
    fn no_segment_begins_with_a_frame_that_was_moved() {
        assert_eq!(
            cuts(&[0, 4000, 4000, 8000], 40),
            [(0, 0, 4000, 1), (4000, 4000, 4000, 2), (8000, 8000, 40, 1)]
        );
        let fine = Rational {
            num: 1,
            den: 10_000_000,
        };
        // All on the last tick before 4 s, the second is moved to 4 s.
        let timeline = Timeline::new(&[0, 39_999_889, 39_999_890, 40_000_800], 40, fine).unwrap();
        assert_eq!(
            timeline
                .cut(&[])
                .iter()
                .map(|cut| cut.segment.frames)
                .collect::<Vec<_>>(),
            [3, 1]
        );
    }

    #[test]
    fn the_frame_rate_is_that_of_the_busiest_second() {
        let pts: Vec<i64> = (0..10)
            .map(|i| i * 200)
            .chain((0..60).map(|i| 2000 + i * 1000 / 60))
            .collect();
        assert_eq!(Timeline::new(&pts, 16, MS).unwrap().frame_rate_max(), 60);
    }
}
