//! What a source may cost, as the operator sets it.

use std::{fmt::Display, time::Duration};

use reelway_domain::{Failure, Reason};

use crate::SandboxLevel;

/// The bounds around every ffmpeg and ffprobe process and around what a source may be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// The most pixels in one picture.
    pub pixels_max: u64,
    /// The longest source.
    pub duration_max: Duration,
    /// The most streams in one container, of whatever kind.
    pub streams_max: usize,
    /// The most tracks of sound that can be decoded: each becomes a rendition.
    pub audio_tracks_max: usize,
    /// The most tracks of text: each becomes a rendition.
    pub subtitle_tracks_max: usize,
    /// The most frames a second, on average; so many may also come within a source of less than a second.
    pub frame_rate_max: u32,
    /// The most packets of all streams together: while the plan is made, each frame of the video takes 40 bytes.
    pub packets_max: usize,
    /// The most address space of one process, in bytes.
    pub memory_bytes_max: u64,
    /// The longest run of one encoding process.
    pub wall_max: Duration,
    /// The longest run of one probing process.
    pub probe_wall_max: Duration,
    /// A process that gets no further for so long is killed.
    pub stall_max: Duration,
    /// How much of the sandbox there must be.
    pub sandbox: SandboxLevel,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            // 8192 × 4320, the largest picture of H.264 level 6.
            pixels_max: 8192 * 4320,
            duration_max: Duration::from_secs(12 * 3600),
            streams_max: 64,
            audio_tracks_max: 8,
            subtitle_tracks_max: 16,
            // Phones record slow motion at 240.
            frame_rate_max: 300,
            packets_max: 6_000_000,
            memory_bytes_max: 4 << 30,
            wall_max: Duration::from_secs(3600),
            probe_wall_max: Duration::from_secs(60),
            stall_max: Duration::from_secs(60),
            sandbox: SandboxLevel::default(),
        }
    }
}

/// What the operator sets about sources; a refusal names it, so that they know what to change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SourceSetting {
    /// [`Limits::pixels_max`].
    Pixels,
    /// [`Limits::duration_max`].
    Duration,
    /// [`Limits::streams_max`].
    Streams,
    /// [`Limits::audio_tracks_max`].
    AudioTracks,
    /// [`Limits::subtitle_tracks_max`].
    SubtitleTracks,
    /// [`Limits::frame_rate_max`].
    FrameRate,
}

impl SourceSetting {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::Pixels,
        Self::Duration,
        Self::Streams,
        Self::AudioTracks,
        Self::SubtitleTracks,
        Self::FrameRate,
    ];

    /// The option of `reelway serve` that sets it, without its dashes.
    #[must_use]
    pub fn option(self) -> &'static str {
        match self {
            Self::Pixels => "source-pixels-max",
            Self::Duration => "source-duration-max",
            Self::Streams => "source-streams-max",
            Self::AudioTracks => "source-audio-tracks-max",
            Self::SubtitleTracks => "source-subtitle-tracks-max",
            Self::FrameRate => "source-frame-rate-max",
        }
    }

    /// The refusal of a source that has more.
    pub(crate) fn exceeded(self, message: String, max: impl Display, actual: impl Display) -> Failure {
        Failure::new(Reason::SourceLimitExceeded, message)
            .with("limit", max)
            .with("actual", actual)
            .with("setting", self.option())
    }
}
