//! Where the index of an MP4 or MOV file stands (ISO/IEC 14496-12, 4.2 and 8.2.1). Only the headers of its outermost boxes are read.

use std::io::{self, SeekFrom};

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncSeek, AsyncSeekExt as _};

/// The most headers that are looked at: files have a handful, and fragmented ones have their index in front.
const BOXES_MAX: usize = 64;
/// What such a file may begin with; `wide`, `pnot` and a bare `mdat` are older than `ftyp`.
const FIRST: [&[u8; 4]; 8] = [b"ftyp", b"mdat", b"moov", b"wide", b"free", b"skip", b"pnot", b"uuid"];
/// The length of a box's header, in bytes.
const HEADER_BYTES: u64 = 8;
/// The same with a length of 64 bits.
const LONG_HEADER_BYTES: u64 = 16;

/// Where the index begins, if it comes after the media. `None` for all other files, also for those that are broken.
///
/// # Errors
/// If the file can't be read.
pub(crate) async fn index_at_end<R>(file: &mut R, size_bytes: u64) -> io::Result<Option<u64>>
where
    R: AsyncRead + AsyncSeek + Unpin,
{
    let (mut at, mut has_media) = (0, false);
    for _ in 0..BOXES_MAX {
        let Some((kind, length)) = header(file, at, size_bytes).await? else {
            return Ok(None);
        };
        if at == 0 && !FIRST.contains(&&kind) {
            return Ok(None);
        }
        match &kind {
            b"moov" => return Ok(has_media.then_some(at)),
            // Its index is spread over the file.
            b"moof" => return Ok(None),
            b"mdat" => has_media = true,
            _ => {}
        }
        at += length;
    }
    Ok(None)
}

/// The kind and the length in bytes of the box at `at`; `None` if there is none that fits into the file.
async fn header<R>(file: &mut R, at: u64, size_bytes: u64) -> io::Result<Option<([u8; 4], u64)>>
where
    R: AsyncRead + AsyncSeek + Unpin,
{
    let left = size_bytes.saturating_sub(at);
    if left < HEADER_BYTES {
        return Ok(None);
    }
    file.seek(SeekFrom::Start(at)).await?;
    let short = u64::from(file.read_u32().await?);
    let mut kind = [0; 4];
    file.read_exact(&mut kind).await?;
    let (length, length_min) = match short {
        // To the end of the file.
        0 => (left, HEADER_BYTES),
        1 if left >= LONG_HEADER_BYTES => (file.read_u64().await?, LONG_HEADER_BYTES),
        1 => return Ok(None),
        length => (length, HEADER_BYTES),
    };
    Ok((length_min..=left).contains(&length).then_some((kind, length)))
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;

    fn short(kind: &[u8; 4], bytes: usize) -> Vec<u8> {
        let length = u32::try_from(bytes + 8).unwrap();
        [&length.to_be_bytes()[..], kind, &vec![7; bytes]].concat()
    }

    fn long(kind: &[u8; 4], bytes: usize) -> Vec<u8> {
        let length = u64::try_from(bytes + 16).unwrap();
        [&1_u32.to_be_bytes()[..], kind, &length.to_be_bytes(), &vec![7; bytes]].concat()
    }

    async fn found(parts: &[Vec<u8>]) -> Option<u64> {
        let file = parts.concat();
        let size_bytes = file.len() as u64;
        index_at_end(&mut Cursor::new(file), size_bytes).await.unwrap()
    }

    #[tokio::test]
    async fn only_an_index_behind_the_media_is_found() {
        let (ftyp, moov) = (short(b"ftyp", 16), short(b"moov", 100));
        assert_eq!(
            found(&[ftyp.clone(), long(b"mdat", 50), moov.clone()]).await,
            Some(24 + 66)
        );
        let free = short(b"free", 0);
        assert_eq!(
            found(&[ftyp.clone(), free.clone(), short(b"mdat", 5), moov.clone(), free]).await,
            Some(24 + 8 + 13)
        );
        assert_eq!(
            found(&[short(b"wide", 0), short(b"mdat", 5), moov.clone()]).await,
            Some(21)
        );
        assert_eq!(found(&[ftyp.clone(), moov.clone(), short(b"mdat", 5)]).await, None);
        assert_eq!(
            found(&[ftyp.clone(), short(b"moof", 5), short(b"mdat", 5), moov.clone()]).await,
            None
        );
        assert_eq!(found(&[ftyp, short(b"mdat", 5)]).await, None);
    }

    #[tokio::test]
    async fn no_file_is_too_odd() {
        let moov = short(b"moov", 9);
        let mut endless = short(b"mdat", 9);
        endless[..4].fill(0);
        for parts in [
            vec![],
            vec![b"moov".to_vec()],
            vec![b"not a film at all".to_vec()],
            vec![short(b"mdat", 9), vec![0, 0, 0, 1], b"moov".to_vec()],
            vec![short(b"mdat", 9), vec![0, 0, 0, 4], b"moov".to_vec()],
            vec![short(b"mdat", 9), moov[..12].to_vec()],
            vec![endless, moov.clone()],
            [vec![short(b"mdat", 0)], vec![short(b"free", 0); BOXES_MAX], vec![moov]].concat(),
        ] {
            assert_eq!(found(&parts).await, None, "{parts:?}");
        }
    }
}
