//! The ladder: which renditions are made of a source, and how.

use serde::{Deserialize, Serialize};

use crate::{FieldViolation, limits};

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
    /// The constant rate factor of H.264.
    pub crf: u8,
    /// How much of a damaged source may be missing, in percent of its frames.
    pub missing_percent_max: f64,
}

/// A rung fitted to a source.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RungSize {
    /// The rendition's name: the shorter side and `p`.
    pub name: String,
    /// The width in pixels, even.
    pub width: u32,
    /// The height in pixels, even.
    pub height: u32,
    /// The cap of the video bit rate, in bits a second.
    pub bitrate_max: u32,
}

const RUNGS: [Rung; 6] = [
    Rung {
        short_side: 2160,
        bitrate_max: 16_000_000,
    },
    Rung {
        short_side: 1440,
        bitrate_max: 9_000_000,
    },
    Rung {
        short_side: 1080,
        bitrate_max: 5_000_000,
    },
    Rung {
        short_side: 720,
        bitrate_max: 2_800_000,
    },
    Rung {
        short_side: 480,
        bitrate_max: 1_400_000,
    },
    Rung {
        short_side: 360,
        bitrate_max: 800_000,
    },
];

/// The names that [`preset`] knows.
#[must_use]
pub fn preset_names() -> [&'static str; 3] {
    ["fast", "standard", "quality"]
}

/// The ladder of a preset; `None` if there is no such preset.
#[must_use]
pub fn preset(name: &str) -> Option<Ladder> {
    let ladder = |rungs: &[Rung], speed, crf, missing_percent_max| {
        Some(Ladder {
            rungs: rungs.to_vec(),
            speed,
            crf,
            missing_percent_max,
        })
    };
    match name {
        "fast" => ladder(&RUNGS[3..], EncoderSpeed::Fast, 25, 20.0),
        "standard" => ladder(&RUNGS, EncoderSpeed::Standard, 23, 10.0),
        // Whoever asks for quality does not want holes.
        "quality" => ladder(&RUNGS, EncoderSpeed::Quality, 21, 0.0),
        _ => None,
    }
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
        if self.crf > 51 {
            wrong("ladder.crf".into(), "must be 0 to 51".into());
        }
        if !(0.0..=100.0).contains(&self.missing_percent_max) {
            wrong("ladder.missing_percent_max".into(), "must be 0 to 100".into());
        }
        found
    }

    /// The rungs for a source of this size as shown, largest first: never larger than the source, the same aspect
    /// ratio, even sides. A source smaller than every rung gets one rung of its own size.
    #[must_use]
    pub fn fit(&self, width: u32, height: u32) -> Vec<RungSize> {
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
        rungs.into_iter().map(|rung| fit_rung(rung, width, height)).collect()
    }
}

fn fit_rung(rung: Rung, width: u32, height: u32) -> RungSize {
    let short = f64::from(width.min(height));
    let scale = f64::from(rung.short_side) / short;
    RungSize {
        name: format!("{}p", rung.short_side),
        width: even(f64::from(width) * scale),
        height: even(f64::from(height) * scale),
        bitrate_max: rung.bitrate_max,
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
            .fit(width, height)
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
        };
        let fields: Vec<String> = bad.violations().into_iter().map(|v| v.field).collect();
        assert_eq!(fields.len(), 6, "{fields:?}");
    }
}
