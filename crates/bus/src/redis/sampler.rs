//! Publishes samples in the background, as many at a time as have come meanwhile.

use reelway_domain::Sample;
use tokio::{runtime::Handle, sync::mpsc};

use super::{entry, health, link::Link, publish::add, session::ANSWER_MAX, trouble::Trouble};

/// Samples that wait to be published; more are dropped.
const WAITING_MAX: usize = 4096;
/// Samples in one entry.
const BATCH_MAX: usize = 64;
/// Entries that are kept, each of up to about 10 kB.
const LEN_MAX: i64 = 512;

/// Starts publishing what is sent here. It ends when no sender is left.
pub(super) fn start(runtime: &Handle, link: Link, key: String) -> mpsc::Sender<Sample> {
    let (sender, mut waiting) = mpsc::channel(WAITING_MAX);
    runtime.spawn(async move {
        let mut batch = Vec::with_capacity(BATCH_MAX);
        while waiting.recv_many(&mut batch, BATCH_MAX).await > 0 {
            if let Err(trouble) = send(&link, &key, &batch).await {
                health::count("sample", &trouble);
                dropped(batch.len());
            }
            batch.clear();
        }
    });
    sender
}

async fn send(link: &Link, key: &str, batch: &[Sample]) -> Result<(), Trouble> {
    let session = link.session().await?;
    session
        .ask(ANSWER_MAX, add(&session, key, LEN_MAX, entry::of_samples(batch)))
        .await
}

/// Counts samples that nobody will hear.
pub(super) fn dropped(count: usize) {
    metrics::counter!("reelway_bus_samples_dropped_total").increment(count as u64);
}
