//! The ladder: which renditions are made of a source, and how.

use serde::{Deserialize, Serialize};

use crate::{FieldViolation, VideoCodec, limits};

/// The preset of a caller that names none.
pub const DEFAULT_PRESET: &str = "standard";
/// The preset name that means: store the file, make nothing of it.
pub const NO_PRESET: &str = "none";

/// How hard the encoder works.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EncoderSpeed {
    /// For previews and slow machines.
    Fast,
    /// For most uses.
    Standard,
    /// For files that are watched often.
    Quality,
}

/// One rendition of the ladder.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rung {
    /// The length of the picture's shorter side, in pixels.
    pub short_side: u32,
    /// The cap of the video bit rate, in bits a second.
    pub bitrate_max: u32,
}

/// The renditions of a job and how they are made.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Ladder {
    /// The rungs, largest first.
    pub rungs: Vec<Rung>,
    /// How hard the encoder works.
    pub speed: EncoderSpeed,
    /// The constant rate factor, in the scale of the codec's encoder.
    pub crf: u8,
    /// How much of a damaged source may be missing, in percent of its frames.
    pub missing_percent_max: f64,
    /// What the video is encoded to.
    #[serde(default)]
    pub codec: VideoCodec,
    /// A source's high dynamic range is kept in one more rung, of HEVC with 10 bits; all others are turned into standard
    /// range.
    #[serde(default)]
    pub hdr_rung: bool,
    /// One MP4 file is made for download.
    #[serde(default)]
    pub download: bool,
}

/// A rung fitted to a source.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RungSize {
    /// The rendition's name: the shorter side and `p`, and `-hdr` if it keeps a high dynamic range.
    pub name: String,
    /// The width in pixels, even.
    pub width: u32,
    /// The height in pixels, even.
    pub height: u32,
    /// The cap of the video bit rate, in bits a second.
    pub bitrate_max: u32,
    /// What it is encoded to.
    #[serde(default)]
    pub codec: VideoCodec,
    /// It keeps the source's high dynamic range.
    #[serde(default)]
    pub hdr: bool,
}

/// The usual rungs, largest first.
const H264_RUNGS: [Rung; 6] = [
    rung(2160, 16_000_000),
    rung(1440, 9_000_000),
    rung(1080, 5_000_000),
    rung(720, 2_800_000),
    rung(480, 1_400_000),
    rung(360, 800_000),
];
/// The same for HEVC, which needs about two thirds of the bits.
const HEVC_RUNGS: [Rung; 6] = [
    rung(2160, 11_000_000),
    rung(1440, 6_000_000),
    rung(1080, 3_400_000),
    rung(720, 1_900_000),
    rung(480, 950_000),
    rung(360, 550_000),
];
/// The same for AV1, which needs a little more than half of the bits.
const AV1_RUNGS: [Rung; 6] = [
    rung(2160, 9_000_000),
    rung(1440, 5_000_000),
    rung(1080, 2_800_000),
    rung(720, 1_600_000),
    rung(480, 800_000),
    rung(360, 450_000),
];

const fn rung(short_side: u32, bitrate_max: u32) -> Rung {
    Rung {
        short_side,
        bitrate_max,
    }
}

/// The names that [`preset`] knows.
#[must_use]
pub fn preset_names() -> [&'static str; 5] {
    ["fast", "standard", "quality", "hevc", "av1"]
}

/// The ladder of a preset; `None` if there is no such preset.
///
/// `quality` also makes a file for download, and takes no source with missing frames. `hevc` keeps a high dynamic range.
#[must_use]
pub fn preset(name: &str) -> Option<Ladder> {
    let usual = Ladder {
        rungs: H264_RUNGS.to_vec(),
        speed: EncoderSpeed::Standard,
        crf: 23,
        missing_percent_max: 10.0,
        codec: VideoCodec::H264,
        hdr_rung: false,
        download: false,
    };
    let ladder = match name {
        "standard" => usual,
        "fast" => Ladder {
            rungs: H264_RUNGS[3..].to_vec(),
            speed: EncoderSpeed::Fast,
            crf: 25,
            missing_percent_max: 20.0,
            ..usual
        },
        // Whoever asks for quality does not want holes.
        "quality" => Ladder {
            speed: EncoderSpeed::Quality,
            crf: 21,
            missing_percent_max: 0.0,
            download: true,
            ..usual
        },
        "hevc" => Ladder {
            rungs: HEVC_RUNGS.to_vec(),
            crf: 25,
            codec: VideoCodec::Hevc,
            hdr_rung: true,
            ..usual
        },
        "av1" => Ladder {
            rungs: AV1_RUNGS.to_vec(),
            crf: 34,
            codec: VideoCodec::Av1,
            ..usual
        },
        _ => return None,
    };
    Some(ladder)
}

impl Ladder {
    /// Every field that is wrong, with paths that begin with `ladder`.
    #[must_use]
    pub fn violations(&self) -> Vec<FieldViolation> {
        let mut found = Vec::new();
        let mut wrong = |field: String, description: String| found.push(FieldViolation { field, description });
        if self.rungs.is_empty() || self.rungs.len() > limits::RUNGS_MAX {
            wrong(
                "ladder.rungs".into(),
                format!("must have 1 to {} entries", limits::RUNGS_MAX),
            );
        }
        for (i, rung) in self.rungs.iter().enumerate() {
            let (low, high) = (limits::SHORT_SIDE_PIXELS_MIN, limits::SHORT_SIDE_PIXELS_MAX);
            if !(low..=high).contains(&rung.short_side) {
                wrong(
                    format!("ladder.rungs[{i}].short_side_pixels"),
                    format!("must be {low} to {high}"),
                );
            }
            let (low, high) = (limits::RUNG_BITRATE_MIN, limits::RUNG_BITRATE_MAX);
            if !(low..=high).contains(&rung.bitrate_max) {
                wrong(
                    format!("ladder.rungs[{i}].bitrate_max"),
                    format!("must be {low} to {high} bits a second"),
                );
            }
            if self.rungs[..i].iter().any(|other| other.short_side == rung.short_side) {
                wrong(format!("ladder.rungs[{i}].short_side_pixels"), "is there twice".into());
            }
        }
        if self.crf > self.codec.crf_max() {
            wrong("ladder.crf".into(), format!("must be 0 to {}", self.codec.crf_max()));
        }
        if !(0.0..=100.0).contains(&self.missing_percent_max) {
            wrong("ladder.missing_percent_max".into(), "must be 0 to 100".into());
        }
        found
    }

    /// The rungs for a source of this size as shown, largest first: never larger than the source, the same aspect
    /// ratio, even sides. A source smaller than every rung gets one rung of its own size. If the source has a high dynamic
    /// range and the ladder keeps it, that rung comes first, as large as the largest other.
    #[must_use]
    pub fn fit(&self, width: u32, height: u32, hdr: bool) -> Vec<RungSize> {
        let short = width.min(height);
        let mut rungs: Vec<Rung> = self.rungs.iter().copied().filter(|r| r.short_side <= short).collect();
        rungs.sort_by_key(|r| std::cmp::Reverse(r.short_side));
        if rungs.is_empty()
            && let Some(smallest) = self.rungs.iter().min_by_key(|r| r.short_side)
        {
            rungs.push(Rung {
                short_side: short,
                bitrate_max: smallest.bitrate_max,
            });
        }
        let kept = rungs
            .first()
            .filter(|_| hdr && self.hdr_rung)
            .map(|largest| fit_rung(*largest, VideoCodec::Hevc, width, height))
            .filter(|rung| rung.codec == VideoCodec::Hevc)
            .map(|rung| RungSize {
                name: format!("{}-hdr", rung.name),
                hdr: true,
                ..rung
            });
        let usual = rungs.into_iter().map(|rung| fit_rung(rung, self.codec, width, height));
        kept.into_iter().chain(usual).collect()
    }
}

fn fit_rung(rung: Rung, codec: VideoCodec, width: u32, height: u32) -> RungSize {
    let short = f64::from(width.min(height));
    let scale = f64::from(rung.short_side) / short;
    let (width, height) = (even(f64::from(width) * scale), even(f64::from(height) * scale));
    let too_small = width.min(height) < codec.side_min();
    RungSize {
        name: format!("{}p", rung.short_side),
        width,
        height,
        bitrate_max: rung.bitrate_max,
        codec: if too_small { VideoCodec::H264 } else { codec },
        hdr: false,
    }
}

/// The nearest even number, at least 2: 4:2:0 pictures have no odd sides.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "sides are at most tens of thousands"
)]
fn even(side: f64) -> u32 {
    ((side / 2.0).round() as u32).max(1) * 2
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sizes(width: u32, height: u32) -> Vec<(String, u32, u32)> {
        let ladder = preset("standard").unwrap();
        ladder
            .fit(width, height, false)
            .into_iter()
            .map(|r| (r.name, r.width, r.height))
            .collect()
    }

    #[test]
    fn never_upscaled() {
        assert_eq!(
            sizes(1920, 1080),
            [
                ("1080p".into(), 1920, 1080),
                ("720p".into(), 1280, 720),
                ("480p".into(), 854, 480),
                ("360p".into(), 640, 360)
            ]
        );
        assert_eq!(sizes(640, 360), [("360p".into(), 640, 360)]);
    }

    #[test]
    fn portrait_odd_and_tiny() {
        assert_eq!(sizes(1080, 1920)[0], ("1080p".into(), 1080, 1920));
        assert_eq!(sizes(161, 121), [("121p".into(), 162, 122)]);
        assert_eq!(sizes(2, 2), [("2p".into(), 2, 2)]);
    }

    #[test]
    fn a_high_dynamic_range_is_kept_in_one_more_rung() {
        let names = |name: &str, hdr| -> Vec<String> {
            let rungs = preset(name).unwrap().fit(1280, 720, hdr);
            rungs
                .into_iter()
                .map(|rung| format!("{} {:?}", rung.name, rung.codec))
                .collect()
        };
        let usual = ["720p Hevc", "480p Hevc", "360p Hevc"];
        assert_eq!(names("hevc", false), usual);
        assert_eq!(names("hevc", true)[0], "720p-hdr Hevc");
        assert_eq!(names("hevc", true)[1..], usual);
        assert_eq!(names("standard", true)[0], "720p H264");
        let mixed = Ladder {
            hdr_rung: true,
            ..preset("standard").unwrap()
        };
        let rungs = mixed.fit(320, 180, true);
        assert_eq!((rungs.len(), rungs[0].hdr, rungs[0].codec), (2, true, VideoCodec::Hevc));
        assert_eq!((rungs[0].width, rungs[1].codec), (rungs[1].width, VideoCodec::H264));
    }

    #[test]
    fn what_is_too_small_for_an_encoder_becomes_h264() {
        let codec = |name, side| preset(name).unwrap().fit(side, side, false)[0].codec;
        assert_eq!(
            (codec("av1", 64), codec("av1", 62)),
            (VideoCodec::Av1, VideoCodec::H264)
        );
        assert_eq!(
            (codec("hevc", 16), codec("hevc", 14)),
            (VideoCodec::Hevc, VideoCodec::H264)
        );
        assert_eq!(preset("hevc").unwrap().fit(14, 14, true).len(), 1);
    }

    #[test]
    fn presets_are_valid_and_mistakes_are_all_listed() {
        for name in preset_names() {
            assert_eq!(preset(name).unwrap().violations(), []);
        }
        let bad = Ladder {
            rungs: vec![
                Rung {
                    short_side: 1,
                    bitrate_max: 1,
                },
                Rung {
                    short_side: 1,
                    bitrate_max: 60_000,
                },
            ],
            speed: EncoderSpeed::Fast,
            crf: 60,
            missing_percent_max: -1.0,
            codec: VideoCodec::H264,
            hdr_rung: false,
            download: false,
        };
        let fields: Vec<String> = bad.violations().into_iter().map(|v| v.field).collect();
        assert_eq!(fields.len(), 6, "{fields:?}");
    }
}
