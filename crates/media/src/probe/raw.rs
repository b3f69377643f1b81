//! ffprobe's JSON. Everything in it comes from the file's author: absent, absurd and negative values are normal.

use serde::Deserialize;

use super::language;
use crate::Rational;

/// The longest time that is believed, in seconds: a hundred years. It keeps sums of times far from overflow.
const SECONDS_MAX: f64 = 100.0 * 365.25 * 86_400.0;

#[derive(Debug, Deserialize)]
pub(super) struct RawProbe {
    #[serde(default)]
    pub(super) format: RawFormat,
    #[serde(default)]
    pub(super) streams: Vec<RawStream>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct RawFormat {
    pub(super) format_name: String,
    pub(super) nb_streams: usize,
    start_time: Option<String>,
    duration: Option<String>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct RawStream {
    pub(super) index: u32,
    pub(super) codec_type: String,
    pub(super) codec_name: String,
    pub(super) codec_tag_string: String,
    pub(super) width: u32,
    pub(super) height: u32,
    pub(super) channels: u32,
    sample_rate: String,
    tags: RawTags,
    pub(super) field_order: String,
    pub(super) color_space: String,
    pub(super) color_transfer: String,
    pub(super) color_primaries: String,
    pub(super) disposition: RawDisposition,
    sample_aspect_ratio: String,
    time_base: String,
    avg_frame_rate: String,
    r_frame_rate: String,
    side_data_list: Vec<RawSideData>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct RawDisposition {
    pub(super) default: u8,
    pub(super) forced: u8,
    pub(super) attached_pic: u8,
    pub(super) still_image: u8,
    pub(super) timed_thumbnails: u8,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
struct RawTags {
    language: String,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
struct RawSideData {
    rotation: Option<f64>,
}

impl RawFormat {
    pub(super) fn start_us(&self) -> i64 {
        scaled(self.start_time.as_deref(), 1e6)
    }

    pub(super) fn duration_ms(&self) -> i64 {
        scaled(self.duration.as_deref(), 1e3).max(0)
    }
}

impl RawStream {
    /// The unit of timestamps; `None` if it is not a positive fraction.
    pub(super) fn time_base(&self) -> Option<Rational> {
        fraction(&self.time_base, '/')
    }

    /// Width by height of one pixel; `None` if it is not told.
    pub(super) fn pixel_aspect(&self) -> Option<Rational> {
        fraction(&self.sample_aspect_ratio, ':')
    }

    /// Frames a second on average; 0 if it is not told.
    #[expect(clippy::cast_precision_loss, reason = "a rate for people to read")]
    pub(super) fn frame_rate(&self) -> f64 {
        let rate = fraction(&self.avg_frame_rate, '/').or_else(|| fraction(&self.r_frame_rate, '/'));
        rate.map_or(0.0, |rate| rate.num as f64 / rate.den as f64)
    }

    /// Samples of sound a second; 0 if it is not told.
    pub(super) fn sample_rate(&self) -> u32 {
        self.sample_rate.parse().unwrap_or(0)
    }

    /// The language as BCP 47 names it; empty if it is not told.
    pub(super) fn language(&self) -> String {
        language::normalised(&self.tags.language)
    }

    /// Clockwise or not: by how many degrees the picture is turned for showing.
    pub(super) fn rotation(&self) -> f64 {
        self.side_data_list
            .iter()
            .find_map(|data| data.rotation)
            .filter(|r| r.is_finite())
            .unwrap_or(0.0)
    }
}

/// Seconds as text in another unit; 0 if it is no believable number.
#[expect(clippy::cast_possible_truncation, reason = "bounded just before")]
fn scaled(seconds: Option<&str>, per_second: f64) -> i64 {
    let seconds: f64 = seconds.and_then(|text| text.parse().ok()).unwrap_or(0.0);
    if seconds.abs() <= SECONDS_MAX {
        (seconds * per_second).round() as i64
    } else {
        0
    }
}

/// A fraction of two positive numbers.
fn fraction(text: &str, separator: char) -> Option<Rational> {
    let (num, den) = text.split_once(separator)?;
    let (num, den) = (num.parse::<u32>().ok()?, den.parse::<u32>().ok()?);
    (num > 0 && den > 0).then_some(Rational {
        num: num.into(),
        den: den.into(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn absurd_numbers_are_no_numbers() {
        assert_eq!(scaled(Some("1e300"), 1e6), 0);
        assert_eq!(scaled(Some("nan"), 1e6), 0);
        assert_eq!(scaled(Some("N/A"), 1e6), 0);
        assert_eq!(scaled(Some("-1.5"), 1e6), -1_500_000);
        assert_eq!(fraction("0/0", '/'), None);
        assert_eq!(fraction("1/0", '/'), None);
        assert_eq!(
            fraction("30000/1001", '/'),
            Some(Rational {
                num: 30_000,
                den: 1_001
            })
        );
    }

    #[test]
    fn an_empty_report_is_a_report() {
        let raw: RawProbe = serde_json::from_str("{}").unwrap();
        assert_eq!((raw.streams.len(), raw.format.duration_ms()), (0, 0));
    }
}
