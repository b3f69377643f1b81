//! What a bucket holds that the catalog doesn't need.

use std::{
    collections::HashMap,
    pin::Pin,
    time::{Duration, SystemTime},
};

use reelway_blob::{BlobError, BucketStore, Held, Owner, What};
use reelway_catalog::{Catalog, Keeper, Kept};
use reelway_domain::{Failure, JobId, UploadId};
use tokio_stream::{Stream, StreamExt as _};

/// Whoever still writes does it in this time: what lies so long beside an upload that arrives, or a job that is known, and is not in
/// the catalog, will never be.
const WRITER_AGE_MAX: Duration = Duration::from_secs(24 * 3600);
/// Uploads whose rows are remembered while the bucket is looked through. Keys come sorted, so even one would do.
const REMEMBERED_MAX: usize = 1000;

/// What is left over, and why it may be removed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leftover {
    /// What it is.
    pub held: Held,
    /// Whether it lies where only Reelway writes. What others have put into the bucket is theirs.
    pub is_ours: bool,
}

/// Looks through a bucket for what the catalog doesn't need.
pub struct Leftovers<'a> {
    catalog: &'a Catalog,
    held: Pin<Box<dyn Stream<Item = Result<Held, BlobError>> + Send + 'a>>,
    keeper: Keeper,
    age_min: Duration,
    now: SystemTime,
    known: Known,
}

impl<'a> Leftovers<'a> {
    /// Begins to look for what has been there for `age_min`; `keeper` says what the bucket has of uploads.
    #[must_use]
    pub fn of(
        catalog: &'a Catalog,
        bucket: &'a BucketStore,
        keeper: Keeper,
        age_min: Duration,
        now: SystemTime,
    ) -> Self {
        Self {
            catalog,
            held: Box::pin(bucket.held()),
            keeper,
            age_min,
            now,
            known: Known::default(),
        }
    }

    /// The next one; `None`: that was all.
    ///
    /// # Errors
    /// Those of the bucket and of the catalog.
    pub async fn next(&mut self) -> Result<Option<Leftover>, Failure> {
        while let Some(held) = self.held.next().await {
            let held = held?;
            // A time in the future is no age.
            let age = self.now.duration_since(held.since).unwrap_or_default();
            if age >= self.age_min && !self.is_needed(&held, age).await? {
                let is_ours = held.owner != Owner::Nobody;
                return Ok(Some(Leftover { held, is_ours }));
            }
        }
        Ok(None)
    }

    async fn is_needed(&mut self, held: &Held, age: Duration) -> Result<bool, Failure> {
        Ok(match held.owner {
            Owner::Store => true,
            Owner::Check | Owner::Nobody => false,
            Owner::Upload(id) => needs(self.known.upload(self.catalog, id, self.keeper).await?, held, age),
            // What an encoder sends in parts is small: one that has not ended by now was left by a process that ended.
            Owner::Job(id) => {
                let is_fine = matches!(held.what, What::Object(_)) || age < WRITER_AGE_MAX;
                self.known.job(self.catalog, id).await? && is_fine
            }
        })
    }
}

/// Whether an upload of which the bucket is to keep this needs what the bucket holds.
fn needs(kept: &Kept, held: &Held, age: Duration) -> bool {
    match (kept, &held.what) {
        (Kept::Everything, _) => true,
        (Kept::Nothing, _) => false,
        (Kept::Source(key), What::Object(_)) => *key == held.key,
        (Kept::Source(_), What::Multipart(_)) => false,
        (Kept::Arriving { .. }, _) if age < WRITER_AGE_MAX => true,
        (Kept::Arriving { multipart, .. }, What::Multipart(id)) => multipart.as_ref() == Some(id),
        (Kept::Arriving { source, rests, .. }, What::Object(_)) => {
            let name = held.key.rsplit('/').next().unwrap_or_default();
            // Copies of parts and tails go with the upload.
            let is_named = name.starts_with("rest-") || name.starts_with("source-");
            !is_named || rests.contains(&held.key) || source.as_ref() == Some(&held.key)
        }
    }
}

/// What the catalog said of uploads and jobs.
#[derive(Debug, Default)]
struct Known {
    uploads: HashMap<UploadId, Kept>,
    jobs: HashMap<JobId, bool>,
}

impl Known {
    async fn upload(&mut self, catalog: &Catalog, id: UploadId, keeper: Keeper) -> Result<&Kept, Failure> {
        if self.uploads.len() >= REMEMBERED_MAX {
            self.uploads.clear();
        }
        let kept = match self.uploads.remove(&id) {
            Some(kept) => kept,
            None => catalog.kept(id, keeper).await?,
        };
        Ok(self.uploads.entry(id).or_insert(kept))
    }

    async fn job(&mut self, catalog: &Catalog, id: JobId) -> Result<bool, Failure> {
        if self.jobs.len() >= REMEMBERED_MAX {
            self.jobs.clear();
        }
        if let Some(is_known) = self.jobs.get(&id) {
            return Ok(*is_known);
        }
        let is_known = catalog.knows_job(id).await?;
        self.jobs.insert(id, is_known);
        Ok(is_known)
    }
}
