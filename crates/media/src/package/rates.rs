//! Bit rates, measured from what was stored.

use std::time::Duration;

use super::joined::Span;
use crate::playlist::Bandwidth;

/// Measures spans as RFC 8216, 4.3.4.2 defines it: the peak is the largest rate of any run of segments that lasts
/// between half and one and a half target durations, so that a last segment of two frames does not count alone.
/// `bytes` says how much of a piece counts; gaps count nothing.
pub(super) fn measure(spans: &[Span<'_>], target_s: u64, bytes: impl Fn(&Span<'_>) -> u64) -> Bandwidth {
    let sizes: Vec<(u64, Duration)> = spans.iter().map(|s| (bytes(s), s.duration)).collect();
    let whole = sizes.iter().fold((0, Duration::ZERO), |sum, size| add(sum, *size));
    let average = rate(whole);
    let target = Duration::from_secs(target_s);
    let (shortest, longest) = (target / 2, target * 3 / 2);
    let runs = (0..sizes.len()).flat_map(|from| {
        sizes[from..]
            .iter()
            .scan((0, Duration::ZERO), |sum, size| {
                *sum = add(*sum, *size);
                Some(*sum)
            })
            .take_while(move |(_, duration)| *duration <= longest)
    });
    let peak = runs.filter(|(_, duration)| *duration >= shortest).map(rate).max();
    // A video shorter than half a target has no such run; and no peak is below the average.
    Bandwidth {
        peak: peak.unwrap_or(average).max(average),
        average,
    }
}

fn add(sum: (u64, Duration), size: (u64, Duration)) -> (u64, Duration) {
    (sum.0 + size.0, sum.1 + size.1)
}

/// Bits a second, rounded up.
fn rate((bytes, duration): (u64, Duration)) -> u64 {
    let micros = duration.as_micros().max(1);
    u64::try_from((u128::from(bytes) * 8_000_000).div_ceil(micros)).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Piece;

    fn peak_and_average(pieces: &[(u64, u64)]) -> (u64, u64) {
        let piece = |bytes| Piece {
            number: 0,
            key: String::new(),
            bytes,
            start: 0,
            duration: 0,
            frames: 1,
            keyframe_bytes: None,
        };
        let stored: Vec<Piece> = pieces.iter().map(|(bytes, _)| piece(*bytes)).collect();
        let spans: Vec<Span<'_>> = stored
            .iter()
            .zip(pieces)
            .map(|(piece, (_, ms))| Span {
                start: Duration::ZERO,
                duration: Duration::from_millis(*ms),
                piece: Some(piece),
            })
            .collect();
        let measured = measure(&spans, 4, |s| s.piece.map_or(0, |p| p.bytes));
        (measured.peak, measured.average)
    }

    #[test]
    fn short_segments_count_with_their_neighbours() {
        assert_eq!(
            peak_and_average(&[(1000, 4000), (3000, 4000), (500, 100)]),
            (6830, 4445)
        );
        assert_eq!(
            peak_and_average(&[(1000, 4000), (1000, 4000), (3000, 100)]),
            (7805, 4939)
        );
        assert_eq!(
            peak_and_average(&[(100, 40)]),
            (20_000, 20_000),
            "too short for a run of its own"
        );
        assert_eq!(peak_and_average(&[]), (0, 0));
    }
}
