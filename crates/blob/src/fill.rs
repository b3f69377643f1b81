//! Copying a run of bytes from one file to the same place in another.

use std::{fs::File, io, os::unix::fs::FileExt as _, path::Path};

use nix::{errno::Errno, fcntl::copy_file_range};

use crate::{BlobError, error::Tried as _, staged::write_all};

/// How much is in memory at once where the kernel can't copy by itself.
const BUFFER_BYTES: usize = 256 << 10;

/// A file with its path, for messages.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Named<'a> {
    pub(crate) file: &'a File,
    pub(crate) path: &'a Path,
}

/// Copies the bytes from `from` up to `to`. Doing it again changes nothing.
///
/// # Errors
/// [`BlobError::Short`] if the source ends before.
pub(crate) fn copy_range(source: Named<'_>, target: Named<'_>, from: u64, to: u64) -> Result<(), BlobError> {
    let mut at = from;
    while at < to {
        match copy_in_kernel(source.file, target.file, at, to) {
            Err(Errno::EINTR) => {}
            Ok(copied) if copied > 0 => at += copied,
            // The file system can't do it, or says so by doing nothing. What is really wrong shows up again here.
            _ => return copy_by_hand(source, target, at, to),
        }
    }
    Ok(())
}

/// Lets the file system share or copy the bytes. Gives how many it did.
fn copy_in_kernel(source: &File, target: &File, at: u64, to: u64) -> nix::Result<u64> {
    let (mut read_at, mut write_at) = (offset(at)?, offset(at)?);
    let want = usize::try_from(to - at).unwrap_or(usize::MAX);
    let copied = copy_file_range(source, Some(&mut read_at), target, Some(&mut write_at), want)?;
    Ok(copied as u64)
}

fn offset(at: u64) -> nix::Result<i64> {
    i64::try_from(at).map_err(|_| Errno::EOVERFLOW)
}

fn copy_by_hand(source: Named<'_>, target: Named<'_>, from: u64, to: u64) -> Result<(), BlobError> {
    let (mut at, mut buffer) = (from, vec![0; BUFFER_BYTES]);
    while at < to {
        let want = usize::try_from(to - at).unwrap_or(usize::MAX).min(BUFFER_BYTES);
        match source.file.read_at(&mut buffer[..want], at) {
            Ok(0) => {
                return Err(BlobError::Short {
                    path: source.path.to_owned(),
                    have: at,
                    expected: to,
                });
            }
            Ok(got) => {
                write_all(target.file, target.path, at, &buffer[..got])?;
                at += got as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error).tried("read", source.path),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    type Copy = fn(Named<'_>, Named<'_>, u64, u64) -> Result<(), BlobError>;

    #[test]
    fn a_run_is_copied_to_the_same_place() {
        let dir = tempfile::tempdir().unwrap();
        let (from, to) = (300_000, 900_001);
        let bytes: Vec<u8> = (0..1_000_000_u32).map(|i| i.to_le_bytes()[i as usize % 3]).collect();
        let paths = [dir.path().join("source"), dir.path().join("target")];
        for copy in [copy_range as Copy, copy_by_hand as Copy] {
            fs::write(&paths[0], &bytes).unwrap();
            fs::write(&paths[1], vec![7; bytes.len()]).unwrap();
            let source = File::open(&paths[0]).unwrap();
            let target = File::options().write(true).open(&paths[1]).unwrap();
            let [source, target] =
                [(&source, &paths[0]), (&target, &paths[1])].map(|(file, path)| Named { file, path });
            for _ in 0..2 {
                copy(source, target, from, to).unwrap();
                let copied = fs::read(&paths[1]).unwrap();
                let run = usize::try_from(from).unwrap()..usize::try_from(to).unwrap();
                assert!(copied[run.clone()] == bytes[run.clone()]);
                assert!(
                    copied[..run.start]
                        .iter()
                        .chain(&copied[run.end..])
                        .all(|byte| *byte == 7)
                );
            }
            let short = copy(source, target, from, 1_000_001).unwrap_err();
            assert!(matches!(short, BlobError::Short { have: 1_000_000, .. }), "{short}");
        }
    }
}
