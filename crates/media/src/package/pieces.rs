//! What the tasks record of the pieces they made.

use serde::{Deserialize, Serialize};

/// What the tasks of a job have made.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Made {
    /// What the video and lead tasks made, in any order.
    pub chunks: Vec<ChunkPieces>,
    /// What the audio tasks made, in any order.
    pub audio: Vec<RunPieces>,
    /// What the subtitle tasks made, in any order.
    pub subtitles: Vec<SubtitlePieces>,
}

/// What one audio task made, and which of the plan's runs that is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunPieces {
    /// The track's place in the plan, from 0.
    pub track: usize,
    /// The run's place in the track, from 0.
    pub run: usize,
    /// Its pieces.
    pub pieces: PieceSet,
}

/// What one subtitle task made: a text track in one WebVTT file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SubtitlePieces {
    /// The rendition's name, as the plan has it.
    pub rendition: String,
    /// The stored key of the file.
    pub key: String,
    /// How many bytes it has.
    pub bytes: u64,
    /// When its last cue ends, in milliseconds from time 0.
    pub duration_ms: i64,
    /// How many cues it has.
    pub cues: u32,
}

/// What one chunk task made, or one lead task.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChunkPieces {
    /// The chunk's place in the plan, from 0.
    pub chunk: u32,
    /// The pieces of each rung that the task made.
    pub renditions: Vec<PieceSet>,
}

/// What one audio task made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct AudioPieces(pub PieceSet);

/// The pieces of one rendition that one task made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PieceSet {
    /// The rendition's name: that of the rung or of the audio track.
    pub rendition: String,
    /// The stored key of the init section.
    pub init_key: String,
    /// The SHA-256 of the init section, in hexadecimal: it must be the same for all chunks.
    pub init_sha256: String,
    /// The codec string of RFC 6381.
    pub codec: String,
    /// The width in pixels; 0 for audio.
    pub width: u32,
    /// The height in pixels; 0 for audio.
    pub height: u32,
    /// Ticks a second of the pieces' times.
    pub timescale: u32,
    /// The segments that have frames, in order; none if nothing could be decoded.
    pub pieces: Vec<Piece>,
    /// How much of an audio run is silence in place of sound that can't be decoded, in milliseconds.
    #[serde(default)]
    pub silenced_ms: i64,
}

/// One stored segment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Piece {
    /// The segment's number in the plan.
    pub number: u32,
    /// The stored key.
    pub key: String,
    /// How many bytes it has.
    pub bytes: u64,
    /// When it starts, in ticks of the set's timescale.
    pub start: i64,
    /// How long it lasts, in ticks of the set's timescale.
    pub duration: i64,
    /// How many frames it holds.
    pub frames: i64,
    /// For video: how many bytes from its beginning hold its first frame.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keyframe_bytes: Option<u64>,
}
