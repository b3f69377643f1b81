//! What can be wrong with a piece.

use std::io;

use reelway_domain::{Failure, Reason};

use super::FourCc;

/// Why a file could not be cut into segments.
#[derive(Debug, thiserror::Error)]
pub enum Fmp4Error {
    /// Reading or writing failed.
    #[error("reading or writing a piece failed: {0}")]
    Io(#[from] io::Error),
    /// A box ends before its fields do, or reaches past the end of what holds it.
    #[error("the {0} box is cut off")]
    CutOff(FourCc),
    /// A box that must be there is not.
    #[error("there is no {0} box")]
    Missing(FourCc),
    /// A field holds what it must not hold.
    #[error("the {inside} box is wrong: {what}")]
    Malformed {
        /// The box.
        inside: FourCc,
        /// What is wrong.
        what: &'static str,
    },
    /// The file is valid, but not of the kind that the encoder is asked for.
    #[error("not supported: {0}")]
    Unsupported(&'static str),
    /// There is more of something than is believed.
    #[error("{what}: {value} is more than {max}")]
    TooMuch {
        /// What there is too much of.
        what: &'static str,
        /// How much there is.
        value: u64,
        /// How much is allowed.
        max: u64,
    },
    /// A frame is shown before the chunk starts, or after it ends.
    #[error("a frame at {shown_ticks} is outside of its chunk, {start_ticks} to {end_ticks} (ticks of 1/90000 s)")]
    FrameOutside {
        /// When the frame is shown.
        shown_ticks: i64,
        /// When the chunk starts.
        start_ticks: i64,
        /// When the chunk ends.
        end_ticks: i64,
    },
    /// A segment holds more frames than planned.
    #[error("segment {number} holds {frames} frames instead of {planned}")]
    SurplusFrames {
        /// The segment.
        number: u32,
        /// How many it holds.
        frames: usize,
        /// How many were planned.
        planned: i64,
    },
    /// A segment can't be decoded by itself.
    #[error("segment {0} does not begin with a keyframe that is shown first")]
    NoKeyframe(u32),
    /// Frames are not in an order that can be cut or timed.
    #[error("{0}")]
    Order(&'static str),
}

impl From<Fmp4Error> for Failure {
    fn from(error: Fmp4Error) -> Self {
        let reason = match &error {
            Fmp4Error::Io(e) if matches!(e.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded) => {
                Reason::StorageFull
            }
            Fmp4Error::Io(_) => Reason::Internal,
            _ => Reason::EncoderFailed,
        };
        Self::new(reason, error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_is_told_apart() {
        let reason = |kind: io::ErrorKind| Failure::from(Fmp4Error::Io(kind.into())).reason;
        assert_eq!(reason(io::ErrorKind::StorageFull), Reason::StorageFull);
        assert_eq!(reason(io::ErrorKind::NotFound), Reason::Internal);
        assert_eq!(Failure::from(Fmp4Error::NoKeyframe(3)).reason, Reason::EncoderFailed);
    }
}
