//! The gauges: is the queue moving?

use std::time::Duration;

use reelway_catalog::{Catalog, Error};
use tokio_util::sync::CancellationToken;

use crate::trouble::Trouble;

/// How often the queue is measured.
const MEASURE_EVERY: Duration = Duration::from_secs(10);

/// Measures until `shutdown`: `reelway_jobs_queued` counts the jobs that wait for nothing but a worker, and
/// `reelway_jobs_oldest_queued_seconds` is for how long the oldest of them does.
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
    let queue = catalog.queue().await?;
    #[expect(clippy::cast_precision_loss, reason = "no queue is that long")]
    metrics::gauge!("reelway_jobs_queued").set(queue.jobs as f64);
    metrics::gauge!("reelway_jobs_oldest_queued_seconds").set(queue.oldest.as_secs_f64());
    Ok(())
}
