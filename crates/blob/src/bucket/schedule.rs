//! How long the parts of a multipart upload are.
//!
//! Every length depends only on where the part begins and on the length of the upload, so any writer goes on as the one before it
//! would have. All of them are whole multiples of 256 KiB and at least 8 MiB. Amazon S3 wants 5 MiB, 5 GiB at most, and ten thousand
//! parts at most (<https://docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html>); Google Cloud Storage wants the same of the
//! multipart uploads of its XML API (<https://cloud.google.com/storage/quotas#requests>), and multiples of 256 KiB of resumable uploads,
//! which aren't made here.

/// The shortest part but the last, in bytes.
pub(crate) const PART_BYTES_MIN: u64 = 8 << 20;
/// Every length but the last part's is a multiple of this many bytes.
const GRAIN_BYTES: u64 = 256 << 10;
/// The highest number of a part, on every store.
pub(crate) const PART_NUMBER_MAX: u32 = 10_000;
/// So many parts are planned for the longest upload. The other numbers are for those that are skipped when a writer is taken over.
const PARTS_PLANNED_MAX: u64 = 7500;
/// Without a known length, parts become twice as long after so many.
const PARTS_PER_LENGTH: u64 = 750;

/// The length of the part that begins at `start`, of an upload of `size` bytes (`None`: not known yet).
pub(crate) fn part_bytes(start: u64, size: Option<u64>) -> u64 {
    match size {
        Some(size) => even(size),
        None => doubling(start),
    }
}

/// The same length for all parts, so that stores which want equal ones (Cloudflare R2) are content.
fn even(size: u64) -> u64 {
    size.div_ceil(PARTS_PLANNED_MAX)
        .max(PART_BYTES_MIN)
        .next_multiple_of(GRAIN_BYTES)
}

/// Lengths that double from time to time, so that little is in memory for what may be short.
fn doubling(start: u64) -> u64 {
    let (mut bytes, mut end) = (PART_BYTES_MIN, PART_BYTES_MIN * PARTS_PER_LENGTH);
    while start >= end {
        bytes *= 2;
        end += bytes * PARTS_PER_LENGTH;
    }
    bytes
}

#[cfg(test)]
mod tests {
    use reelway_domain::limits;

    use super::*;

    const MAX: u64 = limits::UPLOAD_BYTES_MAX as u64;
    /// The longest part that stores take.
    const STORE_PART_BYTES_MAX: u64 = 5 << 30;

    /// How many parts an upload of `size` bytes has.
    fn parts(size: u64, known: Option<u64>) -> u64 {
        let (mut start, mut parts) = (0, 0);
        while start < size {
            let bytes = part_bytes(start, known);
            assert!(
                (PART_BYTES_MIN..=STORE_PART_BYTES_MAX).contains(&bytes) && bytes.is_multiple_of(GRAIN_BYTES),
                "{bytes} at {start}"
            );
            start += bytes;
            parts += 1;
        }
        parts
    }

    #[test]
    fn every_length_has_room_for_takeovers() {
        for size in [1, PART_BYTES_MIN, PART_BYTES_MIN + 1, 100 << 30, MAX - 1, MAX] {
            assert!(parts(size, Some(size)) <= PARTS_PLANNED_MAX, "{size}");
            assert!(parts(size, None) <= PARTS_PLANNED_MAX, "{size} that is not known");
        }
        assert_eq!(
            part_bytes(0, Some(60 << 30)),
            part_bytes(59 << 30, Some(60 << 30)),
            "equal"
        );
    }

    #[test]
    fn what_is_usual_has_short_parts() {
        assert_eq!(part_bytes(0, Some(50 << 30)), 8 << 20);
        assert_eq!(part_bytes(5 << 30, None), 8 << 20);
        assert_eq!(part_bytes(6 << 30, None), 16 << 20);
    }
}
