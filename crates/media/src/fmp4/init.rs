//! The init section: what every segment of a track has in common.

use super::{
    Fmp4Error, FourCc,
    boxes::Fields,
    codec::{SampleEntry, sample_entry},
};

/// What fragments leave out because the init section says it (ISO/IEC 14496-12, 8.8.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Defaults {
    pub(super) duration: u32,
    pub(super) size: u32,
    pub(super) flags: u32,
}

/// The one track of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Init {
    /// The `ftyp` and `moov` boxes as they are stored.
    pub(super) bytes: Vec<u8>,
    pub(super) track_id: u32,
    /// Ticks a second; never 0.
    pub(super) timescale: u32,
    pub(super) entry: SampleEntry,
    pub(super) defaults: Defaults,
}

impl Init {
    /// Reads everything up to the end of the `moov` box; `moov` is that box's body.
    pub(super) fn parse(bytes: Vec<u8>, moov: &[u8]) -> Result<Self, Fmp4Error> {
        let moov = Fields::new(FourCc(*b"moov"), moov);
        let track = moov.need_one(b"trak", "more than one track in a piece")?;
        let media = track.need(b"mdia")?;
        let timescale = timescale(media.need(b"mdhd")?)?;
        let entry = sample_entry(media.need(b"minf")?.need(b"stbl")?.need(b"stsd")?)?;
        if let Some(edits) = track.find(b"edts")? {
            refuse_shifts(edits)?;
        }
        let track_id = track_id(track.need(b"tkhd")?)?;
        let defaults = defaults(moov.need(b"mvex")?.need(b"trex")?, track_id)?;
        Ok(Self {
            track_id,
            timescale,
            entry,
            defaults,
            bytes,
        })
    }
}

fn timescale(mut mdhd: Fields<'_>) -> Result<u32, Fmp4Error> {
    let (version, _) = mdhd.version_and_flags()?;
    mdhd.bytes(if version == 0 { 8 } else { 16 })?;
    match mdhd.u32()? {
        0 => Err(Fmp4Error::Malformed {
            inside: mdhd.kind(),
            what: "the timescale is 0",
        }),
        timescale => Ok(timescale),
    }
}

fn track_id(mut tkhd: Fields<'_>) -> Result<u32, Fmp4Error> {
    let (version, _) = tkhd.version_and_flags()?;
    tkhd.bytes(if version == 0 { 8 } else { 16 })?;
    tkhd.u32()
}

fn defaults(mut trex: Fields<'_>, track_id: u32) -> Result<Defaults, Fmp4Error> {
    trex.version_and_flags()?;
    if trex.u32()? != track_id {
        return Err(Fmp4Error::Malformed {
            inside: trex.kind(),
            what: "it is about another track",
        });
    }
    let _description = trex.u32()?;
    Ok(Defaults {
        duration: trex.u32()?,
        size: trex.u32()?,
        flags: trex.u32()?,
    })
}

/// An edit list that moves the track would make wrong every time that is computed from fragments alone.
fn refuse_shifts(edits: Fields<'_>) -> Result<(), Fmp4Error> {
    let Some(mut list) = edits.find(b"elst")? else {
        return Ok(());
    };
    let (version, _) = list.version_and_flags()?;
    let entries = list.u32()?;
    let media_time = match (entries, version) {
        (0, _) => 0,
        (1, 0) => u64::from(list.bytes(4).and_then(|_| list.u32())?),
        (1, _) => list.bytes(8).and_then(|_| list.u64())?,
        _ => return Err(Fmp4Error::Unsupported("an edit list with several entries")),
    };
    if media_time == 0 {
        Ok(())
    } else {
        Err(Fmp4Error::Unsupported("an edit list that moves the track"))
    }
}
