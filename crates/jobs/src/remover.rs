//! The remover: removes sources that are not wanted after success, and what sources that were moved have left behind.
//!
//! The catalog is told first that a source is gone, and its bytes go afterwards: whatever happens in between, no job is created for a
//! source that isn't there, and what is left is found again.

use std::time::Duration;

use reelway_blob::Stores;
use reelway_catalog::{Catalog, SourceLeft};
use reelway_domain::{Failure, SourceAction, SourceState};
use tokio_util::sync::CancellationToken;

use crate::trouble::Trouble;

/// How often sources are looked at.
const REMOVE_EVERY: Duration = Duration::from_secs(5);
/// Sources that are handled in one look.
const BATCH_MAX: usize = 100;

/// Removes until `shutdown`.
pub async fn run(catalog: Catalog, stores: Stores, shutdown: CancellationToken) {
    let mut trouble = Trouble::new("source remover");
    let remover = async {
        loop {
            let pause = trouble.pause(round(&catalog, &stores).await, REMOVE_EVERY);
            tokio::time::sleep(pause).await;
        }
    };
    shutdown.run_until_cancelled(remover).await;
}

pub(crate) async fn round(catalog: &Catalog, stores: &Stores) -> Result<(), Failure> {
    while remove(catalog).await? == BATCH_MAX {}
    while clean(catalog, stores).await? == BATCH_MAX {}
    Ok(())
}

/// Gives how many sources were to be removed.
async fn remove(catalog: &Catalog) -> Result<usize, Failure> {
    let ids = catalog.sources_wished(SourceAction::Delete, BATCH_MAX as i64).await?;
    for id in &ids {
        if catalog.remove_source(*id).await? {
            metrics::counter!("reelway_sources_removed_total").increment(1);
            tracing::info!(upload.id = %id, "source removed after success");
        }
    }
    Ok(ids.len())
}

/// Removes what sources have left behind; gives how many had. One that can't be removed doesn't keep the others.
async fn clean(catalog: &Catalog, stores: &Stores) -> Result<usize, Failure> {
    let all = catalog.sources_left(BATCH_MAX as i64).await?;
    let mut result = Ok(all.len());
    for left in all {
        if let Err(failure) = clean_one(catalog, stores, &left).await {
            result = Err(failure);
        }
    }
    result
}

async fn clean_one(catalog: &Catalog, stores: &Stores, left: &SourceLeft) -> Result<(), Failure> {
    stores.sources.remove_upload(left.id).await?;
    if let (SourceState::Removed, Some(archive)) = (left.state, &stores.archive) {
        archive.remove_upload(left.id).await?;
    }
    catalog.source_left_gone(left).await?;
    Ok(())
}
