//! Movie fragments: the table of the samples that follow (ISO/IEC 14496-12, 8.8).

use super::{
    Fmp4Error, FourCc,
    boxes::Fields,
    init::{Defaults, Init},
};

/// The most samples in one fragment that are believed; a fragment lasts seconds, not hours.
const FRAGMENT_SAMPLES_MAX: u64 = 1 << 16;

/// A coded frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Sample {
    /// When it is decoded, in ticks of the track.
    pub(crate) decode_time: i64,
    /// How long after that it is shown, in ticks of the track.
    pub(crate) composition_offset: i32,
    /// How long it lasts, in ticks of the track.
    pub(crate) duration: u32,
    /// The sample flags of ISO/IEC 14496-12, 8.8.3.1.
    pub(crate) flags: u32,
    /// How many bytes; never 0.
    pub(crate) size: u32,
    /// Where in the file its bytes are.
    pub(crate) position: u64,
}

impl Sample {
    /// Whether decoding can begin here.
    pub(super) fn is_sync(&self) -> bool {
        self.flags & NON_SYNC == 0
    }

    /// When it is shown, in ticks of the track.
    pub(super) fn shown(&self) -> Result<i64, Fmp4Error> {
        self.decode_time
            .checked_add(self.composition_offset.into())
            .ok_or(TIME_TOO_LARGE)
    }
}

const NON_SYNC: u32 = 0x0001_0000;
const TIME_TOO_LARGE: Fmp4Error = Fmp4Error::Order("a time is too large");

/// Reads the samples of a `moof` box that begins at `moof_at` in the file.
///
/// # Errors
/// For everything that the format forbids, and for what the encoder is not asked for: several tracks.
pub(super) fn samples(moof: &[u8], moof_at: u64, init: &Init) -> Result<Vec<Sample>, Fmp4Error> {
    let mut track = Fields::new(FourCc(*b"moof"), moof).need_one(b"traf", "several tracks in a fragment")?;
    let header = TrackHeader::parse(track.need(b"tfhd")?, moof_at, init)?;
    let mut next = Next {
        decode_time: base_time(track.need(b"tfdt")?)?,
        position: header.base,
    };
    let mut found = Vec::new();
    while let Some(run) = track.next_box()? {
        if run.kind().0 == *b"trun" {
            read_run(run, &header, &mut next, &mut found)?;
        }
    }
    Ok(found)
}

/// Where the next sample's bytes are, and when it is decoded.
struct Next {
    decode_time: i64,
    position: u64,
}

/// A `tfhd` box: what its runs leave out.
struct TrackHeader {
    /// What the runs' data offsets count from.
    base: u64,
    defaults: Defaults,
}

impl TrackHeader {
    const BASE_DATA_OFFSET: u32 = 0x1;
    const SAMPLE_DESCRIPTION: u32 = 0x2;
    const DEFAULT_DURATION: u32 = 0x8;
    const DEFAULT_SIZE: u32 = 0x10;
    const DEFAULT_FLAGS: u32 = 0x20;

    fn parse(mut tfhd: Fields<'_>, moof_at: u64, init: &Init) -> Result<Self, Fmp4Error> {
        let (_, flags) = tfhd.version_and_flags()?;
        if tfhd.u32()? != init.track_id {
            return Err(Fmp4Error::Malformed {
                inside: tfhd.kind(),
                what: "it is about another track",
            });
        }
        // Without an explicit base the first track's data counts from the fragment, flagged so or not.
        let base = if flags & Self::BASE_DATA_OFFSET != 0 {
            tfhd.u64()?
        } else {
            moof_at
        };
        tfhd.u32_if(flags & Self::SAMPLE_DESCRIPTION != 0, 1)?;
        let defaults = Defaults {
            duration: tfhd.u32_if(flags & Self::DEFAULT_DURATION != 0, init.defaults.duration)?,
            size: tfhd.u32_if(flags & Self::DEFAULT_SIZE != 0, init.defaults.size)?,
            flags: tfhd.u32_if(flags & Self::DEFAULT_FLAGS != 0, init.defaults.flags)?,
        };
        Ok(Self { base, defaults })
    }
}

fn base_time(mut tfdt: Fields<'_>) -> Result<i64, Fmp4Error> {
    let (version, _) = tfdt.version_and_flags()?;
    let time = if version == 0 { tfdt.u32()?.into() } else { tfdt.u64()? };
    i64::try_from(time).map_err(|_| TIME_TOO_LARGE)
}

const RUN_DATA_OFFSET: u32 = 0x1;
const RUN_FIRST_FLAGS: u32 = 0x4;
const RUN_DURATION: u32 = 0x100;
const RUN_SIZE: u32 = 0x200;
const RUN_FLAGS: u32 = 0x400;
const RUN_COMPOSITION: u32 = 0x800;

fn read_run(
    mut run: Fields<'_>,
    header: &TrackHeader,
    next: &mut Next,
    found: &mut Vec<Sample>,
) -> Result<(), Fmp4Error> {
    let (version, flags) = run.version_and_flags()?;
    let has = |field: u32| flags & field != 0;
    let count = run.u32()?;
    let total = found.len() as u64 + u64::from(count);
    if total > FRAGMENT_SAMPLES_MAX {
        // A run without fields of its own takes no bytes, so the box's size says nothing about this number.
        return Err(Fmp4Error::TooMuch {
            what: "samples in a fragment",
            value: total,
            max: FRAGMENT_SAMPLES_MAX,
        });
    }
    let wrong = |what| Fmp4Error::Malformed {
        inside: FourCc(*b"trun"),
        what,
    };
    if has(RUN_DATA_OFFSET) {
        let from_base = i64::from(run.i32()?);
        next.position = header
            .base
            .checked_add_signed(from_base)
            .ok_or_else(|| wrong("the data are nowhere"))?;
    }
    let first_flags = if has(RUN_FIRST_FLAGS) { Some(run.u32()?) } else { None };
    for i in 0..count {
        let duration = run.u32_if(has(RUN_DURATION), header.defaults.duration)?;
        let size = run.u32_if(has(RUN_SIZE), header.defaults.size)?;
        let own_flags = run.u32_if(has(RUN_FLAGS), header.defaults.flags)?;
        let composition_offset = match (has(RUN_COMPOSITION), version) {
            (false, _) => 0,
            (true, 0) => i32::try_from(run.u32()?).map_err(|_| wrong("a composition offset is too large"))?,
            (true, _) => run.i32()?,
        };
        if size == 0 {
            return Err(wrong("a sample has no bytes"));
        }
        found.push(Sample {
            decode_time: next.decode_time,
            composition_offset,
            duration,
            flags: first_flags.filter(|_| i == 0).unwrap_or(own_flags),
            size,
            position: next.position,
        });
        next.decode_time = next.decode_time.checked_add(duration.into()).ok_or(TIME_TOO_LARGE)?;
        next.position = next
            .position
            .checked_add(size.into())
            .ok_or_else(|| wrong("the data are nowhere"))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fmp4::{boxes::put_box, codec::SampleEntry};

    fn init() -> Init {
        Init {
            bytes: Vec::new(),
            track_id: 1,
            timescale: 90_000,
            entry: SampleEntry {
                codec: String::new(),
                picture: None,
            },
            defaults: Defaults {
                duration: 10,
                size: 20,
                flags: 30,
            },
        }
    }

    /// The body of a `moof` box with these words in its `tfhd` and each of its `trun` boxes, and decode time 500.
    fn moof(tfhd: &[u32], runs: &[&[u32]]) -> Vec<u8> {
        let put_words = |out: &mut Vec<u8>, kind: &[u8; 4], words: &[u32]| {
            put_box(out, kind, |out| {
                out.extend(words.iter().flat_map(|word| word.to_be_bytes()));
                Ok(())
            })
        };
        let mut out = Vec::new();
        put_box(&mut out, b"traf", |out| {
            put_words(out, b"tfhd", tfhd)?;
            put_words(out, b"tfdt", &[0, 500])?;
            runs.iter().try_for_each(|run| put_words(out, b"trun", run))
        })
        .unwrap();
        out
    }

    fn facts(found: &[Sample]) -> Vec<(i64, i32, u32, u32, u64)> {
        found
            .iter()
            .map(|s| (s.decode_time, s.composition_offset, s.duration, s.flags, s.position))
            .collect()
    }

    #[test]
    fn what_a_run_leaves_out_comes_from_its_track_then_from_the_init_section() {
        let run: &[u32] = &[RUN_DATA_OFFSET, 2, 100];
        let found = samples(&moof(&[0x2_0000, 1], &[run, &[0, 1]]), 1000, &init()).unwrap();
        assert_eq!(
            facts(&found),
            [(500, 0, 10, 30, 1100), (510, 0, 10, 30, 1120), (520, 0, 10, 30, 1140)]
        );

        let tfhd = [TrackHeader::DEFAULT_DURATION | TrackHeader::DEFAULT_FLAGS, 1, 7, 8];
        let found = samples(&moof(&tfhd, &[&[RUN_FIRST_FLAGS, 2, 9]]), 1000, &init()).unwrap();
        assert_eq!(facts(&found), [(500, 0, 7, 9, 1000), (507, 0, 7, 8, 1020)]);

        let based = [
            TrackHeader::BASE_DATA_OFFSET | TrackHeader::SAMPLE_DESCRIPTION,
            1,
            0,
            4000,
            1,
        ];
        let minus_five = 5_i32.wrapping_neg().cast_unsigned();
        let run = [
            1 << 24 | RUN_DATA_OFFSET | RUN_DURATION | RUN_COMPOSITION,
            1,
            minus_five,
            3,
            minus_five,
        ];
        assert_eq!(
            facts(&samples(&moof(&based, &[&run]), 1000, &init()).unwrap()),
            [(500, -5, 3, 30, 3995)]
        );
    }

    #[test]
    fn numbers_out_of_range_are_errors() {
        let failed = |runs: &[&[u32]]| samples(&moof(&[0, 1], runs), 1000, &init()).unwrap_err();
        let before_the_file = 1001_i32.wrapping_neg().cast_unsigned();
        assert!(matches!(
            failed(&[&[RUN_DATA_OFFSET, 1, before_the_file]]),
            Fmp4Error::Malformed { .. }
        ));
        assert!(matches!(failed(&[&[RUN_SIZE, 1, 0]]), Fmp4Error::Malformed { .. }));
        assert!(matches!(
            failed(&[&[RUN_COMPOSITION, 1, u32::MAX]]),
            Fmp4Error::Malformed { .. }
        ));
        assert!(matches!(failed(&[&[RUN_SIZE, 2, 1]]), Fmp4Error::CutOff(_)));
        assert!(matches!(
            failed(&[&[0, 40_000], &[0, 40_000]]),
            Fmp4Error::TooMuch { value: 80_000, .. }
        ));
    }
}
