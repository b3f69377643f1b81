//! What a source of high dynamic range says about the screen that it was made on (SMPTE ST 2086) and how bright it gets
//! (CTA-861.3). Containers say it in headers, encoders in their first frame.

use serde::{Deserialize, Serialize};

use crate::{
    Error, Workspace, ffprobe,
    input::Args,
    sandbox::{self, Step},
};

/// What ffprobe is asked for.
const ENTRIES: &str = "stream=index:stream_side_data_list:frame=stream_index:frame_side_data_list";
/// One frame is decoded.
const INTERVAL: &str = "%+#1";
/// The most that ffprobe may say, in bytes.
const REPORT_BYTES_MAX: usize = 1 << 18;
/// Units of a chromaticity in HEVC (ITU-T H.265, D.3.28): parts of 0.00002.
const CHROMA_UNITS: f64 = 50_000.0;
/// Units of a luminance there: parts of 0.0001 cd/m².
const LUMA_UNITS: f64 = 10_000.0;
/// The brightest screen that is believed, in cd/m²: the end of perceptual quantization.
const NITS_MAX: f64 = 10_000.0;

/// The screen that a high dynamic range was made on, in the units of HEVC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mastering {
    /// The chromaticity (x, y) of green, blue, red and white, in parts of 0.00002.
    chroma: [(u32, u32); 4],
    /// The greatest and the least luminance, in parts of 0.0001 cd/m².
    luminance: (u32, u32),
    /// The brightest pixel and the brightest frame's average, in cd/m²; `None` if it is not told.
    light: Option<(u32, u32)>,
}

impl Mastering {
    /// As libx265 takes it; begins with a colon.
    pub(crate) fn x265_params(&self) -> String {
        let [g, b, r, wp] = self.chroma;
        let (max, min) = self.luminance;
        let mut params = String::from(":hdr10=1:master-display=");
        for (name, (x, y)) in [("G", g), ("B", b), ("R", r), ("WP", wp), ("L", (max, min))] {
            params += &format!("{name}({x},{y})");
        }
        if let Some((pixel, frame)) = self.light {
            params += &format!(":max-cll={pixel},{frame}");
        }
        params
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Report {
    streams: Vec<Carrier>,
    frames: Vec<Carrier>,
}

/// A stream or a frame.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Carrier {
    index: Option<u32>,
    stream_index: Option<u32>,
    side_data_list: Vec<SideData>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct SideData {
    green_x: Option<String>,
    green_y: Option<String>,
    blue_x: Option<String>,
    blue_y: Option<String>,
    red_x: Option<String>,
    red_y: Option<String>,
    white_point_x: Option<String>,
    white_point_y: Option<String>,
    max_luminance: Option<String>,
    min_luminance: Option<String>,
    max_content: Option<u32>,
    max_average: Option<u32>,
}

/// Reads it from the source's headers and the first frame of video stream `stream`; `None` if neither tells.
///
/// # Errors
/// [`Error::Cancelled`]; those of starting ffprobe. A source that it can't read tells nothing.
pub(crate) async fn read(
    work: &Workspace<'_>,
    file: &std::path::Path,
    stream: u32,
) -> Result<Option<Mastering>, Error> {
    let limits = work.tools.limits();
    let mut invocation = ffprobe::invocation(work, file, "json", ENTRIES, limits.probe_wall_max, None);
    let mut first = Vec::new();
    first.words(["-select_streams", &stream.to_string(), "-read_intervals", INTERVAL]);
    invocation.args.splice(0..0, first);
    let mut report = String::new();
    let finished = sandbox::run(limits, invocation, work.cancel, |line| {
        if report.len() + line.len() <= REPORT_BYTES_MAX {
            report.push_str(line);
        }
        Ok(Step::Moved)
    })
    .await?;
    if !finished.status.success() {
        return Ok(None);
    }
    let report: Report = serde_json::from_str(&report).unwrap_or_default();
    Ok(understand(&report, stream))
}

fn understand(report: &Report, stream: u32) -> Option<Mastering> {
    let carriers = report.streams.iter().chain(&report.frames);
    let data: Vec<&SideData> = carriers
        .filter(|carrier| {
            carrier
                .index
                .or(carrier.stream_index)
                .is_none_or(|index| index == stream)
        })
        .flat_map(|carrier| &carrier.side_data_list)
        .collect();
    let light = data.iter().find_map(|data| {
        let (pixel, frame) = (data.max_content?, data.max_average?);
        (f64::from(pixel.max(frame)) <= NITS_MAX).then_some((pixel, frame))
    });
    data.iter().find_map(|data| screen(data, light))
}

fn screen(data: &SideData, light: Option<(u32, u32)>) -> Option<Mastering> {
    let chroma = |x: &Option<String>, y: &Option<String>| {
        Some((
            units(x.as_deref()?, CHROMA_UNITS, 1.0)?,
            units(y.as_deref()?, CHROMA_UNITS, 1.0)?,
        ))
    };
    let nits = |text: &Option<String>| units(text.as_deref()?, LUMA_UNITS, NITS_MAX);
    Some(Mastering {
        chroma: [
            chroma(&data.green_x, &data.green_y)?,
            chroma(&data.blue_x, &data.blue_y)?,
            chroma(&data.red_x, &data.red_y)?,
            chroma(&data.white_point_x, &data.white_point_y)?,
        ],
        luminance: (nits(&data.max_luminance)?, nits(&data.min_luminance)?),
        light,
    })
}

/// A fraction in whole units; `None` if it is none or more than `max`.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "bounded just before"
)]
fn units(fraction: &str, per_one: f64, max: f64) -> Option<u32> {
    let (num, den) = fraction.split_once('/')?;
    let value = num.parse::<f64>().ok()? / den.parse::<f64>().ok()?;
    (0.0..=max).contains(&value).then(|| (value * per_one).round() as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SCREEN: &str = r#"{"frames":[{"stream_index":0,"side_data_list":[
        {"side_data_type":"Mastering display metadata","red_x":"34000/50000","red_y":"16000/50000",
         "green_x":"13250/50000","green_y":"34500/50000","blue_x":"7500/50000","blue_y":"3000/50000",
         "white_point_x":"15635/50000","white_point_y":"16450/50000","min_luminance":"50/10000",
         "max_luminance":"10000000/10000"},
        {"side_data_type":"Content light level metadata","max_content":1000,"max_average":400}]}],
        "streams":[{"index":0}]}"#;

    #[test]
    fn a_frame_tells_of_its_screen() {
        let report: Report = serde_json::from_str(SCREEN).unwrap();
        let params = understand(&report, 0).unwrap().x265_params();
        assert_eq!(
            params,
            ":hdr10=1:master-display=G(13250,34500)B(7500,3000)R(34000,16000)WP(15635,16450)L(10000000,50):max-cll=1000,400"
        );
        assert_eq!(understand(&report, 1), None, "another stream's");
    }

    #[test]
    fn absurd_numbers_tell_nothing() {
        for (right, wrong) in [("10000000/10000", "1/0"), ("34000/50000", "-1/3"), ("50/10000", "x")] {
            let report: Report = serde_json::from_str(&SCREEN.replace(right, wrong)).unwrap();
            assert_eq!(understand(&report, 0), None, "{wrong}");
        }
    }
}
