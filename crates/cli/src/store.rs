//! `reelway store`: what a bucket holds beside what the catalog needs.

use std::time::SystemTime;

use reelway_blob::{BucketStore, Held, Store, What};
use reelway_catalog::Catalog;
use reelway_domain::Failure;
use reelway_jobs::leftovers::{Leftover, Leftovers};
use serde_json::json;

use crate::{
    args::{LeftoversArgs, StoreCommand},
    beside,
    config::ServeConfig,
    error::CliError,
    exit::Exit,
    output::Output,
    serve::{self, StoreUrl, database_url},
};

/// What was found, and what became of it.
#[derive(Debug, Default)]
struct Count {
    found: u64,
    bytes: u64,
    removed: u64,
    failed: u64,
}

/// Does what was asked for.
///
/// # Errors
/// If the store is no bucket, or it or the database can't be reached.
pub(crate) async fn run(command: StoreCommand, out: Output) -> Result<Exit, CliError> {
    let StoreCommand::Leftovers(args) = command;
    let config = ServeConfig::resolve(args.serve.clone())?;
    serve::check(&config)?;
    let url @ StoreUrl::Bucket(_) = StoreUrl::of(&config)? else {
        let message =
            "--store: this one is a directory, of which running servers remove all that the catalog doesn't need";
        return Err(CliError::usage(message));
    };
    let catalog = beside::open_url(&database_url(config.database.as_deref(), &config.data)).await?;
    let done = async {
        let opened = url.open(&config).await;
        let opened = opened.map_err(|error| CliError::failed("STORE_UNAVAILABLE", error))?;
        let Store::Bucket(bucket) = opened else {
            return Err(CliError::failed("STORE_UNAVAILABLE", "it is no bucket"));
        };
        serve::expect_own_store(&catalog, bucket.identity()).await?;
        look(&catalog, &bucket, &args, out).await
    };
    let done = done.await;
    catalog.close().await;
    done
}

async fn look(catalog: &Catalog, bucket: &BucketStore, args: &LeftoversArgs, out: Output) -> Result<Exit, CliError> {
    let mut count = Count::default();
    let now = SystemTime::now();
    let mut leftovers = Leftovers::of(catalog, bucket, args.age_min(), now);
    while let Some(leftover) = leftovers.next().await.map_err(looked)? {
        let is_removed = args.remove && leftover.is_ours && removed(bucket, &leftover.held, out, &mut count).await;
        count.found += 1;
        count.bytes += bytes(&leftover.held).unwrap_or_default();
        tell(&leftover, is_removed, out);
    }
    out.note(format_args!(
        "{} left over, {} MiB in objects; {} removed",
        count.found,
        count.bytes >> 20,
        count.removed
    ));
    Ok(if count.failed == 0 { Exit::Done } else { Exit::Failed })
}

fn looked(failure: Failure) -> CliError {
    CliError::failed(failure.reason.as_str(), failure.message)
}

/// Whether it could be removed. One that can't be keeps no other.
async fn removed(bucket: &BucketStore, held: &Held, out: Output, count: &mut Count) -> bool {
    let removed = bucket.remove_held(held).await;
    match &removed {
        Ok(()) => count.removed += 1,
        Err(error) => {
            count.failed += 1;
            out.note(error);
        }
    }
    removed.is_ok()
}

fn bytes(held: &Held) -> Option<u64> {
    match held.what {
        What::Object(bytes) => Some(bytes),
        What::Multipart(_) => None,
    }
}

fn tell(leftover: &Leftover, is_removed: bool, out: Output) {
    let held = &leftover.held;
    let since = humantime::format_rfc3339_seconds(held.since);
    if out.is_json {
        return out.json(&json!({
            "key": held.key,
            "bytes": bytes(held),
            "multipart": matches!(held.what, What::Multipart(_)),
            "since": since.to_string(),
            "known_place": leftover.is_ours,
            "removed": is_removed,
        }));
    }
    let what = bytes(held).map_or_else(|| "multipart upload".to_owned(), |bytes| format!("{bytes} bytes"));
    let end = match (is_removed, leftover.is_ours) {
        (true, _) => ", removed",
        (false, true) => "",
        (false, false) => ", not where Reelway writes: never removed",
    };
    out.line(format_args!("{}  {what}, {since}{end}", held.key));
}
