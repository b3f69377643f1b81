//! What video is encoded to.

use serde::{Deserialize, Serialize};

/// What video is encoded to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum VideoCodec {
    /// H.264 (AVC), which plays everywhere.
    #[default]
    H264,
    /// H.265 (HEVC).
    Hevc,
    /// AV1, by SVT-AV1.
    Av1,
}

impl VideoCodec {
    /// The largest constant rate factor that its encoder takes.
    #[must_use]
    pub fn crf_max(self) -> u8 {
        match self {
            Self::H264 | Self::Hevc => 51,
            Self::Av1 => 63,
        }
    }

    /// The shortest side of a picture that its encoder takes, in pixels.
    #[must_use]
    pub fn side_min(self) -> u32 {
        match self {
            Self::H264 => 2,
            Self::Hevc => 16,
            Self::Av1 => 64,
        }
    }

    /// The constant rate factor of this codec that looks about like `crf` of another one.
    #[must_use]
    pub fn crf_from(self, other: Self, crf: u8) -> u8 {
        if self == other {
            return crf;
        }
        (crf + self.crf_above_h264())
            .saturating_sub(other.crf_above_h264())
            .min(self.crf_max())
    }

    /// How much higher its factor is than that of H.264 for about the same picture.
    fn crf_above_h264(self) -> u8 {
        match self {
            Self::H264 => 0,
            Self::Hevc => 2,
            Self::Av1 => 11,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn factors_of_one_codec_in_the_scale_of_another() {
        use VideoCodec::{Av1, H264, Hevc};
        assert_eq!(Hevc.crf_from(H264, 23), 25);
        assert_eq!(H264.crf_from(Av1, 34), 23);
        assert_eq!(Av1.crf_from(Av1, 63), 63);
        assert_eq!(H264.crf_from(Av1, 5), 0);
        assert_eq!(Hevc.crf_from(Av1, 63), 51);
    }
}
