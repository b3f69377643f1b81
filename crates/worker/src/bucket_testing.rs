//! What the tests share that read from a bucket: one on the S3 server that `scripts/test` starts.

use std::env;

use rand::{Rng as _, SeedableRng as _, rngs::StdRng};
use reelway_blob::{BucketSettings, BucketStore};
use reelway_domain::{Offset, Staged, UploadId, WriterEpoch};
use reelway_testkit::S3Proxy;

/// So much is written at a time.
const PIECE_BYTES: usize = 1 << 20;

/// A bucket in which nothing is yet, and the way there.
pub(crate) struct Bucket {
    pub(crate) proxy: S3Proxy,
    pub(crate) store: BucketStore,
}

impl Bucket {
    pub(crate) async fn new() -> Self {
        let of = |name: &str| env::var(name).unwrap_or_else(|_| panic!("scripts/test sets {name}"));
        let (url, server) = (of("REELWAY_TEST_S3"), of("REELWAY_TEST_S3_ENDPOINT"));
        let proxy = S3Proxy::before(server.trim_start_matches("http://").parse().unwrap()).await;
        let settings = BucketSettings {
            endpoint: Some(proxy.url().parse().unwrap()),
            ..BucketSettings::default()
        };
        let url = format!("{url}/worker-{}", UploadId::new());
        let store = BucketStore::open(&url.parse().unwrap(), &settings).await.unwrap();
        Self { proxy, store }
    }

    /// Stores a complete upload, and gives its key.
    pub(crate) async fn source(&self, id: UploadId, bytes: &[u8]) -> String {
        let nothing = Staged {
            multipart: None,
            parts: Vec::new(),
            rests: Vec::new(),
            next_number: 1,
        };
        let offset = |at: usize| Offset(i64::try_from(at).unwrap());
        let size = offset(bytes.len());
        let writer = self.store.writer(id, WriterEpoch(1), Some(size), nothing, false);
        for (place, piece) in bytes.chunks(PIECE_BYTES).enumerate() {
            let written = writer.write_at(offset(place * PIECE_BYTES), piece.to_vec().into());
            written.await.unwrap();
        }
        let synced = writer.finish(size).await.unwrap();
        writer.recorded(&synced.change).await;
        writer.assemble(size).await.unwrap()
    }
}

/// Bytes that are others for each seed.
pub(crate) fn content(bytes: usize, seed: u64) -> Vec<u8> {
    let mut content = vec![0; bytes];
    StdRng::seed_from_u64(seed).fill(&mut content[..]);
    content
}
