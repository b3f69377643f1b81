//! H.264 levels: what a decoder must be able to do (ITU-T H.264, table A-1).

use reelway_domain::RungSize;

/// One row of the table.
struct Level {
    name: &'static str,
    /// Macroblocks a second.
    rate_max: u64,
    /// Macroblocks in a frame.
    size_max: u64,
    /// Macroblocks in all frames that are kept for reference.
    kept_max: u64,
    /// Kilobits a second, times 1.25 in the High profile.
    kilobits_max: u64,
    /// Kilobits of buffer, times 1.25 in the High profile.
    buffer_max: u64,
}

/// How many frames the encoder may keep for reference, at every speed.
const FRAMES_KEPT: u64 = 4;
/// The side of a macroblock, in pixels.
const MACROBLOCK: u64 = 16;
/// Bits for each kilobit of the table in the High profile.
const HIGH_PROFILE_BITS: u64 = 1250;

/// The levels from the lowest that is worth telling apart.
const LEVELS: [Level; 14] = [
    level_of("2.1", 19_800, 792, 4752, 4000, 4000),
    level_of("2.2", 20_250, 1620, 8100, 4000, 4000),
    level_of("3.0", 40_500, 1620, 8100, 10_000, 10_000),
    level_of("3.1", 108_000, 3600, 18_000, 14_000, 14_000),
    level_of("3.2", 216_000, 5120, 20_480, 20_000, 20_000),
    level_of("4.0", 245_760, 8192, 32_768, 20_000, 25_000),
    level_of("4.1", 245_760, 8192, 32_768, 50_000, 62_500),
    level_of("4.2", 522_240, 8704, 34_816, 50_000, 62_500),
    level_of("5.0", 589_824, 22_080, 110_400, 135_000, 135_000),
    level_of("5.1", 983_040, 36_864, 184_320, 240_000, 240_000),
    level_of("5.2", 2_073_600, 36_864, 184_320, 240_000, 240_000),
    level_of("6.0", 4_177_920, 139_264, 696_320, 240_000, 240_000),
    level_of("6.1", 8_355_840, 139_264, 696_320, 480_000, 480_000),
    level_of("6.2", 16_711_680, 139_264, 696_320, 800_000, 800_000),
];

const fn level_of(
    name: &'static str,
    rate_max: u64,
    size_max: u64,
    kept_max: u64,
    kilobits_max: u64,
    buffer_max: u64,
) -> Level {
    Level {
        name,
        rate_max,
        size_max,
        kept_max,
        kilobits_max,
        buffer_max,
    }
}

/// The lowest level for a rung whose buffer is twice its bit rate; the highest there is if none suffices.
pub(super) fn level(rung: &RungSize, frames_per_second: u32) -> &'static str {
    let (wide, high) = (
        u64::from(rung.width).div_ceil(MACROBLOCK),
        u64::from(rung.height).div_ceil(MACROBLOCK),
    );
    let (size, rate) = (wide * high, u64::from(rung.bitrate_max));
    let suffices = |level: &&Level| {
        size <= level.size_max
            // A picture must not be longer or higher than a certain multiple of its area either.
            && wide.max(high).pow(2) <= level.size_max * 8
            && size * u64::from(frames_per_second) <= level.rate_max
            && size * FRAMES_KEPT <= level.kept_max
            && rate <= level.kilobits_max * HIGH_PROFILE_BITS
            && rate * 2 <= level.buffer_max * HIGH_PROFILE_BITS
    };
    let highest = &LEVELS[LEVELS.len() - 1];
    LEVELS.iter().find(suffices).unwrap_or(highest).name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn usual_rungs_get_usual_levels() {
        let cases = [
            (640, 360, 800_000, 30, "3.0"),
            (854, 480, 1_400_000, 30, "3.1"),
            (1280, 720, 2_800_000, 30, "3.1"),
            (1280, 720, 2_800_000, 60, "3.2"),
            (1080, 1920, 5_000_000, 30, "4.0"),
            (1920, 1080, 5_000_000, 60, "4.2"),
            (3840, 2160, 16_000_000, 30, "5.1"),
            (3840, 2160, 16_000_000, 60, "5.2"),
            (162, 122, 800_000, 25, "2.1"),
            (7680, 4320, 100_000_000, 100_000, "6.2"),
        ];
        for (width, height, bitrate_max, fps, expected) in cases {
            let rung = RungSize {
                name: String::new(),
                width,
                height,
                bitrate_max,
                codec: reelway_domain::VideoCodec::H264,
                hdr: false,
            };
            assert_eq!(level(&rung, fps), expected, "{width}x{height} at {fps}");
        }
    }
}
