//! CMAF segments: one `moof` and one `mdat` each.

use std::{
    fs::OpenOptions,
    io::{BufWriter, Read, Seek, Write},
    path::Path,
};

use super::{
    Fmp4Error,
    boxes::{HEADER_BYTES, box_size, put_box},
    fragment::Sample,
    reader::FragmentReader,
};

/// How many bytes a file has, and where its first sample ends.
pub(super) struct Written {
    pub(super) bytes: u64,
    pub(super) first_sample_end: u64,
}

/// Writes a new file with these samples, decoded from `decode_time` on without gaps. It is not synced.
///
/// # Errors
/// If the file is there already, if reading or writing fails, or if the segment is larger than 4 GiB.
pub(super) fn write_segment<R: Read + Seek>(
    reader: &mut FragmentReader<R>,
    samples: &[Sample],
    number: u32,
    path: &Path,
) -> Result<Written, Fmp4Error> {
    let mut head = Vec::new();
    put_box(&mut head, b"styp", |out| {
        out.extend_from_slice(b"msdh\0\0\0\0msdhcmfs");
        Ok(())
    })?;
    put_moof(&mut head, samples, number, reader.init().track_id)?;
    let data: u64 = samples.iter().map(|s| u64::from(s.size)).sum();
    head.extend_from_slice(&box_size(HEADER_BYTES as u64 + data)?.to_be_bytes());
    head.extend_from_slice(b"mdat");

    let mut out = BufWriter::new(OpenOptions::new().write(true).create_new(true).open(path)?);
    out.write_all(&head)?;
    reader.copy(samples, &mut out)?;
    out.flush()?;
    let first = samples.first().map_or(0, |s| u64::from(s.size));
    Ok(Written {
        bytes: head.len() as u64 + data,
        first_sample_end: head.len() as u64 + first,
    })
}

/// `default-base-is-moof`: data offsets count from this fragment, so a segment needs no knowledge of the others.
const TFHD_FLAGS: u32 = 0x02_0000;
/// Data offset; and duration, size, flags and composition offset for each sample.
const TRUN_FLAGS: u32 = 0xf01;

fn put_moof(out: &mut Vec<u8>, samples: &[Sample], number: u32, track_id: u32) -> Result<(), Fmp4Error> {
    let start = out.len();
    let decode_time = samples.first().map_or(0, |s| s.decode_time);
    let mut data_offset_at = 0;
    put_box(out, b"moof", |out| {
        put_box(out, b"mfhd", |out| put_words(out, &[0, number.wrapping_add(1)]))?;
        put_box(out, b"traf", |out| {
            put_box(out, b"tfhd", |out| put_words(out, &[TFHD_FLAGS, track_id]))?;
            put_box(out, b"tfdt", |out| {
                put_words(out, &[1 << 24])?;
                out.extend_from_slice(&decode_time.to_be_bytes());
                Ok(())
            })?;
            put_box(out, b"trun", |out| {
                put_words(out, &[1 << 24 | TRUN_FLAGS, box_size(samples.len() as u64)?])?;
                data_offset_at = out.len();
                put_words(out, &[0])?;
                for s in samples {
                    put_words(
                        out,
                        &[s.duration, s.size, s.flags, s.composition_offset.cast_unsigned()],
                    )?;
                }
                Ok(())
            })
        })
    })?;
    let data_offset = box_size((out.len() - start + HEADER_BYTES) as u64)?;
    out[data_offset_at..data_offset_at + 4].copy_from_slice(&data_offset.to_be_bytes());
    Ok(())
}

fn put_words(out: &mut Vec<u8>, words: &[u32]) -> Result<(), Fmp4Error> {
    out.extend(words.iter().flat_map(|word| word.to_be_bytes()));
    Ok(())
}
