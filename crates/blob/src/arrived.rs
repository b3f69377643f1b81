//! What is there of an upload that arrives: runs of its bytes in several files or objects, read as one.

use std::{
    fs::File,
    io,
    ops::Range,
    os::unix::fs::FileExt as _,
    path::{Path, PathBuf},
};

use sha2::{Digest as _, Sha256};

use crate::{
    BlobError, ObjectReader,
    arrived_object::ArrivedObject,
    error::Tried as _,
    fill::{Named, copy_range},
};

/// How much is in memory at once.
const BUFFER_BYTES: usize = 256 << 10;

/// Runs of an upload's bytes, each durable in a file or an object of its own. Opened files can be read to their end, also if they
/// are removed; objects are looked for as they are read.
#[derive(Debug)]
pub struct ArrivedBytes {
    runs: Vec<Run>,
}

#[derive(Debug)]
struct Run {
    bytes: Opened,
    /// Where the bytes of the upload begin and end that are read from here.
    from: u64,
    to: u64,
    /// Where the file or object itself begins in the upload.
    origin: u64,
}

#[derive(Debug)]
enum Opened {
    File { file: File, path: PathBuf },
    Object(ArrivedObject),
}

/// What holds bytes of an upload or of what was made of it.
#[derive(Debug, Clone)]
pub enum RunPlace {
    /// A file.
    File(PathBuf),
    /// An object in a bucket.
    Object(ObjectReader),
}

/// Names a run of an upload's bytes in a file or an object.
#[derive(Debug, Clone)]
pub struct ArrivedRun {
    /// What it is read from.
    pub place: RunPlace,
    /// The first byte of the upload that is read from it.
    pub from: u64,
    /// The byte after the last one.
    pub to: u64,
    /// Which byte of the upload is the first one there.
    pub origin: u64,
}

impl ArrivedBytes {
    /// Opens the files. Blocks, as all that is done with it does; with objects among them, only threads for blocking work of a
    /// runtime can use it.
    ///
    /// # Errors
    /// [`BlobError::NotFound`] if a file isn't there (any more).
    pub fn open(runs: Vec<ArrivedRun>) -> Result<Self, BlobError> {
        let open = |run: ArrivedRun| {
            Ok(Run {
                bytes: match run.place {
                    RunPlace::File(path) => Opened::File {
                        file: File::open(&path).tried("open", &path)?,
                        path,
                    },
                    RunPlace::Object(object) => Opened::Object(ArrivedObject::new(object)),
                },
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
    /// `UnexpectedEof` if some of them are not there, `NotFound` if an object isn't; those of reading.
    pub fn read_exact_at(&self, mut at: u64, mut buffer: &mut [u8]) -> io::Result<()> {
        while !buffer.is_empty() {
            let run = self.run_at(at).ok_or(io::ErrorKind::UnexpectedEof)?;
            let here = usize::try_from(run.to - at).unwrap_or(usize::MAX).min(buffer.len());
            let (now, later) = buffer.split_at_mut(here);
            run.read_exact_at(at, now)?;
            (at, buffer) = (at + here as u64, later);
        }
        Ok(())
    }

    /// Copies the bytes from `from` up to `to` to the same place in a file. Blocks.
    ///
    /// # Errors
    /// [`BlobError::Short`] if some of them are not there, [`BlobError::NotFound`] if an object isn't; those of reading and writing.
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
            let target = Named { file: target, path };
            match &run.bytes {
                Opened::File { file, path } if run.origin == 0 => copy_range(Named { file, path }, target, at, end)?,
                Opened::File { file, path } => run.shifted(Named { file, path }, &target, at, end)?,
                Opened::Object(object) => object.read(at - run.origin, end - run.origin, |from, bytes| {
                    crate::staged::write_all(target.file, target.path, from + run.origin, bytes)
                })?,
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
    fn read_exact_at(&self, at: u64, buffer: &mut [u8]) -> io::Result<()> {
        match &self.bytes {
            Opened::File { file, .. } => file.read_exact_at(buffer, at - self.origin),
            Opened::Object(object) => object.read_exact_at(at - self.origin, self.to - self.origin, buffer),
        }
    }

    /// Copies from a file that begins somewhere in the upload.
    fn shifted(&self, source: Named<'_>, target: &Named<'_>, from: u64, to: u64) -> Result<(), BlobError> {
        let (mut at, mut buffer) = (from, vec![0; BUFFER_BYTES]);
        while at < to {
            let here = usize::try_from(to - at).unwrap_or(usize::MAX).min(buffer.len());
            let bytes = &mut buffer[..here];
            source
                .file
                .read_exact_at(bytes, at - self.origin)
                .tried("read", source.path)?;
            crate::staged::write_all(target.file, target.path, at, bytes)?;
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
        let run = |path, from, to, origin| ArrivedRun {
            place: RunPlace::File(path),
            from,
            to,
            origin,
        };
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
