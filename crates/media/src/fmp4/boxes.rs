//! Boxes and their fields, read from and written to memory.

use std::fmt;

use super::Fmp4Error;

/// The type of a box: four characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FourCc(pub [u8; 4]);

impl fmt::Display for FourCc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.escape_ascii().fmt(f)
    }
}

/// The bytes of a box's size and type.
pub(super) const HEADER_BYTES: usize = 8;

/// The fields of a box, from its beginning on. Reading past the end is [`Fmp4Error::CutOff`].
#[derive(Debug, Clone, Copy)]
pub(super) struct Fields<'a> {
    kind: FourCc,
    rest: &'a [u8],
}

impl<'a> Fields<'a> {
    /// The fields of a box of this type, without its header.
    pub(super) fn new(kind: FourCc, body: &'a [u8]) -> Self {
        Self { kind, rest: body }
    }

    /// The type of the box.
    pub(super) fn kind(&self) -> FourCc {
        self.kind
    }

    /// The next `count` bytes.
    pub(super) fn bytes(&mut self, count: usize) -> Result<&'a [u8], Fmp4Error> {
        let (taken, rest) = self.rest.split_at_checked(count).ok_or(Fmp4Error::CutOff(self.kind))?;
        self.rest = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Fmp4Error> {
        let (taken, rest) = self.rest.split_first_chunk().ok_or(Fmp4Error::CutOff(self.kind))?;
        self.rest = rest;
        Ok(*taken)
    }

    /// The next byte.
    pub(super) fn u8(&mut self) -> Result<u8, Fmp4Error> {
        self.array().map(u8::from_be_bytes)
    }

    /// The next two bytes as a number.
    pub(super) fn u16(&mut self) -> Result<u16, Fmp4Error> {
        self.array().map(u16::from_be_bytes)
    }

    /// The next four bytes as a number.
    pub(super) fn u32(&mut self) -> Result<u32, Fmp4Error> {
        self.array().map(u32::from_be_bytes)
    }

    /// The next four bytes as a signed number.
    pub(super) fn i32(&mut self) -> Result<i32, Fmp4Error> {
        self.array().map(i32::from_be_bytes)
    }

    /// The next eight bytes as a number.
    pub(super) fn u64(&mut self) -> Result<u64, Fmp4Error> {
        self.array().map(u64::from_be_bytes)
    }

    /// The next four bytes as a number if `there`, otherwise `default`: how optional fields are stored.
    pub(super) fn u32_if(&mut self, there: bool, default: u32) -> Result<u32, Fmp4Error> {
        if there { self.u32() } else { Ok(default) }
    }

    /// The version and the flags that begin a full box.
    pub(super) fn version_and_flags(&mut self) -> Result<(u8, u32), Fmp4Error> {
        let word = self.u32()?;
        let [version, ..] = word.to_be_bytes();
        Ok((version, word & 0x00ff_ffff))
    }

    /// The next box in here; `None` at the end.
    pub(super) fn next_box(&mut self) -> Result<Option<Fields<'a>>, Fmp4Error> {
        if self.rest.is_empty() {
            return Ok(None);
        }
        let size = self.u32()?;
        let kind = FourCc(self.array()?);
        // Only a media data box has a reason to be larger than 4 GiB or to reach to the end of the file.
        let body = (size as usize)
            .checked_sub(HEADER_BYTES)
            .ok_or(Fmp4Error::CutOff(kind))?;
        Ok(Some(Fields::new(
            kind,
            self.bytes(body).map_err(|_| Fmp4Error::CutOff(kind))?,
        )))
    }

    /// The first box of this type from here on; the place in this box stays.
    pub(super) fn find(self, kind: &[u8; 4]) -> Result<Option<Fields<'a>>, Fmp4Error> {
        let mut rest = self;
        while let Some(found) = rest.next_box()? {
            if found.kind.0 == *kind {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }

    /// The first box of this type, which must be there.
    pub(super) fn need(self, kind: &[u8; 4]) -> Result<Fields<'a>, Fmp4Error> {
        self.find(kind)?.ok_or(Fmp4Error::Missing(FourCc(*kind)))
    }

    /// The only box of this type.
    pub(super) fn need_one(self, kind: &[u8; 4], otherwise: &'static str) -> Result<Fields<'a>, Fmp4Error> {
        let mut rest = self;
        let mut only = None;
        while let Some(found) = rest.next_box()? {
            if found.kind.0 == *kind && only.replace(found).is_some() {
                return Err(Fmp4Error::Unsupported(otherwise));
            }
        }
        only.ok_or(Fmp4Error::Missing(FourCc(*kind)))
    }
}

/// Appends a box: its header, and what `body` appends.
///
/// # Errors
/// [`Fmp4Error::TooMuch`] if it would be larger than 4 GiB.
pub(super) fn put_box(
    out: &mut Vec<u8>,
    kind: &[u8; 4],
    body: impl FnOnce(&mut Vec<u8>) -> Result<(), Fmp4Error>,
) -> Result<(), Fmp4Error> {
    let start = out.len();
    out.extend_from_slice(&[0; 4]);
    out.extend_from_slice(kind);
    body(out)?;
    let size = box_size((out.len() - start) as u64)?;
    out[start..start + 4].copy_from_slice(&size.to_be_bytes());
    Ok(())
}

/// A size as the four bytes of a box header hold it.
pub(super) fn box_size(bytes: u64) -> Result<u32, Fmp4Error> {
    let max = u64::from(u32::MAX);
    u32::try_from(bytes).map_err(|_| Fmp4Error::TooMuch {
        what: "bytes in a box",
        value: bytes,
        max,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn boxes_round_trip() {
        let mut bytes = Vec::new();
        put_box(&mut bytes, b"moof", |out| {
            put_box(out, b"mfhd", |out| {
                out.extend_from_slice(&[0, 0, 0, 7]);
                Ok(())
            })
        })
        .unwrap();
        let mut moof = Fields::new(FourCc(*b"file"), &bytes).need(b"moof").unwrap();
        let mut mfhd = moof.next_box().unwrap().unwrap();
        assert_eq!((mfhd.kind(), mfhd.u32().unwrap()), (FourCc(*b"mfhd"), 7));
        assert!(matches!(mfhd.u8(), Err(Fmp4Error::CutOff(FourCc(kind))) if kind == *b"mfhd"));
        assert!(moof.next_box().unwrap().is_none());
    }

    #[test]
    fn sizes_that_lie_are_errors() {
        for size in [0_u32, 1, 7, 13, u32::MAX] {
            let mut bytes = size.to_be_bytes().to_vec();
            bytes.extend_from_slice(b"trun\0\0\0\0");
            let result = Fields::new(FourCc(*b"traf"), &bytes).find(b"none");
            assert!(
                matches!(result, Err(Fmp4Error::CutOff(FourCc(kind))) if kind == *b"trun"),
                "{size}: {result:?}"
            );
        }
    }
}
