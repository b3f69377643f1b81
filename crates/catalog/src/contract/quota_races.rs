//! Many who want the last room at once, and accounts beside the locks of jobs, tasks and events.

use std::sync::Arc;

use reelway_domain::{UploadState, WorkerId, WriterId};
use tokio::{sync::Barrier, task::JoinSet};

use super::{
    db::Db,
    fixture::*,
    on_both,
    quota_model::is_the_sum,
    quotas::{limit, quota, sized},
};
use crate::{Catalog, Error, NewUpload, Opened};

on_both!(
    the_last_room_is_given_once,
    accounts_and_jobs_do_not_wait_for_each_other
);

const CALLERS: usize = 16;

/// Runs the same for some callers at the same moment.
async fn together<T, Work>(db: &Db, callers: usize, work: impl Fn(Catalog, usize) -> Work) -> Vec<T>
where
    Work: Future<Output = T> + Send + 'static,
    T: Send + 'static,
{
    let barrier = Arc::new(Barrier::new(callers));
    let mut all = JoinSet::new();
    for caller in 0..callers {
        let (barrier, work) = (Arc::clone(&barrier), work(db.catalog.clone(), caller));
        all.spawn(async move {
            barrier.wait().await;
            work.await
        });
    }
    all.join_all().await
}

async fn the_last_room_is_given_once(db: &Db) {
    limit(db, 500, 1000).await;
    let made = together(db, CALLERS, |catalog, _| async move {
        match catalog.create_upload(&sized(100)).await {
            Ok(_) => true,
            Err(Error::Quota(_)) => false,
            Err(other) => panic!("{other}"),
        }
    });
    assert_eq!(made.await.into_iter().filter(|made| *made).count(), 5);
    is_the_sum(db).await;

    limit(db, 1000, 8).await;
    let made = together(db, CALLERS, |catalog, _| async move {
        catalog.create_upload(&sized(None)).await.is_ok()
    });
    assert_eq!(
        made.await.into_iter().filter(|made| *made).count(),
        3,
        "five are open already"
    );
    is_the_sum(db).await;
}

/// One upload with a job, from its creation to one of its ends, while workers claim and give back what there is.
async fn a_life(catalog: Catalog, caller: usize) -> Result<(), Error> {
    let new = NewUpload {
        job: Some(new_job()),
        ..sized((!caller.is_multiple_of(3)).then_some(100))
    };
    let upload = catalog.create_upload(&new).await?.into_inner();
    let Opened::Writer(writer) = catalog.open_writer(&tenant(), upload.id, WriterId::ONLY).await? else {
        panic!("it has just begun");
    };
    let (id, epoch) = (upload.id, writer.writer_epoch);
    catalog
        .commit_offset(id, epoch, reelway_domain::Offset(50), LONG)
        .await?;
    match caller % 4 {
        0 => drop(catalog.abort_upload(&tenant(), id).await?),
        1 => drop(catalog.fail_upload(id, epoch, &permanent()).await?),
        _ => drop(catalog.complete_upload(id, epoch, 100).await?),
    }
    for claim in catalog.claim_batch(WorkerId::new(), LONG, 2, None).await? {
        catalog.hand_back(&claim.task).await?;
    }
    drop(catalog.cancel_job(&tenant(), upload.job.expect("its job")).await?);
    Ok(())
}

async fn accounts_and_jobs_do_not_wait_for_each_other(db: &Db) {
    for _ in 0..4 {
        for ended in together(db, CALLERS, a_life).await {
            ended.unwrap();
        }
        is_the_sum(db).await;
    }
    let complete = db
        .count(&format!("uploads WHERE state = '{}'", UploadState::Complete))
        .await;
    assert_eq!(quota(db).await.bytes_stored, 100 * complete);
}
