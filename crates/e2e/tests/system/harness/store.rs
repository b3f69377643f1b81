//! A look at what the store holds.

use std::{fs, path::PathBuf};

use super::System;

impl System {
    /// The files that hold an upload's bytes, the newest last. Which server began one is the end of its name.
    pub(crate) fn upload_files(&self, upload_id: &str) -> Vec<PathBuf> {
        let shard = self.store().join("uploads").join(&upload_id[upload_id.len() - 2..]);
        let epoch = |name: &str| -> Option<u64> {
            let rest = name.strip_prefix(upload_id)?;
            if rest.is_empty() {
                Some(0)
            } else {
                rest.strip_prefix('.')?.parse().ok()
            }
        };
        let entries = fs::read_dir(shard).into_iter().flatten().filter_map(Result::ok);
        let mut files: Vec<_> = entries
            .filter_map(|entry| Some((epoch(entry.file_name().to_str()?)?, entry.path())))
            .collect();
        files.sort();
        files.into_iter().map(|(_, path)| path).collect()
    }

    /// How long the newest of an upload's files is: durable or not, these bytes were written.
    pub(crate) fn written_bytes(&self, upload_id: &str) -> u64 {
        let files = self.upload_files(upload_id);
        files
            .last()
            .and_then(|path| path.metadata().ok())
            .map_or(0, |meta| meta.len())
    }

    /// The bytes of a complete upload.
    pub(crate) fn stored(&self, upload_id: &str) -> Vec<u8> {
        let files = self.upload_files(upload_id);
        fs::read(files.last().expect("the upload has a file")).expect("the bytes")
    }

    /// The directory of what a job makes.
    pub(crate) fn outputs(&self, job_id: &str) -> PathBuf {
        self.store().join("outputs").join(job_id)
    }

    /// The directories in which tasks work, of all servers.
    pub(crate) fn scratch_dirs(&self) -> Vec<PathBuf> {
        let dirs = self.servers().iter().map(|server| server.data().join("scratch"));
        let entries = dirs.filter_map(|dir| fs::read_dir(dir).ok()).flatten();
        entries.filter_map(Result::ok).map(|entry| entry.path()).collect()
    }
}
