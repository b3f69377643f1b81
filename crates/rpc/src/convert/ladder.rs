//! Ladders both ways.

use reelway::v1;
use reelway_domain::{EncoderSpeed, Ladder, Rung, VideoCodec};

use super::{ProtoEnum as _, signed};

/// The constant rate factor of a ladder that names none, in the scale of H.264.
const CRF_DEFAULT: u8 = 23;

/// A ladder in full.
#[must_use]
pub fn ladder(ladder: &Ladder) -> v1::Ladder {
    let rung = |rung: &Rung| v1::Rung {
        short_side_pixels: signed(rung.short_side),
        bitrate_max: i64::from(rung.bitrate_max),
    };
    v1::Ladder {
        rungs: ladder.rungs.iter().map(rung).collect(),
        speed: ladder.speed.to_proto().into(),
        crf: i32::from(ladder.crf),
        missing_percent_max: ladder.missing_percent_max,
        codec: ladder.codec.to_proto().into(),
        hdr_rung: ladder.hdr_rung,
        download: ladder.download,
    }
}

/// What a caller asked for, with defaults filled in and the rungs in the caller's order. Numbers that don't fit the
/// domain's types become ones that [`Ladder::violations`] refuses; `None` for a speed or a codec that nobody knows.
pub(crate) fn from_proto(asked: &v1::Ladder) -> Option<Ladder> {
    let rung = |rung: &v1::Rung| Rung {
        short_side: u32::try_from(rung.short_side_pixels).unwrap_or(0),
        bitrate_max: u32::try_from(rung.bitrate_max).unwrap_or(0),
    };
    let codec = VideoCodec::from_proto(asked.codec.try_into().ok()?).unwrap_or_default();
    Some(Ladder {
        rungs: asked.rungs.iter().map(rung).collect(),
        speed: EncoderSpeed::from_proto(asked.speed.try_into().ok()?).unwrap_or(EncoderSpeed::Standard),
        crf: if asked.crf == 0 {
            codec.crf_from(VideoCodec::H264, CRF_DEFAULT)
        } else {
            u8::try_from(asked.crf).unwrap_or(u8::MAX)
        },
        missing_percent_max: asked.missing_percent_max,
        codec,
        hdr_rung: asked.hdr_rung,
        download: asked.download,
    })
}

#[cfg(test)]
mod tests {
    use reelway_domain::{preset, preset_names};

    use super::*;

    #[test]
    fn presets_round_trip() {
        for name in preset_names() {
            let before = preset(name).unwrap();
            assert_eq!(from_proto(&ladder(&before)), Some(before));
        }
    }

    #[test]
    fn the_default_factor_is_that_of_the_codec() {
        for (codec, crf) in [(VideoCodec::H264, 23), (VideoCodec::Hevc, 25), (VideoCodec::Av1, 34)] {
            let asked = v1::Ladder {
                codec: codec.to_proto().into(),
                ..v1::Ladder::default()
            };
            assert_eq!(from_proto(&asked).unwrap().crf, crf);
        }
    }
}
