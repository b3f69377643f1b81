//! Segments into chunks: the first ones short, so that playing can begin, the last ones short, so that all workers finish
//! together, and those between long enough that starting an encoder costs next to nothing.

use super::{ChunkPlan, TICKS_PER_SECOND, segments::Cut};

/// The most segments in one chunk: 12 s.
const SEGMENTS_MAX: usize = 3;
/// The most segments in one chunk where there is little to encode in each: 5 minutes, which is soon done all the same.
const CHEAP_SEGMENTS_MAX: usize = 75;
/// A chunk is worth its process with so many pixels to encode, of all rungs together: that takes more than twenty times as
/// long as to start an encoder, and the time of a chunk is bounded by it.
const WORK_PIXELS_MIN: i64 = 240_000_000;
/// A chunk of many segments is at most one part in so many of what lies before it: while a source arrives, nobody waits
/// for long until its bytes are there.
const BEFORE_PARTS: usize = 4;
/// The same within the first minute: 8 s, the shortest that costs no more than one command for everything would.
const EARLY_SEGMENTS_MAX: usize = 2;
/// So many chunks at the start have one segment.
const SHORT_CHUNKS: usize = 2;
/// A chunk takes at most this share of what is left.
const LEFT_PER_CHUNK: usize = 2;
/// A last segment shorter than this is not worth a process of its own.
const LAST_ALONE_TICKS_MIN: i64 = TICKS_PER_SECOND;
/// The first minute, which somebody who watches from the start wants first.
const EARLY_TICKS: i64 = 60 * TICKS_PER_SECOND;
/// At most one part in so many of a video is encoded ahead at the smallest rung, if its plan is made of all of its index.
pub(super) const LEAD_PARTS: i64 = 4;
/// The same of the beginning that the first plan of a source in pieces knows. Those that reach further lead no more: which rungs
/// players are shown depends on how many chunks are led.
pub(super) const LEAD_PARTS_OF_PIECES: i64 = 2;

/// How many chunks at the start have their smallest rung encoded ahead of the others.
///
/// A chunk that is led is decoded twice. Decoding is about a tenth of the work of a full ladder, while the smallest rung takes
/// about a seventh of it: playing can begin that much sooner. So the first minute is led, but no more than one part of the video
/// in `parts`, a quarter where that can be chosen, which keeps the price below 3 %; the first chunk always is. With one rung there
/// is nothing to get ahead of.
pub(super) fn lead_chunks(chunks: &[ChunkPlan], rungs: usize, parts: i64) -> usize {
    if rungs < 2 || chunks.is_empty() {
        return 0;
    }
    let end = |chunk: &ChunkPlan| chunk.start_ticks().saturating_add(chunk.duration_ticks());
    let until = EARLY_TICKS.min(chunks.last().map_or(0, end) / parts);
    chunks.iter().take_while(|chunk| end(chunk) <= until).count().max(1)
}

/// The segments that are put together.
pub(super) struct Cuts<'a> {
    pub(super) cuts: &'a [Cut],
    /// More follow, and of the last one nothing but its beginning is known.
    pub(super) is_open: bool,
}

/// Whether chunks hold the first of these segments.
pub(super) fn is_beginning(chunks: &[ChunkPlan], cuts: &[Cut]) -> bool {
    let segments = || chunks.iter().flat_map(|chunk| &chunk.segments);
    let starts = chunks.iter().all(|chunk| {
        let first = chunk.segments.first().and_then(|first| cuts.get(first.number as usize));
        first.is_some_and(|first| first.start_pts == chunk.start_pts)
    });
    starts && segments().count() <= cuts.len() && segments().zip(cuts).all(|(segment, cut)| *segment == cut.segment)
}

/// Puts segments together. `keyframes` are the timestamps where decoding can begin, ascending; `pixels` are those that are
/// encoded of each frame, of all rungs together.
#[cfg(test)]
fn group(cuts: &[Cut], end_pts: i64, keyframes: &[i64], pixels: i64) -> Vec<ChunkPlan> {
    group_behind(&[], &Cuts { cuts, is_open: false }, end_pts, keyframes, pixels)
}

/// Puts segments together, behind the chunks that the first ones are in already. `keyframes` are the timestamps where decoding can
/// begin, ascending; `pixels` are those that are encoded of each frame, of all rungs together. Of segments that more follow, those
/// are left that later ones may be put together with.
pub(super) fn group_behind(
    before: &[ChunkPlan],
    all: &Cuts<'_>,
    end_pts: i64,
    keyframes: &[i64],
    pixels: i64,
) -> Vec<ChunkPlan> {
    let mut chunks = before.to_vec();
    let mut start: usize = before.iter().map(|chunk| chunk.segments.len()).sum();
    let cuts = all.cuts;
    while start < cuts.len() {
        let Some(size) = size(all, start, chunks.len(), keyframes, pixels) else {
            break;
        };
        let (taken, rest) = cuts[start..].split_at(size);
        chunks.push(ChunkPlan {
            start_pts: taken[0].start_pts,
            end_pts: rest.first().map_or(end_pts, |next| next.start_pts),
            seek_pts: if start == 0 {
                None
            } else {
                keyframe_before(keyframes, taken[0].start_pts)
            },
            bytes: None,
            segments: taken.iter().map(|cut| cut.segment).collect(),
        });
        start += size;
    }
    chunks
}

/// How many segments the next chunk has; `None` if that depends on what isn't known yet. Of the longest choice and its neighbour,
/// that one is taken after which the next chunk has less to decode before its first frame.
fn size(all: &Cuts<'_>, start: usize, chunks: usize, keyframes: &[i64], pixels: i64) -> Option<usize> {
    let Cuts { cuts, is_open } = *all;
    let left = if is_open { usize::MAX } else { cuts.len() - start };
    let most = match chunks {
        ..SHORT_CHUNKS => 1,
        _ if cuts[start].segment.start_ticks < EARLY_TICKS => EARLY_SEGMENTS_MAX,
        _ => SEGMENTS_MAX.max(worthwhile(&cuts[start..], pixels).min(start / BEFORE_PARTS)),
    };
    let longest = (left / LEFT_PER_CHUNK).clamp(1, most);
    let is_crumb = |cut: &Cut| cut.segment.duration_ticks < LAST_ALONE_TICKS_MIN;
    if left == longest + 1 && cuts.last().is_some_and(is_crumb) {
        return Some(left);
    }
    // In the source's time; behind the end there is nothing to decode.
    let lead = |size: usize| {
        let next = cuts.get(start + size)?.start_pts;
        Some(next.saturating_sub(keyframe_before(keyframes, next).unwrap_or(i64::MIN)))
    };
    let other = match longest {
        SEGMENTS_MAX.. => longest - 1,
        EARLY_SEGMENTS_MAX if left / LEFT_PER_CHUNK > EARLY_SEGMENTS_MAX => SEGMENTS_MAX,
        1 if chunks >= SHORT_CHUNKS && left > 1 && saves_a_segment(lead(1), lead(2), &cuts[start..]) => 2,
        _ => longest,
    };
    if is_open && start + longest.max(other) >= cuts.len() {
        return None;
    }
    Some(if lead(other) < lead(longest) { other } else { longest })
}

/// Whether a chunk of two segments saves as much decoding as a segment is long, compared with one of the first alone: near the end
/// all workers are to finish together, so two are put together only for that.
fn saves_a_segment(lead_of_one: Option<i64>, lead_of_two: Option<i64>, cuts: &[Cut]) -> bool {
    let length = cuts[1].start_pts.saturating_sub(cuts[0].start_pts);
    let saved = lead_of_one.map(|one| one.saturating_sub(lead_of_two.unwrap_or(0)));
    saved.is_some_and(|saved| saved >= length)
}

/// How many segments are worth a process.
fn worthwhile(cuts: &[Cut], pixels: i64) -> usize {
    let mut work: i64 = 0;
    let is_little = |cut: &&Cut| {
        let before = work;
        work = work.saturating_add(cut.segment.frames.saturating_mul(pixels));
        before < WORK_PIXELS_MIN
    };
    cuts.iter().take(CHEAP_SEGMENTS_MAX).take_while(is_little).count()
}

/// The last keyframe that is shown at or before `pts`.
fn keyframe_before(keyframes: &[i64], pts: i64) -> Option<i64> {
    keyframes
        .partition_point(|&key| key <= pts)
        .checked_sub(1)
        .map(|i| keyframes[i])
}

#[cfg(test)]
mod tests {
    use super::{super::SegmentPlan, *};

    /// Those of a frame of 1920x1080.
    const PIXELS: i64 = 2_073_600;

    fn cuts(count: u32) -> Vec<Cut> {
        let segment = |number: u32| SegmentPlan {
            number,
            start_ticks: i64::from(number) * 360_000,
            duration_ticks: 360_000,
            frames: 120,
        };
        (0..count)
            .map(|n| Cut {
                start_pts: i64::from(n) * 4000,
                segment: segment(n),
            })
            .collect()
    }

    fn sizes(count: u32, keyframes: &[i64]) -> Vec<usize> {
        group(&cuts(count), i64::from(count) * 4000, keyframes, PIXELS)
            .iter()
            .map(|chunk| chunk.segments.len())
            .collect()
    }

    #[test]
    fn short_at_both_ends() {
        let every_segment: Vec<i64> = (0..100).map(|n| n * 4000).collect();
        assert_eq!(sizes(1, &every_segment), [1]);
        assert_eq!(sizes(3, &every_segment), [1, 1, 1]);
        assert_eq!(sizes(15, &every_segment), [1, 1, 2, 2, 2, 2, 2, 1, 1, 1]);
        assert_eq!(sizes(30, &every_segment)[..13], [1, 1, 2, 2, 2, 2, 2, 2, 2, 3, 3, 3, 2]);
    }

    #[test]
    fn chunks_are_longer_where_there_is_little_in_them() {
        // Two hours with one frame a second, and rungs that have 4 million pixels together.
        let mut cuts = cuts(1800);
        cuts.iter_mut().for_each(|cut| cut.segment.frames = 4);
        let group = |pixels| {
            group(
                &cuts,
                7_200_000,
                &(0..7200).map(|n| n * 1000).collect::<Vec<_>>(),
                pixels,
            )
        };
        let chunks = group(4_000_000);
        assert!(chunks.len() < 140, "{}", chunks.len());
        let (mut end, mut short) = (0, 0);
        for chunk in &chunks {
            assert_eq!(chunk.start_ticks(), end, "no gap");
            let before = usize::try_from(end / 360_000).unwrap();
            assert!(
                chunk.segments.len() <= 15.min((before / 4).max(3)),
                "{} at {end}",
                chunk.segments.len()
            );
            short += usize::from(chunk.segments.len() < 15);
            end += chunk.duration_ticks();
        }
        assert_eq!(end, 7200 * TICKS_PER_SECOND);
        assert!(short < 30, "short at both ends alone: {short}");
        // Next to nothing in each frame: the time of a chunk is bounded, and so is their number.
        let tiny = group(1);
        let longest = tiny.iter().map(|chunk| chunk.segments.len()).max().unwrap();
        assert!(
            longest == CHEAP_SEGMENTS_MAX && tiny.len() < 70,
            "{longest}, {}",
            tiny.len()
        );
        // One frame that is work enough: as everywhere.
        assert!(
            group(WORK_PIXELS_MIN)
                .iter()
                .all(|chunk| chunk.segments.len() <= SEGMENTS_MAX)
        );
    }

    #[test]
    fn a_crumb_at_the_end_stays_with_what_comes_before() {
        let with_last = |count: u32, ticks: i64| {
            let mut cuts = cuts(count);
            cuts.last_mut().unwrap().segment.duration_ticks = ticks;
            let chunks = group(&cuts, i64::from(count) * 4000, &[0], PIXELS);
            chunks.iter().map(|chunk| chunk.segments.len()).collect::<Vec<_>>()
        };
        assert_eq!(with_last(2, 89_999), [2], "a short clip is one chunk");
        assert_eq!(with_last(2, 90_000), [1, 1]);
        assert_eq!(with_last(4, 3000), [1, 1, 2]);
    }

    #[test]
    fn the_first_minute_is_led_but_no_more_than_a_part() {
        let led = |count: u32, rungs, parts| {
            let chunks = group(&cuts(count), i64::from(count) * 4000, &[0], PIXELS);
            let led = lead_chunks(&chunks, rungs, parts);
            chunks[..led].iter().map(ChunkPlan::duration_ticks).sum::<i64>() / TICKS_PER_SECOND
        };
        assert_eq!(
            [1, 6, 10, 30, 900].map(|count| led(count, 4, LEAD_PARTS)),
            [4, 4, 8, 24, 56]
        );
        let of_pieces = [1, 6, 10, 30, 900].map(|count| led(count, 4, LEAD_PARTS_OF_PIECES));
        assert_eq!(of_pieces, [4, 8, 16, 56, 56]);
        assert_eq!([led(30, 1, LEAD_PARTS), led(30, 0, LEAD_PARTS)], [0, 0]);
    }

    #[test]
    fn what_was_laid_out_of_a_beginning_stays() {
        let uneven = [
            0, 5000, 9000, 17_500, 25_800, 34_100, 44_200, 55_000, 67_000, 71_000, 90_000,
        ];
        let mut laid_out = Vec::new();
        for known in 1..40 {
            let there = Cuts {
                is_open: true,
                cuts: &cuts(known),
            };
            let longer = group_behind(&laid_out, &there, 0, &uneven, PIXELS);
            assert_eq!(longer[..laid_out.len()], laid_out, "{known}");
            let begun = |chunks: &[ChunkPlan]| chunks.iter().map(|chunk| chunk.segments.len()).sum::<usize>();
            assert!(
                begun(&longer) < usize::try_from(known).unwrap(),
                "the last segment goes on"
            );
            assert!(
                begun(&longer) + 5 > usize::try_from(known).unwrap(),
                "nothing waits for long"
            );
            laid_out = longer;
            let all = Cuts {
                is_open: false,
                cuts: &cuts(known + 7),
            };
            let end_pts = i64::from(known + 7) * 4000;
            let whole = group_behind(&laid_out, &all, end_pts, &uneven, PIXELS);
            assert_eq!(whole[..laid_out.len()], laid_out, "{known}");
            assert!(whole.windows(2).all(|pair| pair[0].end_pts == pair[1].start_pts));
            assert_eq!(
                (begun(&whole), whole.last().unwrap().end_pts),
                (known as usize + 7, end_pts)
            );
        }
        let sizes: Vec<usize> = laid_out.iter().map(|chunk| chunk.segments.len()).collect();
        assert_eq!(sizes[..2], [1, 1], "{sizes:?}");
        assert!(sizes[2..].iter().all(|size| *size > 1), "{sizes:?}");
    }

    #[test]
    fn what_was_cut_otherwise_is_no_beginning() {
        let laid_out = group(&cuts(9), 36_000, &[0], PIXELS);
        assert!(is_beginning(&laid_out[..3], &cuts(9)));
        assert!(!is_beginning(&laid_out, &cuts(3)), "it is longer");
        let mut other = cuts(9);
        other[1].segment.frames += 1;
        assert!(!is_beginning(&laid_out[..3], &other));
    }

    #[test]
    fn borders_are_moved_to_where_less_is_decoded_in_vain() {
        // Nine chunks are before 64 s; then a keyframe at 72 s, none at 76 s.
        let sizes = sizes(40, &[0, 4000, 8000, 64_000, 72_000, 84_000]);
        assert_eq!((sizes[..9].iter().sum::<usize>(), &sizes[9..11]), (16, &[2, 3][..]));
    }

    #[test]
    fn early_and_last_chunks_end_near_keyframes_too() {
        // The third chunk would end just before a keyframe.
        assert_eq!(
            sizes(15, &[0, 8000, 17_000, 28_000, 36_000, 44_000])[..5],
            [1, 1, 3, 2, 2]
        );
        // Of three segments at the end, the first two share a keyframe.
        let end = |keyframes: &[i64]| sizes(15, keyframes)[7..].to_vec();
        let near = [0, 4000, 8000, 16_000, 24_000, 32_000, 40_000, 48_000];
        assert_eq!(end(&[&near[..], &[56_000]].concat()), [2, 1]);
        assert_eq!(end(&[&near[..], &[50_000, 54_000]].concat()), [1, 1, 1]);
    }

    #[test]
    fn chunks_leave_no_gap_and_seek_to_the_keyframe_before() {
        let chunks = group(&cuts(20), 80_000, &[-500, 3000, 30_000], PIXELS);
        assert_eq!((chunks[0].start_pts, chunks[0].seek_pts), (0, None));
        assert_eq!((chunks[1].start_pts, chunks[1].seek_pts), (4000, Some(3000)));
        assert!(chunks.windows(2).all(|pair| pair[0].end_pts == pair[1].start_pts));
        assert_eq!(chunks.last().unwrap().end_pts, 80_000);
        let numbers: Vec<u32> = chunks.iter().flat_map(|c| &c.segments).map(|s| s.number).collect();
        assert_eq!(numbers, (0..20).collect::<Vec<u32>>());
    }
}
