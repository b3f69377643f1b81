//! `reelway store`: what buckets hold beside what the catalog needs.

use std::time::SystemTime;

use reelway_blob::{BucketSettings, BucketStore, BucketUrl, Held, What};
use reelway_catalog::Keeper;
use reelway_domain::Failure;
use reelway_jobs::leftovers::{Leftover, Leftovers};
use serde_json::json;

use crate::{
    args::StoreCommand,
    beside,
    config::ServeConfig,
    error::CliError,
    exit::Exit,
    output::Output,
    serve::{self, Holds, StoreUrl, database_url},
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
    let places = buckets(&config)?;
    if places.is_empty() {
        let message =
            "--store: this one is a directory, of which running servers remove all that the catalog doesn't need";
        return Err(CliError::usage(message));
    }
    let catalog = beside::open_url(&database_url(config.database.as_deref(), &config.data)).await?;
    let done = async {
        let mut buckets = Vec::new();
        for place in places {
            let opened = BucketStore::open(&place.url, place.settings).await;
            let bucket = opened.map_err(|error| CliError::failed("STORE_UNAVAILABLE", error))?;
            let url = place.url.to_string();
            serve::expect_own_store(&catalog, place.holds, bucket.identity(), &url).await?;
            let keeper = match place.holds {
                Holds::Sources | Holds::Outputs => Keeper::Uploads,
                Holds::Archive => Keeper::Archive,
            };
            // With settings of its own for each, it is one bucket all the same. One that outputs share with sources that were moved has
            // these for uploads.
            let same = |(_, known, _): &(String, BucketStore, Keeper)| known.identity() == bucket.identity();
            match buckets.iter_mut().find(|known| same(known)) {
                Some((_, _, known)) if keeper == Keeper::Archive => *known = keeper,
                Some(_) => {}
                None => buckets.push((url, bucket, keeper)),
            }
        }
        let mut count = Count::default();
        for (url, bucket, keeper) in &buckets {
            let leftovers = Leftovers::of(&catalog, bucket, *keeper, args.age_min(), SystemTime::now());
            look(leftovers, url, bucket, args.remove, out, &mut count).await?;
        }
        out.note(format_args!(
            "{} left over, {} MiB in objects; {} removed",
            count.found,
            count.bytes >> 20,
            count.removed
        ));
        Ok(if count.failed == 0 { Exit::Done } else { Exit::Failed })
    };
    let done = done.await;
    catalog.close().await;
    done
}

/// A bucket, and which one it is.
struct Place<'a> {
    holds: Holds,
    url: BucketUrl,
    settings: &'a BucketSettings,
}

/// The buckets among the stores of a deployment. A directory may belong to a running server alone, which sweeps it.
fn buckets(config: &ServeConfig) -> Result<Vec<Place<'_>>, CliError> {
    let all = [
        (Holds::Sources, Some(StoreUrl::of(config)?), &config.bucket),
        (Holds::Outputs, StoreUrl::of_outputs(config)?, &config.output_bucket),
        (Holds::Archive, StoreUrl::of_archive(config)?, &config.archive_bucket),
    ];
    let places = all.into_iter().filter_map(|(holds, store, settings)| match store {
        Some(StoreUrl::Bucket(url)) => Some(Place { holds, url, settings }),
        Some(StoreUrl::Disk { .. }) | None => None,
    });
    Ok(places.collect())
}

async fn look(
    mut leftovers: Leftovers<'_>,
    url: &str,
    bucket: &BucketStore,
    is_removing: bool,
    out: Output,
    count: &mut Count,
) -> Result<(), CliError> {
    while let Some(leftover) = leftovers.next().await.map_err(looked)? {
        let is_removed = is_removing && leftover.is_ours && removed(bucket, &leftover.held, out, count).await;
        count.found += 1;
        count.bytes += bytes(&leftover.held).unwrap_or_default();
        tell(url, &leftover, is_removed, out);
    }
    Ok(())
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

fn tell(store: &str, leftover: &Leftover, is_removed: bool, out: Output) {
    let held = &leftover.held;
    let since = humantime::format_rfc3339_seconds(held.since);
    if out.is_json {
        return out.json(&json!({
            "store": store,
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
    out.line(format_args!("{store}: {}  {what}, {since}{end}", held.key));
}
