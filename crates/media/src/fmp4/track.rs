//! What recutting makes of a file.

use std::{
    io::{Read, Seek},
    path::Path,
};

use sha2::{Digest, Sha256};

use super::{Fmp4Error, fragment::Sample, init::Init, reader::FragmentReader, writer::write_segment};
use crate::{Piece, PieceSet};

/// A track that was cut into segment files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecutTrack {
    /// The init section, which belongs in a file of its own. It is the same for all chunks of a rendition.
    pub init: Vec<u8>,
    /// The codec string of RFC 6381.
    pub codec: String,
    /// The width in pixels; 0 for audio.
    pub width: u32,
    /// The height in pixels; 0 for audio.
    pub height: u32,
    /// Ticks a second of all times below.
    pub timescale: u32,
    /// The segments that have frames, in order.
    pub segments: Vec<RecutSegment>,
    /// How many frames all segments hold.
    pub frames: i64,
}

/// A segment file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecutSegment {
    /// The segment's number in the plan.
    pub number: u32,
    /// The file's name in the output directory.
    pub file_name: String,
    /// How many bytes it has.
    pub bytes: u64,
    /// When its first frame is decoded and shown, in ticks of the track.
    pub start: i64,
    /// How long it lasts, in ticks of the track.
    pub duration: i64,
    /// How many frames it holds.
    pub frames: i64,
    /// For video: how many bytes from the file's beginning hold its first frame, which can be shown by itself.
    pub keyframe_bytes: Option<u64>,
}

impl RecutTrack {
    pub(super) fn new(init: &Init) -> Self {
        let (width, height) = init.entry.picture.unwrap_or_default();
        Self {
            init: init.bytes.clone(),
            codec: init.entry.codec.clone(),
            width,
            height,
            timescale: init.timescale,
            segments: Vec::new(),
            frames: 0,
        }
    }

    /// Writes samples, of which there is at least one, as one segment and adds it to the track.
    pub(super) fn write_segment<R: Read + Seek>(
        &mut self,
        reader: &mut FragmentReader<R>,
        samples: &[Sample],
        number: u32,
        out_dir: &Path,
        name: impl Fn(u32) -> String,
    ) -> Result<(), Fmp4Error> {
        let file_name = name(number);
        let written = write_segment(reader, samples, number, &out_dir.join(&file_name))?;
        let segment = RecutSegment {
            number,
            file_name,
            bytes: written.bytes,
            start: samples[0].decode_time,
            duration: samples.iter().map(|s| i64::from(s.duration)).sum(),
            frames: samples.len() as i64,
            keyframe_bytes: reader.init().entry.picture.map(|_| written.first_sample_end),
        };
        self.frames += segment.frames;
        self.segments.push(segment);
        Ok(())
    }

    /// The SHA-256 of the init section, in hexadecimal.
    #[must_use]
    pub fn init_sha256(&self) -> String {
        Sha256::digest(&self.init)
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect()
    }

    /// What a task records of this track: the rendition's name, the key of the init section, and the key of each file
    /// by its name.
    #[must_use]
    pub fn pieces(&self, rendition: &str, init_key: String, key: impl Fn(&str) -> String) -> PieceSet {
        let piece = |s: &RecutSegment| Piece {
            number: s.number,
            key: key(&s.file_name),
            bytes: s.bytes,
            start: s.start,
            duration: s.duration,
            frames: s.frames,
            keyframe_bytes: s.keyframe_bytes,
        };
        PieceSet {
            rendition: rendition.to_owned(),
            init_key,
            init_sha256: self.init_sha256(),
            codec: self.codec.clone(),
            width: self.width,
            height: self.height,
            timescale: self.timescale,
            pieces: self.segments.iter().map(piece).collect(),
            silenced_ms: 0,
        }
    }
}
