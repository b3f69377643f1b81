//! Where the bytes are kept: may they be written and removed, and is there room?

use reelway_blob::{BlobError, BucketSettings};

use super::Finding;
use crate::{config::ServeConfig, serve::StoreUrl};

/// Below this much free space a node warns: one phone video fills it.
const FREE_BYTES_MIN: u64 = 5 << 30;

/// One of where sources are kept, and one of where outputs are and of where sources are moved to, as far as those are other stores.
pub(super) async fn findings(config: &ServeConfig) -> Vec<Finding> {
    if !config.roles.iter().any(|role| role.uses_store()) {
        return vec![Finding::ok("store", "these roles have nothing to do with it")];
    }
    let sources = match StoreUrl::of(config) {
        Ok(at) => finding("store", at, &config.bucket).await,
        Err(error) => Finding::of_error("store", &error),
    };
    let outputs = match StoreUrl::of_outputs(config) {
        Ok(None) => None,
        Ok(Some(at)) => Some(finding("output-store", at, &config.output_bucket).await),
        Err(error) => Some(Finding::of_error("output-store", &error)),
    };
    let archive = match StoreUrl::of_archive(config) {
        Ok(None) => None,
        Ok(Some(at)) => Some(finding("archive-store", at, &config.archive_bucket).await),
        Err(error) => Some(Finding::of_error("archive-store", &error)),
    };
    [Some(sources), outputs, archive].into_iter().flatten().collect()
}

/// What is found at one store; `check` is also the name of the option that says where it is.
async fn finding(check: &'static str, at: StoreUrl, settings: &BucketSettings) -> Finding {
    let is_disk = at.is_disk();
    let looked = async {
        let store = at.open(settings).await?;
        store.check_rights().await?;
        store.free_bytes().await
    };
    match looked.await {
        Ok(Some(free)) if free < FREE_BYTES_MIN => {
            let message = format!("writable, but only {} MiB are free", free >> 20);
            Finding::warning(check, message).advise("make room: a full disk refuses uploads and fails jobs")
        }
        Ok(Some(free)) => Finding::ok(check, format!("writable, {} GiB free", free >> 30)),
        Ok(None) => Finding::ok(
            check,
            "writable: objects and parts can be sent, read, listed and removed",
        ),
        Err(error @ BlobError::InUse { .. }) => Finding::warning(check, error.to_string())
            .advise("this is fine if a node is running on it; several servers need ?shared=true"),
        Err(error) => {
            let advice = if is_disk {
                format!(
                    "the user of this process must be able to write below the directory of --{check}, and the disk must have room"
                )
            } else {
                format!(
                    "check the bucket's name, --{check}-endpoint, AWS_REGION, and that the credentials may do what it says; docs/stores.md lists all rights"
                )
            };
            Finding::failed(check, error.to_string()).advise(advice)
        }
    }
}
