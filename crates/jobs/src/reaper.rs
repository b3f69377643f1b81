//! The lease reaper: gives up attempts whose worker was not heard of again.

use std::time::Duration;

use reelway_catalog::{Catalog, Error};
use tokio_util::sync::CancellationToken;

use crate::trouble::Trouble;

/// How often leases are looked at; a lost worker's task starts again so much later at most.
const REAP_EVERY: Duration = Duration::from_secs(1);
/// Attempts that are ended in one look.
const BATCH_MAX: usize = 100;

/// Reaps until `shutdown`. The database's clock judges.
pub async fn run(catalog: Catalog, shutdown: CancellationToken) {
    let mut trouble = Trouble::new("lease reaper");
    let reaper = async {
        loop {
            let pause = trouble.pause(reap(&catalog).await, REAP_EVERY);
            tokio::time::sleep(pause).await;
        }
    };
    shutdown.run_until_cancelled(reaper).await;
}

async fn reap(catalog: &Catalog) -> Result<(), Error> {
    let reaped = catalog.reap(BATCH_MAX as i64).await?;
    if reaped > 0 {
        tracing::warn!(reaped, "leases ran out and their tasks were given up");
    }
    metrics::counter!("reelway_job_lease_lost_total").increment(reaped as u64);
    Ok(())
}

#[cfg(test)]
mod tests {
    use reelway_bus::Bus;
    use reelway_domain::{Hint, JobState, Reason, TaskState, Tenant, WorkerId};

    use super::*;
    use crate::{
        relay,
        testing::{Fixture, heard},
    };

    #[tokio::test]
    async fn a_task_whose_worker_is_gone_is_queued_again() {
        let fixture = Fixture::new().await;
        let upload = fixture.complete_upload_with_job().await;
        let job = upload.job.unwrap();
        let ttl = Duration::from_millis(50);
        let claim = fixture.catalog.claim(WorkerId::new(), ttl).await.unwrap().unwrap();

        let (bus, shutdown) = (Bus::default(), CancellationToken::new());
        let mut hints = bus.hints();
        let loops = [
            tokio::spawn(relay::run(fixture.catalog.clone(), bus, shutdown.clone())),
            tokio::spawn(run(fixture.catalog.clone(), shutdown.clone())),
        ];
        let task = loop {
            heard(&mut hints, Hint::Events { job }).await;
            let tasks = fixture.catalog.tasks(&Tenant::single(), job).await.unwrap();
            let task = tasks.into_iter().find(|task| task.id == claim.task.id).unwrap();
            if task.state == TaskState::Queued {
                break task;
            }
        };
        assert_eq!(task.error.unwrap().reason, Reason::WorkerLost);
        let job = fixture.catalog.job(&Tenant::single(), job).await.unwrap().unwrap();
        assert_eq!(job.state, JobState::Running, "another attempt is left");
        shutdown.cancel();
        for task in loops {
            task.await.unwrap();
        }
    }
}
