//! Segments into chunks: the first ones short, so that playing can begin, the last ones short, so that all workers finish
//! together, and those between long enough that starting an encoder costs next to nothing.

use super::{ChunkPlan, segments::Cut};

/// The most segments in one chunk: 12 s.
const SEGMENTS_MAX: usize = 3;
/// So many chunks at the start have one segment.
const SHORT_CHUNKS: usize = 2;
/// A chunk takes at most this share of what is left.
const LEFT_PER_CHUNK: usize = 2;

/// Puts segments together. `keyframes` are the timestamps where decoding can begin, ascending.
pub(super) fn group(cuts: &[Cut], end_pts: i64, keyframes: &[i64]) -> Vec<ChunkPlan> {
    let mut chunks = Vec::new();
    let mut start = 0;
    while start < cuts.len() {
        let size = size(cuts, start, chunks.len(), keyframes);
        let (taken, rest) = cuts[start..].split_at(size);
        chunks.push(ChunkPlan {
            start_pts: taken[0].start_pts,
            end_pts: rest.first().map_or(end_pts, |next| next.start_pts),
            seek_pts: if start == 0 {
                None
            } else {
                keyframe_before(keyframes, taken[0].start_pts)
            },
            segments: taken.iter().map(|cut| cut.segment).collect(),
        });
        start += size;
    }
    chunks
}

/// How many segments the next chunk has. Of the two longest choices, that one is taken after which the next chunk has less
/// to decode before its first frame.
fn size(cuts: &[Cut], start: usize, chunks: usize, keyframes: &[i64]) -> usize {
    let left = cuts.len() - start;
    let longest = if chunks < SHORT_CHUNKS {
        1
    } else {
        (left / LEFT_PER_CHUNK).clamp(1, SEGMENTS_MAX)
    };
    let lead = |size: usize| {
        let next = cuts.get(start + size)?.start_pts;
        Some(next.saturating_sub(keyframe_before(keyframes, next).unwrap_or(i64::MIN)))
    };
    if longest == SEGMENTS_MAX && lead(longest - 1) < lead(longest) {
        longest - 1
    } else {
        longest
    }
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
        group(&cuts(count), i64::from(count) * 4000, keyframes)
            .iter()
            .map(|chunk| chunk.segments.len())
            .collect()
    }

    #[test]
    fn short_at_both_ends() {
        let every_segment: Vec<i64> = (0..100).map(|n| n * 4000).collect();
        assert_eq!(sizes(1, &every_segment), [1]);
        assert_eq!(sizes(3, &every_segment), [1, 1, 1]);
        assert_eq!(sizes(15, &every_segment), [1, 1, 3, 3, 3, 2, 1, 1]);
    }

    #[test]
    fn borders_are_moved_to_where_less_is_decoded_in_vain() {
        // A keyframe at 16 s, none at 20 s.
        assert_eq!(sizes(15, &[0, 4000, 8000, 16_000, 28_000, 40_000])[..3], [1, 1, 2]);
    }

    #[test]
    fn chunks_leave_no_gap_and_seek_to_the_keyframe_before() {
        let chunks = group(&cuts(20), 80_000, &[-500, 3000, 30_000]);
        assert_eq!((chunks[0].start_pts, chunks[0].seek_pts), (0, None));
        assert_eq!((chunks[1].start_pts, chunks[1].seek_pts), (4000, Some(3000)));
        assert!(chunks.windows(2).all(|pair| pair[0].end_pts == pair[1].start_pts));
        assert_eq!(chunks.last().unwrap().end_pts, 80_000);
        let numbers: Vec<u32> = chunks.iter().flat_map(|c| &c.segments).map(|s| s.number).collect();
        assert_eq!(numbers, (0..20).collect::<Vec<u32>>());
    }
}
