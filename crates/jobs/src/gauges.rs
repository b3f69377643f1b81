//! The gauges: is everything moving?

use std::time::Duration;

use reelway_catalog::{Catalog, Error};
use tokio_util::sync::CancellationToken;

use crate::trouble::Trouble;

/// How often it is measured.
const MEASURE_EVERY: Duration = Duration::from_secs(10);

/// Measures until `shutdown`: `reelway_jobs_queued` counts the jobs that wait for nothing but a worker, and
/// `reelway_jobs_oldest_queued_seconds` is for how long the oldest of them does. `reelway_jobs` counts all jobs that have not
/// ended by their state, also those whose upload still receives. `reelway_outbox_oldest_seconds` is how far the bus is behind,
/// and `reelway_webhooks_pending` counts what receivers have not taken yet.
pub async fn run(catalog: Catalog, shutdown: CancellationToken) {
    let mut trouble = Trouble::new("queue gauges");
    let gauges = async {
        loop {
            let pause = trouble.pause(measure(&catalog).await, MEASURE_EVERY);
            tokio::time::sleep(pause).await;
        }
    };
    shutdown.run_until_cancelled(gauges).await;
}

async fn measure(catalog: &Catalog) -> Result<(), Error> {
    let (queue, backlog) = (catalog.queue().await?, catalog.backlog().await?);
    metrics::gauge!("reelway_jobs_queued").set(count(queue.jobs));
    metrics::gauge!("reelway_jobs_oldest_queued_seconds").set(queue.oldest.as_secs_f64());
    metrics::gauge!("reelway_jobs", "state" => "queued").set(count(backlog.jobs_queued));
    metrics::gauge!("reelway_jobs", "state" => "running").set(count(backlog.jobs_running));
    metrics::gauge!("reelway_outbox_oldest_seconds").set(backlog.outbox_oldest.as_secs_f64());
    metrics::gauge!("reelway_webhooks_pending").set(count(backlog.webhooks));
    Ok(())
}

#[expect(clippy::cast_precision_loss, reason = "nothing that is counted here comes near 2^53")]
fn count(rows: i64) -> f64 {
    rows as f64
}
