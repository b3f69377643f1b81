//! Fragmented MP4 files of one rendition put behind one another.

use std::{
    fs::File,
    io::{self, Read, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
};

use reelway_domain::{Failure, Reason};

use crate::Error;

/// A box's size and kind (ISO/IEC 14496-12, 4.2); a size of 1 means that the size follows in 8 bytes.
const HEADER_BYTES: u64 = 8;
const LARGE_SIZE: u64 = 1;
/// What comes before the first fragment is at most this long, in bytes.
const INIT_BYTES_MAX: u64 = 1 << 20;

/// Writes the first part's init section and all parts' fragments into one file, and removes the parts. Parts without a
/// fragment, of which nothing could be decoded, add nothing.
pub(super) async fn fragments(parts: Vec<PathBuf>, whole: PathBuf) -> Result<(), Error> {
    let joined = tokio::task::spawn_blocking(move || join(&parts, &whole)).await;
    let failed = |error: io::Error| match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            Failure::new(Reason::StorageFull, "the worker's scratch directory is full")
        }
        _ => Failure::new(Reason::EncoderFailed, format!("segments can't be joined: {error}")),
    };
    match joined {
        Ok(result) => Ok(result.map_err(failed)?),
        Err(error) => Err(Error::new(Reason::Internal, error.to_string())),
    }
}

fn join(parts: &[PathBuf], whole: &Path) -> io::Result<()> {
    let mut out = File::create(whole)?;
    let (mut common, mut last) = (None, Vec::new());
    for part in parts {
        let mut file = File::open(part)?;
        let (init, has_fragments) = init(&mut file)?;
        if has_fragments {
            match &common {
                None => out.write_all(&init)?,
                Some(common) if *common != init => {
                    return Err(io::Error::other("the init sections of two segments differ"));
                }
                Some(_) => {}
            }
            io::copy(&mut file, &mut out)?;
            common = Some(init);
        } else {
            last = init;
        }
        std::fs::remove_file(part)?;
    }
    if common.is_none() {
        out.write_all(&last)?;
    }
    Ok(())
}

/// Everything before the first fragment, and whether there is one; the file then stands there.
fn init(file: &mut File) -> io::Result<(Vec<u8>, bool)> {
    let length = file.metadata()?.len();
    let mut end = 0;
    while end + HEADER_BYTES <= length {
        file.seek(SeekFrom::Start(end))?;
        let mut header = [0; 16];
        file.read_exact(&mut header[..8])?;
        if &header[4..8] == b"moof" {
            break;
        }
        let mut size = u64::from(u32::from_be_bytes([header[0], header[1], header[2], header[3]]));
        if size == LARGE_SIZE {
            file.read_exact(&mut header[8..])?;
            let [.., a, b, c, d, e, f, g, h] = header;
            size = u64::from_be_bytes([a, b, c, d, e, f, g, h]);
        }
        end = end.saturating_add(size.max(HEADER_BYTES));
        if end > INIT_BYTES_MAX {
            return Err(io::Error::other("a segment's init section is too long"));
        }
    }
    let mut bytes = Vec::new();
    file.seek(SeekFrom::Start(0))?;
    Read::by_ref(file).take(end).read_to_end(&mut bytes)?;
    Ok((bytes, end + HEADER_BYTES <= length))
}
