//! What is there of an upload that arrives: runs of its bytes in several files, read as one.

use std::{
    fs::File,
    io,
    ops::Range,
    os::unix::fs::FileExt as _,
    path::{Path, PathBuf},
};

use sha2::{Digest as _, Sha256};

use crate::{
    BlobError,
    error::Tried as _,
    fill::{Named, copy_range},
};

/// How much is in memory at once.
const BUFFER_BYTES: usize = 256 << 10;

/// Runs of an upload's bytes, each durable in a file of its own. Opened files can be read to their end, also if they are removed.
#[derive(Debug)]
pub struct ArrivedBytes {
    runs: Vec<Run>,
}

#[derive(Debug)]
struct Run {
    file: File,
    path: PathBuf,
    /// Where the bytes of the upload begin and end that are read from here.
    from: u64,
    to: u64,
    /// Where the file itself begins in the upload.
    origin: u64,
}

/// Names a run of an upload's bytes in a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ArrivedRun {
    /// The file.
    pub path: PathBuf,
    /// The first byte of the upload that is read from it.
    pub from: u64,
    /// The byte after the last one.
    pub to: u64,
    /// Which byte of the upload is the file's first: 0 unless it holds a tail.
    pub origin: u64,
}

impl ArrivedBytes {
    /// Opens the files. Blocks.
    ///
    /// # Errors
    /// [`BlobError::NotFound`] if a file isn't there (any more).
    pub fn open(runs: Vec<ArrivedRun>) -> Result<Self, BlobError> {
        let open = |run: ArrivedRun| {
            Ok(Run {
                file: File::open(&run.path).tried("open", &run.path)?,
                path: run.path,
                from: run.from,
                to: run.to,
                origin: run.origin,
            })
        };
        let runs = runs.into_iter().filter(|run| run.from < run.to);
        Ok(Self {
            runs: runs.map(open).collect::<Result<_, _>>()?,
        })
    }

    /// Fills a buffer with the upload's bytes from an offset on. Blocks.
    ///
    /// # Errors
    /// `UnexpectedEof` if some of them are not there; those of reading.
    pub fn read_exact_at(&self, mut at: u64, mut buffer: &mut [u8]) -> io::Result<()> {
        while !buffer.is_empty() {
            let run = self.run_at(at).ok_or(io::ErrorKind::UnexpectedEof)?;
            let here = usize::try_from(run.to - at).unwrap_or(usize::MAX).min(buffer.len());
            let (now, later) = buffer.split_at_mut(here);
            run.file.read_exact_at(now, at - run.origin)?;
            (at, buffer) = (at + here as u64, later);
        }
        Ok(())
    }

    /// Copies the bytes from `from` up to `to` to the same place in a file. Blocks.
    ///
    /// # Errors
    /// [`BlobError::Short`] if some of them are not there; those of reading and writing.
    pub fn copy(&self, target: &File, path: &Path, from: u64, to: u64) -> Result<(), BlobError> {
        let mut at = from;
        while at < to {
            let short = || BlobError::Short {
                path: path.to_owned(),
                have: at,
                expected: to,
            };
            let run = self.run_at(at).ok_or_else(short)?;
            let end = to.min(run.to);
            if run.origin == 0 {
                let source = Named {
                    file: &run.file,
                    path: &run.path,
                };
                copy_range(source, Named { file: target, path }, at, end)?;
            } else {
                run.shifted(target, path, at, end)?;
            }
            at = end;
        }
        Ok(())
    }

    /// The SHA-256 of these bytes, one range after the other. Blocks.
    ///
    /// # Errors
    /// As [`Self::read_exact_at`].
    pub fn sha256(&self, ranges: &[Range<u64>]) -> io::Result<[u8; 32]> {
        let (mut hasher, mut buffer) = (Sha256::new(), vec![0; BUFFER_BYTES]);
        for range in ranges {
            let mut at = range.start;
            while at < range.end {
                let here = usize::try_from(range.end - at).unwrap_or(usize::MAX).min(buffer.len());
                self.read_exact_at(at, &mut buffer[..here])?;
                hasher.update(&buffer[..here]);
                at += here as u64;
            }
        }
        Ok(hasher.finalize().into())
    }

    fn run_at(&self, at: u64) -> Option<&Run> {
        self.runs.iter().find(|run| run.from <= at && at < run.to)
    }
}

impl Run {
    /// Copies from a file that begins somewhere in the upload.
    fn shifted(&self, target: &File, path: &Path, from: u64, to: u64) -> Result<(), BlobError> {
        let (mut at, mut buffer) = (from, vec![0; BUFFER_BYTES]);
        while at < to {
            let here = usize::try_from(to - at).unwrap_or(usize::MAX).min(buffer.len());
            let bytes = &mut buffer[..here];
            self.file
                .read_exact_at(bytes, at - self.origin)
                .tried("read", &self.path)?;
            crate::staged::write_all(target, path, at, bytes)?;
            at += here as u64;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn runs_are_read_as_one_and_nothing_else_is() {
        let dir = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| {
            fs::write(dir.path().join(name), text).unwrap();
            dir.path().join(name)
        };
        let run = |path, from, to, origin| ArrivedRun { path, from, to, origin };
        let arrived = ArrivedBytes::open(vec![
            run(write("first", "abcXX"), 0, 3, 0),
            run(write("second", "\0\0\0defXX"), 3, 6, 0),
            run(write("tail", "yz"), 24, 26, 24),
        ])
        .unwrap();
        let mut bytes = [0; 4];
        arrived.read_exact_at(1, &mut bytes).unwrap();
        assert_eq!(&bytes, b"bcde");
        let missing = arrived.read_exact_at(4, &mut bytes).unwrap_err();
        assert_eq!(
            missing.kind(),
            io::ErrorKind::UnexpectedEof,
            "the bytes behind are not known to be durable"
        );

        let view = dir.path().join("view");
        let file = File::create(&view).unwrap();
        file.set_len(26).unwrap();
        arrived.copy(&file, &view, 2, 6).unwrap();
        arrived.copy(&file, &view, 24, 26).unwrap();
        assert_eq!(fs::read(&view).unwrap(), [&b"\0\0cdef"[..], &[0; 18], b"yz"].concat());
        assert!(matches!(
            arrived.copy(&file, &view, 5, 8),
            Err(BlobError::Short { have: 6, .. })
        ));
    }
}
