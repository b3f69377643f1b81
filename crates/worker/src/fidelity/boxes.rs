//! When each sample is shown, as the boxes of a segment say (ISO/IEC 14496-12). A reader of its own, so that the engine's
//! reader is not its own witness; it takes well-formed boxes for granted.

/// The flags of `tfhd` (8.8.7) and `trun` (8.8.8) that say which fields are there.
pub(super) const TFHD_BASE_OFFSET: u32 = 0x1;
const TFHD_DESCRIPTION: u32 = 0x2;
const TFHD_DURATION: u32 = 0x8;
const TFHD_SIZE: u32 = 0x10;
const TFHD_FLAGS: u32 = 0x20;
pub(super) const TRUN_DATA_OFFSET: u32 = 0x1;
const TRUN_FIRST_FLAGS: u32 = 0x4;
const TRUN_DURATION: u32 = 0x100;
const TRUN_SIZE: u32 = 0x200;
const TRUN_FLAGS: u32 = 0x400;
const TRUN_SHOWN: u32 = 0x800;
/// The flag of a sample that decoding can't begin with.
pub(super) const NOT_SYNC: u32 = 0x1_0000;

/// One frame, or one packet of sound; times in the track's timescale.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sample {
    /// When it is decoded.
    pub(super) decoded_at: i64,
    /// When it is shown.
    pub(super) shown_at: i64,
    /// How long it lasts.
    pub(super) duration: i64,
    /// Decoding can begin here.
    pub(super) is_sync: bool,
}

/// What an init section says about its only track.
#[derive(Debug, Clone, Copy)]
pub(super) struct Init {
    /// Ticks in a second.
    pub(super) timescale: u32,
    duration: u32,
    flags: u32,
}

impl Init {
    pub(super) fn read(bytes: &[u8]) -> Self {
        let moov = only(bytes, b"moov");
        let trak = only(moov, b"trak");
        assert_eq!(all(trak, b"edts").count(), 0, "not all players apply edit lists");
        let mut mdhd = Fields(only(only(trak, b"mdia"), b"mdhd"));
        let (version, _) = mdhd.version_and_flags();
        mdhd.skip(if version == 1 { 16 } else { 8 });
        let mut trex = Fields(only(only(moov, b"mvex"), b"trex"));
        trex.skip(12);
        let (duration, _size, flags) = (trex.u32(), trex.u32(), trex.u32());
        Self {
            timescale: mdhd.u32(),
            duration,
            flags,
        }
    }

    /// The samples of a segment, in the order of decoding.
    pub(super) fn samples(&self, segment: &[u8]) -> Vec<Sample> {
        let mut samples = Vec::new();
        for moof in all(segment, b"moof") {
            let traf = only(moof, b"traf");
            let (duration, flags) = self.defaults(Fields(only(traf, b"tfhd")));
            let mut tfdt = Fields(only(traf, b"tfdt"));
            let mut decoded_at = match tfdt.version_and_flags() {
                (1, _) => tfdt.i64(),
                _ => tfdt.u32().into(),
            };
            for trun in all(traf, b"trun") {
                run(Fields(trun), &mut decoded_at, duration, flags, &mut samples);
            }
        }
        samples
    }

    /// The duration and the flags of samples that don't tell their own.
    fn defaults(&self, mut tfhd: Fields<'_>) -> (u32, u32) {
        let (_, there) = tfhd.version_and_flags();
        tfhd.skip(4);
        for (flag, bytes) in [(TFHD_BASE_OFFSET, 8), (TFHD_DESCRIPTION, 4)] {
            tfhd.skip(if there & flag != 0 { bytes } else { 0 });
        }
        let duration = tfhd.u32_if(there & TFHD_DURATION).unwrap_or(self.duration);
        tfhd.u32_if(there & TFHD_SIZE);
        (duration, tfhd.u32_if(there & TFHD_FLAGS).unwrap_or(self.flags))
    }
}

fn run(mut trun: Fields<'_>, decoded_at: &mut i64, duration: u32, flags: u32, samples: &mut Vec<Sample>) {
    let (version, there) = trun.version_and_flags();
    let count = trun.u32();
    trun.u32_if(there & TRUN_DATA_OFFSET);
    let mut first_flags = trun.u32_if(there & TRUN_FIRST_FLAGS);
    for _ in 0..count {
        let duration = trun.u32_if(there & TRUN_DURATION).unwrap_or(duration).into();
        trun.u32_if(there & TRUN_SIZE);
        let own = trun.u32_if(there & TRUN_FLAGS);
        let flags = first_flags.take().or(own).unwrap_or(flags);
        let later = trun.u32_if(there & TRUN_SHOWN).unwrap_or(0);
        // Version 1 has signed offsets.
        let later = if version == 1 {
            i64::from(later.cast_signed())
        } else {
            later.into()
        };
        samples.push(Sample {
            decoded_at: *decoded_at,
            shown_at: *decoded_at + later,
            duration,
            is_sync: flags & NOT_SYNC == 0,
        });
        *decoded_at += duration;
    }
}

/// The bodies of the boxes of a type, among those that lie side by side in `bytes`.
pub(super) fn all<'a>(mut bytes: &'a [u8], kind: &'a [u8; 4]) -> impl Iterator<Item = &'a [u8]> {
    std::iter::from_fn(move || {
        while !bytes.is_empty() {
            let size = usize::try_from(Fields(bytes).u32()).unwrap();
            let (this, rest) = bytes.split_at(size);
            bytes = rest;
            if &this[4..8] == kind {
                return Some(&this[8..]);
            }
        }
        None
    })
}

pub(super) fn only<'a>(bytes: &'a [u8], kind: &'a [u8; 4]) -> &'a [u8] {
    let found: Vec<&[u8]> = all(bytes, kind).collect();
    assert_eq!(found.len(), 1, "{}", kind.escape_ascii());
    found[0]
}

/// The types of the boxes that lie side by side in `bytes`.
pub(super) fn kinds(mut bytes: &[u8]) -> Vec<String> {
    let mut kinds = Vec::new();
    while !bytes.is_empty() {
        let size = usize::try_from(Fields(bytes).u32()).unwrap();
        kinds.push(String::from_utf8(bytes[4..8].to_vec()).unwrap());
        bytes = &bytes[size..];
    }
    kinds
}

/// The fields of a box that are not read yet.
#[derive(Clone, Copy)]
pub(super) struct Fields<'a>(pub(super) &'a [u8]);

impl Fields<'_> {
    fn take<const N: usize>(&mut self) -> [u8; N] {
        let (taken, rest) = self.0.split_first_chunk().unwrap();
        self.0 = rest;
        *taken
    }

    pub(super) fn skip(&mut self, bytes: usize) {
        self.0 = &self.0[bytes..];
    }

    pub(super) fn u32(&mut self) -> u32 {
        u32::from_be_bytes(self.take())
    }

    pub(super) fn i64(&mut self) -> i64 {
        i64::from_be_bytes(self.take())
    }

    fn u32_if(&mut self, there: u32) -> Option<u32> {
        (there != 0).then(|| self.u32())
    }

    pub(super) fn version_and_flags(&mut self) -> (u8, u32) {
        let word = self.u32();
        ((word >> 24) as u8, word & 0xFF_FFFF)
    }
}
