//! The plan: which frames go into which segment of which chunk. It is made once, stored with the job, and every worker
//! reads the same one.

mod audio;
mod beginning;
mod chunks;
mod first;
mod make;
mod mezzanine;
mod segments;
mod subtitles;
mod time;
mod windows;

use reelway_domain::{EncoderSpeed, RungSize, SourceInfo, VideoCodec};
use serde::{Deserialize, Serialize};

#[cfg(test)]
pub(crate) use self::make::lay_out;
pub(crate) use self::time::ticks_to_ms;
pub use self::{
    beginning::{make_beginning_plan, make_further_plan},
    make::{make_early_plan, make_plan},
    windows::make_windowed_plan,
};
use crate::{Colour, Mastering};

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
    /// The audio tracks, the default one first; none if there is no audio.
    pub audios: Vec<AudioPlan>,
    /// The text tracks that become WebVTT.
    #[serde(default)]
    pub subtitles: Vec<SubtitlePlan>,
    /// How much of the source this was made from.
    #[serde(default)]
    pub view: PlanView,
    /// Where the container keeps what a reader needs before it reads any packet; none if it needs the whole source.
    #[serde(default)]
    pub index_bytes: Vec<ByteRange>,
    /// Chunks and audio are read from the indexed copy that the plan task made, not from the upload itself.
    pub reads_mezzanine: bool,
}

impl Plan {
    /// The instant of the source that becomes time 0, in microseconds of the source's clock.
    #[must_use]
    pub fn base_us(&self) -> i64 {
        let video = self.video.as_ref().map(|video| video.time_base.to_us(video.base_pts));
        video.or(self.audios.first().map(|audio| audio.base_us)).unwrap_or(0)
    }
}

/// How much of a source a plan was made from.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PlanView {
    /// All of it.
    #[default]
    Whole,
    /// Its index, while packets were still arriving: it is complete, and must be held against the whole file.
    Index,
    /// Its first bytes: more segments will follow, and it must be held against the whole file.
    Prefix,
}

/// A run of the source's bytes, from `start` to before `end`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ByteRange {
    /// The first byte.
    pub start: u64,
    /// The byte after the last one.
    pub end: u64,
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
    /// The constant rate factor, in the scale of `codec`.
    pub crf: u8,
    /// What the ladder asks for; single rungs may have another one.
    #[serde(default)]
    pub codec: VideoCodec,
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
    /// The screen that a high dynamic range was made on, if the source tells.
    #[serde(default)]
    pub mastering: Option<Mastering>,
    /// Of so many chunks at the start, the smallest rung is encoded ahead of the others, by a task of its own.
    #[serde(default)]
    pub lead_chunks: usize,
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
    /// Where everything lies that must be read for it, from the keyframe to the last packet; absent if the whole source must be
    /// there.
    #[serde(default)]
    pub bytes: Option<ByteRange>,
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

/// How one audio track is encoded.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AudioPlan {
    /// The rendition's name: [`crate::AUDIO_RENDITION`], and `audio-2`, `audio-3`, … after it.
    pub name: String,
    /// The language as BCP 47 names it; empty if the source doesn't tell.
    pub language: String,
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
    /// Samples a second of the source.
    #[serde(default = "audio::sample_rate_unknown")]
    pub sample_rate: u32,
    /// How a process gets to the start of a run.
    #[serde(default)]
    pub seek: AudioSeek,
    /// The runs, in order, without gaps.
    pub runs: Vec<AudioRun>,
}

/// How a process gets to the start of an audio run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AudioSeek {
    /// It decodes from the source's start: the container's clock says nothing exact after a seek.
    #[default]
    FromStart,
    /// It seeks: every packet tells its time to the sample.
    ByClock,
}

/// A run of whole AAC frames that one process encodes. All runs lie on one grid of frames from time 0, so that they join
/// without a seam.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct AudioRun {
    /// Its first frame, of 1024 samples at 48 kHz, from 0.
    pub start_frame: i64,
    /// The frame after its last one; `None`: to the end of the track.
    pub end_frame: Option<i64>,
    /// Where everything lies that must be read for it; absent if the whole source must be there.
    #[serde(default)]
    pub bytes: Option<ByteRange>,
}

impl AudioRun {
    /// When its first frame is heard, in milliseconds from time 0.
    #[must_use]
    pub fn start_ms(&self) -> i64 {
        frames_to_ms(self.start_frame)
    }

    /// When the frame after its last one is heard, in milliseconds from time 0; `None`: at the end of the track.
    #[must_use]
    pub fn end_ms(&self) -> Option<i64> {
        self.end_frame.map(frames_to_ms)
    }
}

/// The start of an AAC frame: 1024 samples at 48 kHz are 64/3 ms.
fn frames_to_ms(frame: i64) -> i64 {
    frame.saturating_mul(64) / 3
}

/// How one text track becomes WebVTT.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SubtitlePlan {
    /// The rendition's name: `subtitles`, `subtitles-2`, …
    pub name: String,
    /// The language as BCP 47 names it; empty if the source doesn't tell.
    pub language: String,
    /// The stream's index in the source.
    pub stream_index: u32,
    /// Shown also to those who did not ask for subtitles.
    pub forced: bool,
    /// The source says that it is the one to show.
    #[serde(default)]
    pub default: bool,
}

#[cfg(test)]
mod early_tests;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod window_tests;
