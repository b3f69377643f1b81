//! What the S3 server doesn't know of objects and multipart uploads.

use std::{
    collections::{BTreeMap, HashMap},
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use hyper::StatusCode;

use super::{call::MultipartName, refusal::Refusal};

/// One name is written once in this time (<https://cloud.google.com/storage/quotas#objects>).
const WRITTEN_ONCE_IN: Duration = Duration::from_secs(1);

/// The class of what was stored without one.
pub(super) const CLASS: &str = "STANDARD";

/// What is remembered, as long as the server runs.
#[derive(Debug, Default)]
pub(super) struct Memory {
    objects: HashMap<String, Written>,
    pub(super) multiparts: BTreeMap<MultipartName, Multipart>,
    newest: u64,
}

/// An object as it was last written.
#[derive(Debug, Clone)]
pub(super) struct Written {
    pub(super) generation: u64,
    pub(super) crc32c: Option<u32>,
    pub(super) class: String,
    /// When, if it was written here.
    at: Option<Instant>,
}

/// A multipart upload that has not ended.
#[derive(Debug, Clone)]
pub(super) struct Multipart {
    /// The S3 server's name for it.
    pub(super) behind: String,
    pub(super) class: String,
    pub(super) begun: SystemTime,
    pub(super) parts: BTreeMap<u32, Part>,
}

/// A part as it was last sent.
#[derive(Debug, Clone)]
pub(super) struct Part {
    pub(super) etag: String,
    pub(super) size_bytes: u64,
    pub(super) crc32c: u32,
    pub(super) sent: SystemTime,
}

impl Memory {
    /// Checks that the object may be written again already.
    pub(super) fn may_write(&self, key: &str) -> Result<(), Refusal> {
        let last = self.objects.get(key).and_then(|object| Some(object.at?.elapsed()));
        if last.is_none_or(|last| last >= WRITTEN_ONCE_IN) {
            return Ok(());
        }
        let message = format!("The object {key} exceeded the rate limit for object mutation operations.");
        Err(Refusal::new(StatusCode::TOO_MANY_REQUESTS, "SlowDown", message))
    }

    /// Takes note of an object that was written.
    pub(super) fn wrote(&mut self, key: &str, crc32c: Option<u32>, class: String) -> Written {
        let written = Written {
            generation: self.next_generation(),
            crc32c,
            class,
            at: Some(Instant::now()),
        };
        self.objects.insert(key.to_owned(), written.clone());
        written
    }

    /// What there is to know of an object that is there. Others may have written it.
    pub(super) fn of(&mut self, key: &str) -> Written {
        if let Some(known) = self.objects.get(key) {
            return known.clone();
        }
        let found = Written {
            generation: self.next_generation(),
            crc32c: None,
            class: CLASS.to_owned(),
            at: None,
        };
        self.objects.insert(key.to_owned(), found.clone());
        found
    }

    pub(super) fn removed(&mut self, key: &str) {
        self.objects.remove(key);
    }

    /// A multipart upload that has not ended.
    pub(super) fn multipart(&mut self, name: &MultipartName) -> Result<&mut Multipart, Refusal> {
        self.multiparts.get_mut(name).ok_or_else(Refusal::no_such_upload)
    }

    /// Generations are microseconds, and never the same.
    fn next_generation(&mut self) -> u64 {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let now = u64::try_from(now.as_micros()).unwrap_or(u64::MAX);
        self.newest = now.max(self.newest + 1);
        self.newest
    }
}
