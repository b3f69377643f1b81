//! The plan: which frames go into which segment of which chunk. It is made once, stored with the job, and every worker
//! reads the same one.

mod chunks;
mod make;
mod mezzanine;
mod segments;
mod time;

use reelway_domain::{EncoderSpeed, RungSize, SourceInfo};
use serde::{Deserialize, Serialize};

pub use self::make::make_plan;
pub(crate) use self::time::ticks_to_ms;
use crate::Colour;

/// The timescale of everything that is made of video: ticks of 1/90000 s, in which usual frame rates are whole numbers.
pub const TICKS_PER_SECOND: i64 = 90_000;

/// The target duration of a segment, in milliseconds.
pub(crate) const SEGMENT_MS: i64 = 4000;

/// A fraction, as containers use for time bases and rates.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rational {
    /// The numerator.
    pub num: i64,
    /// The denominator; never 0.
    pub den: i64,
}

/// What is made of one source.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// What the source is.
    pub source: SourceInfo,
    /// The target duration of a segment, in milliseconds. All renditions have the same.
    pub segment_ms: i64,
    /// The video, if there is any.
    pub video: Option<VideoPlan>,
    /// The audio, if there is any.
    pub audio: Option<AudioPlan>,
    /// Chunks and audio are read from the indexed copy that the plan task made, not from the upload itself.
    pub reads_mezzanine: bool,
}

/// How the video track is cut and encoded.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct VideoPlan {
    /// The stream's index in the source.
    pub stream_index: u32,
    /// The unit of the source's timestamps, in seconds.
    pub time_base: Rational,
    /// The timestamp of the first frame that is shown, in `time_base`. It becomes time 0 of all renditions.
    pub base_pts: i64,
    /// The container's start time, in microseconds: seeking counts from there.
    pub container_start_us: i64,
    /// How much later than a keyframe a seek must aim to land on it, in microseconds: most containers' readers go back a
    /// little by themselves.
    pub seek_slack_us: i64,
    /// The renditions, largest first.
    pub rungs: Vec<RungSize>,
    /// How hard the encoder works.
    pub speed: EncoderSpeed,
    /// The constant rate factor.
    pub crf: u8,
    /// How much may be missing, in percent of the frames.
    pub missing_percent_max: f64,
    /// The most frames that begin within any one second.
    pub frame_rate_max: u32,
    /// The source's pictures are made of two fields each.
    pub deinterlace: bool,
    /// The source has a high dynamic range, which is turned into what every screen shows.
    pub tone_map: bool,
    /// What the source's pixels mean.
    pub colour: Colour,
    /// The chunks, in order, without gaps.
    pub chunks: Vec<ChunkPlan>,
}

/// A run of whole segments that one ffmpeg process encodes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChunkPlan {
    /// The first frame's timestamp, in the source's time base.
    pub start_pts: i64,
    /// The timestamp after the last frame, in the source's time base: the next chunk's start.
    pub end_pts: i64,
    /// The keyframe to seek to, in the source's time base; absent to read from the start.
    pub seek_pts: Option<i64>,
    /// The segments, in order, without gaps.
    pub segments: Vec<SegmentPlan>,
}

impl ChunkPlan {
    /// How many frames it holds.
    #[must_use]
    pub fn frames(&self) -> i64 {
        self.segments.iter().map(|segment| segment.frames).sum()
    }

    /// When its first frame is shown, in ticks from the first frame of the track.
    #[must_use]
    pub fn start_ticks(&self) -> i64 {
        self.segments.first().map_or(0, |segment| segment.start_ticks)
    }

    /// How long it is, in ticks.
    #[must_use]
    pub fn duration_ticks(&self) -> i64 {
        self.segments.iter().map(|segment| segment.duration_ticks).sum()
    }
}

/// One segment: the unit that a player fetches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct SegmentPlan {
    /// The number of the segment in the whole track, from 0.
    pub number: u32,
    /// When its first frame is shown, in ticks of 1/90000 s from the first frame of the track.
    pub start_ticks: i64,
    /// How long it is, in ticks of 1/90000 s.
    pub duration_ticks: i64,
    /// How many frames it holds.
    pub frames: i64,
}

/// How the audio track is encoded.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AudioPlan {
    /// The stream's index in the source.
    pub stream_index: u32,
    /// The instant of the source that becomes time 0, in microseconds of the source's clock.
    pub base_us: i64,
    /// How long the audio lasts from time 0, in milliseconds.
    pub duration_ms: i64,
    /// Channels of the rendition: 1 or 2.
    pub channels: u32,
    /// The bit rate, in bits a second.
    pub bitrate: u32,
}

#[cfg(test)]
mod tests;
