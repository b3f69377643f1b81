//! A plain client of an S3 server: object_store's own `WriteMultipart`, with parts as long and as many at once as Reelway's. What an
//! upload through a server is compared with.

use std::{error::Error, io::Write as _, sync::Arc, time::Instant};

use bytes::Bytes;
use object_store::{ObjectStore, ObjectStoreExt as _, WriteMultipart, aws::AmazonS3Builder, path::Path};
use reelway_domain::limits;
use tokio::task::JoinSet;
use url::Url;

use crate::load;

/// As long as the shortest parts of Reelway's uploads.
const PART_BYTES: usize = 8 << 20;

/// What is written where. Credentials are taken from the environment.
#[derive(Debug, clap::Args)]
pub(crate) struct StoreArgs {
    /// The S3 server.
    #[arg(long)]
    endpoint: Url,
    /// The bucket, with a prefix: s3://BUCKET/PREFIX
    #[arg(long)]
    store: Url,
    /// How many objects at once.
    #[arg(long, default_value_t = 1)]
    uploads: usize,
    /// The size of each object, in MiB.
    #[arg(long, default_value_t = 1024)]
    mib: usize,
}

/// Writes objects and prints what was measured, with the CPU time of this process, as one JSON line.
///
/// # Errors
/// Those of the server.
pub(crate) async fn run(args: StoreArgs) -> Result<(), Box<dyn Error>> {
    let store = AmazonS3Builder::from_env()
        .with_bucket_name(args.store.host_str().unwrap_or_default())
        .with_endpoint(args.endpoint.as_str().trim_end_matches('/'))
        .with_allow_http(args.endpoint.scheme() == "http")
        .build()?;
    let (store, prefix): (Arc<dyn ObjectStore>, _) = (Arc::new(store), Path::from(args.store.path()));
    // As an upload's messages.
    let message = load::content(256 << 10);
    let (begun, mut running) = (Instant::now(), JoinSet::new());
    for number in 0..args.uploads {
        let key = prefix.clone().join(format!("plain-{}-{number}", std::process::id()));
        running.spawn(write(Arc::clone(&store), key, message.clone(), args.mib << 20));
    }
    while let Some(done) = running.join_next().await {
        done??;
    }
    let report = serde_json::json!({
        "uploads": args.uploads, "mib": args.mib, "seconds": begun.elapsed().as_secs_f64()
    });
    writeln!(std::io::stdout(), "{report}")?;
    Ok(())
}

async fn write(store: Arc<dyn ObjectStore>, key: Path, message: Bytes, size: usize) -> object_store::Result<()> {
    let mut writer = WriteMultipart::new_with_chunk_size(store.put_multipart(&key).await?, PART_BYTES);
    let mut sent = 0;
    while sent < size {
        let length = message.len().min(size - sent);
        writer.wait_for_capacity(limits::PARTS_IN_FLIGHT_MAX).await?;
        writer.put(message.slice(..length));
        sent += length;
    }
    writer.finish().await.map(drop)
}
