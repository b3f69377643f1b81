//! A fragmented file, read fragment by fragment.

use std::io::{self, Read, Seek, SeekFrom};

use super::{
    Fmp4Error, FourCc,
    boxes::HEADER_BYTES,
    fragment::{Sample, samples},
    init::Init,
};

/// The largest init section that is believed. Real ones are below 1 KiB.
const INIT_BYTES_MAX: u64 = 1 << 20;
/// The largest table of a fragment that is believed: 16 bytes for each of 65 536 samples, and as much again.
const MOOF_BYTES_MAX: u64 = 2 << 20;

/// Reads a file whose `moov` comes first and whose every `moof` is followed by its `mdat`.
pub(super) struct FragmentReader<R> {
    input: R,
    /// Where the next top-level box begins.
    at: u64,
    /// The length of the file.
    end: u64,
    init: Init,
}

/// A top-level box.
struct Place {
    kind: FourCc,
    start: u64,
    body: u64,
    end: u64,
}

impl<R: Read + Seek> FragmentReader<R> {
    /// Reads the init section.
    ///
    /// # Errors
    /// If the file can't be read, or does not begin with an init section of one track.
    pub(super) fn open(mut input: R) -> Result<Self, Fmp4Error> {
        let end = input.seek(SeekFrom::End(0))?;
        let mut at = 0;
        loop {
            let missing = Fmp4Error::Missing(FourCc(*b"moov"));
            let Some(place) = place(&mut input, at, end)? else {
                return Err(missing);
            };
            match &place.kind.0 {
                b"moov" => {
                    check_size("bytes in the init section", place.end, INIT_BYTES_MAX)?;
                    let bytes = read(&mut input, 0, place.end)?;
                    let moov = read(&mut input, place.body, place.end)?;
                    return Ok(Self {
                        input,
                        at: place.end,
                        end,
                        init: Init::parse(bytes, &moov)?,
                    });
                }
                b"moof" | b"mdat" => return Err(missing),
                _ => at = place.end,
            }
        }
    }

    /// What the fragments have in common.
    pub(super) fn init(&self) -> &Init {
        &self.init
    }

    /// The samples of the next fragment, whose bytes are sure to be in the file; `None` at the end.
    ///
    /// # Errors
    /// If the file can't be read or breaks the format.
    pub(super) fn next_fragment(&mut self) -> Result<Option<Vec<Sample>>, Fmp4Error> {
        while let Some(moof) = place(&mut self.input, self.at, self.end)? {
            self.at = moof.end;
            match &moof.kind.0 {
                b"moof" => return self.fragment(&moof).map(Some),
                b"mdat" => return Err(Fmp4Error::Missing(FourCc(*b"moof"))),
                _ => {}
            }
        }
        Ok(None)
    }

    fn fragment(&mut self, moof: &Place) -> Result<Vec<Sample>, Fmp4Error> {
        check_size("bytes in a fragment's table", moof.end - moof.body, MOOF_BYTES_MAX)?;
        let table = read(&mut self.input, moof.body, moof.end)?;
        let found = samples(&table, moof.start, &self.init)?;
        let data = place(&mut self.input, moof.end, self.end)?.filter(|data| data.kind.0 == *b"mdat");
        let data = data.ok_or(Fmp4Error::Missing(FourCc(*b"mdat")))?;
        self.at = data.end;
        // Samples that share bytes are refused too, or a small file could be cut into huge ones.
        let mut free_from = data.body;
        for sample in &found {
            let after = sample.position.saturating_add(sample.size.into());
            if sample.position < free_from || after > data.end {
                return Err(Fmp4Error::Malformed {
                    inside: data.kind,
                    what: "a sample is not in its fragment's data",
                });
            }
            free_from = after;
        }
        Ok(found)
    }

    /// Copies the bytes of samples, in order.
    ///
    /// # Errors
    /// If reading or writing fails.
    pub(super) fn copy(&mut self, samples: &[Sample], mut out: impl io::Write) -> Result<(), Fmp4Error> {
        // Neighbours in the file are copied in one go.
        let adjacent = |a: &Sample, b: &Sample| a.position + u64::from(a.size) == b.position;
        for run in samples.chunk_by(adjacent) {
            let bytes: u64 = run.iter().map(|s| u64::from(s.size)).sum();
            self.input.seek(SeekFrom::Start(run[0].position))?;
            if io::copy(&mut self.input.by_ref().take(bytes), &mut out)? != bytes {
                return Err(Fmp4Error::CutOff(FourCc(*b"mdat")));
            }
        }
        Ok(())
    }
}

/// The top-level box at `at`; `None` at the end of the file.
fn place<R: Read + Seek>(input: &mut R, at: u64, end: u64) -> Result<Option<Place>, Fmp4Error> {
    if at >= end {
        return Ok(None);
    }
    let mut word = [0; HEADER_BYTES];
    input.seek(SeekFrom::Start(at))?;
    let cut_off = |kind| Fmp4Error::CutOff(FourCc(kind));
    input
        .read_exact(&mut word)
        .map_err(|e| short_read(e, cut_off(*b"file")))?;
    let [s0, s1, s2, s3, kind @ ..] = word;
    let (header, size) = match u32::from_be_bytes([s0, s1, s2, s3]) {
        0 => (8, end - at),
        1 => {
            input.read_exact(&mut word).map_err(|e| short_read(e, cut_off(kind)))?;
            (16, u64::from_be_bytes(word))
        }
        size => (8, u64::from(size)),
    };
    let after = at
        .checked_add(size)
        .filter(|after| *after <= end && size >= header)
        .ok_or(cut_off(kind))?;
    Ok(Some(Place {
        kind: FourCc(kind),
        start: at,
        body: at + header,
        end: after,
    }))
}

/// Reads the bytes of a range whose length was checked.
fn read<R: Read + Seek>(input: &mut R, from: u64, to: u64) -> Result<Vec<u8>, Fmp4Error> {
    let mut bytes = Vec::new();
    input.seek(SeekFrom::Start(from))?;
    input.by_ref().take(to - from).read_to_end(&mut bytes)?;
    if bytes.len() as u64 == to - from {
        Ok(bytes)
    } else {
        Err(Fmp4Error::CutOff(FourCc(*b"file")))
    }
}

fn check_size(what: &'static str, value: u64, max: u64) -> Result<(), Fmp4Error> {
    if value <= max {
        Ok(())
    } else {
        Err(Fmp4Error::TooMuch { what, value, max })
    }
}

fn short_read(error: io::Error, cut_off: Fmp4Error) -> Fmp4Error {
    if error.kind() == io::ErrorKind::UnexpectedEof {
        cut_off
    } else {
        error.into()
    }
}
