//! Small values that several roles pass on: what a source is, what a rendition is, samples.

use serde::{Deserialize, Serialize};

use crate::{JobId, TaskId, UploadId};

/// What the probe found.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct SourceInfo {
    /// The container in ffmpeg's words.
    pub container: String,
    /// The duration of the longest track, in milliseconds.
    pub duration_ms: i64,
    /// The video codec; empty without video.
    pub video_codec: String,
    /// The width as shown, in pixels.
    pub width: u32,
    /// The height as shown, in pixels.
    pub height: u32,
    /// The average frame rate, in frames a second.
    pub frame_rate: f64,
    /// How many frames are shown.
    pub frames: i64,
    /// The audio codec; empty without audio.
    pub audio_codec: String,
    /// How many audio channels.
    pub audio_channels: u32,
}

/// A stream that a player can choose.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct RenditionInfo {
    /// Unique within the job, for example `720p` or `audio`.
    pub name: String,
    /// The width in pixels; 0 for audio.
    pub width: u32,
    /// The height in pixels; 0 for audio.
    pub height: u32,
    /// The codec string of RFC 6381; empty until published.
    pub codecs: String,
    /// The measured average in bits a second; 0 until published.
    pub bitrate_average: i64,
    /// The measured largest segment in bits a second; 0 until published.
    pub bitrate_peak: i64,
    /// The media playlist's name below `/play/{job}/`; empty until published.
    pub playlist: String,
    /// The language as BCP 47 names it; empty if the source doesn't tell.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub language: String,
    /// The likeness to the source, if it was measured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quality: Option<Quality>,
}

/// How like its source a rendition is, measured on excerpts, both scaled to the size of the largest rung.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Quality {
    /// VMAF, 0 to 100; `None` where ffmpeg can't measure it.
    pub vmaf: Option<f64>,
    /// SSIM of the luma, 0 to 1.
    pub ssim: f64,
}

/// How far something is, at this moment. Samples may be lost and merged; only the newest matters.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Sample {
    /// Bytes of an upload became durable.
    Upload {
        /// The upload.
        upload: UploadId,
        /// Its durable offset, in bytes.
        durable_offset: i64,
    },
    /// A task got on.
    Task {
        /// The job.
        job: JobId,
        /// The task.
        task: TaskId,
        /// The claim that this is about.
        lease_epoch: i64,
        /// How much of the source is done, in milliseconds.
        done_ms: i64,
        /// Source seconds a second.
        speed: f64,
    },
}
