//! The mover: moves sources to the archive store after success.
//!
//! A source is copied, read back and compared, and then one commit names its new place; only after that its old bytes go
//! ([`crate::remover`]). Until that commit nothing has changed: whoever is killed before it leaves a copy that nobody knows, which the
//! next one removes and makes anew.

use std::time::Duration;

use reelway_blob::{SourcePlace, Store, Stores};
use reelway_catalog::{Catalog, Moving, Upload};
use reelway_domain::{Failure, Offset, Reason, SourceAction, UploadId};
use tokio_util::sync::CancellationToken;

use crate::trouble::Trouble;

/// How often sources are looked for.
const MOVE_EVERY: Duration = Duration::from_secs(5);
/// Sources that are found in one look.
const BATCH_MAX: i64 = 10;
/// How long a source that can't be moved, or whose mover isn't heard of, is left alone.
const LEASE: Duration = Duration::from_secs(60);

/// Moves until `shutdown`.
pub async fn run(catalog: Catalog, stores: Stores, shutdown: CancellationToken) {
    let Some(archive) = stores.archive else {
        return shutdown.cancelled().await;
    };
    let mover = Mover {
        catalog,
        sources: stores.sources,
        archive,
        lease: LEASE,
    };
    let mut trouble = Trouble::new("source mover");
    let moving = async {
        loop {
            let pause = trouble.pause(mover.round().await, MOVE_EVERY);
            tokio::time::sleep(pause).await;
        }
    };
    shutdown.run_until_cancelled(moving).await;
}

/// Moves sources from one store to another.
#[derive(Debug, Clone)]
struct Mover {
    catalog: Catalog,
    sources: Store,
    archive: Store,
    lease: Duration,
}

impl Mover {
    /// Moves what is to be moved. A source that can't be moved doesn't keep the others, and its turn comes when its lease has run out.
    async fn round(&self) -> Result<(), Failure> {
        loop {
            let ids = self.catalog.sources_wished(SourceAction::Archive, BATCH_MAX).await?;
            let (mut moved, mut result) = (0, Ok(()));
            for id in ids {
                match self.move_one(id).await {
                    Ok(is_moved) => moved += usize::from(is_moved),
                    Err(failure) => result = Err(failure),
                }
            }
            result?;
            if moved == 0 {
                return Ok(());
            }
        }
    }

    /// Gives whether it is moved now.
    async fn move_one(&self, id: UploadId) -> Result<bool, Failure> {
        let Some(moving) = self.catalog.claim_source(id, self.lease).await? else {
            return Ok(false);
        };
        let copied = tokio::select! {
            copied = self.copy(&moving) => copied?,
            // Somebody else has it, or it isn't to be moved any more.
            () = self.hold(&moving) => return Ok(false),
        };
        let is_moved = self.catalog.source_moved(&moving, copied.key.as_deref()).await?;
        if is_moved {
            metrics::counter!("reelway_sources_moved_total").increment(1);
            tracing::info!(upload.id = %id, "source moved to the archive store after success");
            // What the copy was staged in. What fails here is done by the next sweep.
            if let Err(error) = self.archive.tidy_upload(&copied).await {
                tracing::warn!(upload.id = %id, %error, "what an archived source was staged in is left");
            }
        } else {
            // A job has come that needs it where it is.
            self.catalog.let_go_source(&moving).await?;
        }
        Ok(is_moved)
    }

    /// Copies a source, and makes sure that the copy is what the source is.
    async fn copy(&self, moving: &Moving) -> Result<SourcePlace, Failure> {
        let upload = &moving.upload;
        // What others left who didn't get to the end.
        self.archive.remove_upload(upload.id).await?;
        let (place, size) = (place(upload), Offset(upload.size.unwrap_or_default()));
        let (copied, digest) = self
            .archive
            .copy_from(&self.sources, &place, size, moving.file())
            .await?;
        if upload.expected_sha256.is_some_and(|expected| expected != digest) {
            return Err(not_the_same(upload.id, "its source is not what it was when it came"));
        }
        if self.archive.sha256(&copied, size).await? != digest {
            return Err(not_the_same(
                upload.id,
                "the copy in the archive store is not what was written",
            ));
        }
        Ok(copied)
    }

    /// Keeps the source for as long as it is the mover's; ends when it isn't any more. A catalog that doesn't answer is no reason to stop:
    /// what counts is the commit.
    async fn hold(&self, moving: &Moving) {
        loop {
            tokio::time::sleep(self.lease / 4).await;
            if let Ok(false) = self.catalog.keep_source(moving, self.lease).await {
                return;
            }
        }
    }
}

fn place(upload: &Upload) -> SourcePlace {
    SourcePlace {
        upload: upload.id,
        file: upload.file_epoch,
        key: upload.source_key.clone(),
    }
}

/// Nothing is moved then, and somebody has to look at it.
fn not_the_same(id: UploadId, why: &str) -> Failure {
    tracing::error!(upload.id = %id, why, "source not moved");
    Failure::new(Reason::StoreUnavailable, why).with("uploadId", id)
}

#[cfg(test)]
mod tests;
