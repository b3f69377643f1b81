//! Accounts after any sequence of changes: they are the sums over the uploads.

use std::{
    env,
    sync::atomic::{AtomicI64, Ordering},
    time::Duration,
};

use proptest::{
    collection::vec,
    prelude::*,
    sample::Index,
    test_runner::{Config, TestRunner},
};
use reelway_domain::{Offset, UploadId, UploadKind, UploadState, WriterId};
use tokio::{runtime::Handle, task::block_in_place};

use super::{
    db::Db,
    fixture::*,
    on_both,
    quotas::{limit, quota, sized},
};
use crate::{Commit, Dialect, Error, NewUpload, UploadEnd};

on_both!(accounts_are_the_sums_over_uploads);

const STEPS_MAX: usize = 60;
/// What the tenant may have: little enough to be refused again and again.
const BYTES_MAX: i64 = 3000;
const OPEN_MAX: i64 = 6;
const SIZE_MAX: i64 = 1200;

#[derive(Debug, Clone)]
enum Step {
    Create {
        size: Option<i64>,
        kind: UploadKind,
        job: bool,
    },
    Join(Index, Index),
    Commit {
        which: Index,
        offset: i64,
    },
    Declare {
        which: Index,
        size: i64,
    },
    Complete {
        which: Index,
        size: i64,
    },
    /// `None`: it is dropped.
    Tail {
        which: Index,
        tail: Option<i64>,
    },
    Fail(Index),
    Abort(Index),
    Expire(Index),
    Free,
}

fn step() -> impl Strategy<Value = Step> {
    let size = || 0..SIZE_MAX;
    let kind = prop_oneof![2 => Just(UploadKind::Whole), 1 => Just(UploadKind::Partial)];
    let create = (proptest::option::of(size()), kind, any::<bool>());
    prop_oneof![
        6 => create.prop_map(|(size, kind, job)| Step::Create { size, kind, job }),
        2 => any::<(Index, Index)>().prop_map(|(a, b)| Step::Join(a, b)),
        3 => (any::<Index>(), size()).prop_map(|(which, offset)| Step::Commit { which, offset }),
        2 => (any::<Index>(), size()).prop_map(|(which, size)| Step::Declare { which, size }),
        5 => (any::<Index>(), size()).prop_map(|(which, size)| Step::Complete { which, size }),
        2 => (any::<Index>(), proptest::option::of(size())).prop_map(|(which, tail)| Step::Tail { which, tail }),
        1 => any::<Index>().prop_map(Step::Fail),
        2 => any::<Index>().prop_map(Step::Abort),
        2 => any::<Index>().prop_map(Step::Expire),
        1 => Just(Step::Free),
    ]
}

async fn accounts_are_the_sums_over_uploads(db: &Db) {
    let mut config = Config {
        failure_persistence: None,
        max_shrink_iters: 200,
        ..Config::default()
    };
    if env::var_os("PROPTEST_CASES").is_none() {
        config.cases = if db.catalog.dialect() == Dialect::Sqlite {
            48
        } else {
            16
        };
    }
    let (stored, cases) = (AtomicI64::new(0), i64::from(config.cases));
    let found = block_in_place(|| {
        TestRunner::new(config).run(&vec(step(), 1..STEPS_MAX), |steps| {
            stored.fetch_add(Handle::current().block_on(run(db, steps)), Ordering::Relaxed);
            Ok(())
        })
    });
    if let Err(found) = found {
        panic!("{found}");
    }
    assert!(stored.into_inner() > 100 * cases, "things get done");
}

/// Runs a case in an empty catalog. Gives how many bytes are stored in the end.
async fn run(db: &Db, steps: Vec<Step>) -> i64 {
    for table in ["webhooks", "outbox", "jobs", "upload_joins", "uploads", "tenants"] {
        db.raw(&format!("DELETE FROM {table}")).await.unwrap();
    }
    limit(db, BYTES_MAX, OPEN_MAX).await;
    let mut uploads = Vec::new();
    for step in steps {
        if let Err(error) = take(db, &mut uploads, &step).await {
            assert!(
                matches!(error, Error::Quota(_) | Error::PartUnusable(_)),
                "{step:?}: {error}"
            );
        }
        is_the_sum(db).await;
    }
    quota(db).await.bytes_stored
}

/// What must hold at every commit.
pub(super) async fn is_the_sum(db: &Db) {
    let sum = async |column: &str, state: &str| {
        let sql = format!("SELECT CAST(COALESCE(SUM({column}), 0) AS BIGINT) FROM uploads WHERE state = '{state}'");
        db.number(&sql).await
    };
    let quota = quota(db).await;
    assert_eq!(quota.uploads_open, sum("1", "receiving").await);
    assert_eq!(quota.bytes_reserved, sum("quota_bytes", "receiving").await);
    assert_eq!(quota.bytes_stored, sum("quota_bytes", "complete").await);
    let used = quota.bytes_reserved + quota.bytes_stored;
    assert!(quota.bytes_max.is_none_or(|max| used <= max), "{quota:?}");
    assert!(
        quota.uploads_open_max.is_none_or(|max| quota.uploads_open <= max),
        "{quota:?}"
    );
    let wrong = [
        "uploads WHERE quota_bytes <> 0 AND state NOT IN ('receiving', 'complete')",
        "uploads WHERE state = 'complete' AND kind <> 'partial' AND quota_bytes <> size_bytes",
        "uploads WHERE state = 'receiving' AND kind <> 'joined' AND quota_bytes < COALESCE(size_bytes, durable_offset)",
    ];
    for rows in wrong {
        assert_eq!(db.count(rows).await, 0, "{rows}");
    }
}

async fn take(db: &Db, uploads: &mut Vec<UploadId>, step: &Step) -> Result<(), Error> {
    let catalog = &db.catalog;
    let find = |which: &Index| (!uploads.is_empty()).then(|| *which.get(uploads));
    match step {
        Step::Create { size, kind, job } => {
            let new = NewUpload {
                kind: *kind,
                job: job.then(new_job),
                ..sized(*size)
            };
            catalog.create_upload(&new).await?;
            uploads.push(new.id);
        }
        Step::Join(a, b) => {
            let new = NewUpload {
                kind: UploadKind::Joined,
                parts: [a, b].into_iter().filter_map(find).collect(),
                ..sized(None)
            };
            if !new.parts.is_empty() {
                catalog.create_upload(&new).await?;
                uploads.push(new.id);
            }
        }
        Step::Commit { which, offset } => on_writer(db, find(which), Do::Commit(*offset)).await?,
        Step::Declare { which, size } => on_writer(db, find(which), Do::Declare(*size)).await?,
        Step::Complete { which, size } => on_writer(db, find(which), Do::Complete(*size)).await?,
        Step::Tail { which, tail } => {
            if let Some(id) = find(which) {
                match tail {
                    Some(tail) => drop(catalog.set_tail(&tenant(), id, Offset(*tail)).await?),
                    None => drop(catalog.drop_tail(&tenant(), id).await?),
                }
            }
        }
        Step::Fail(which) => on_writer(db, find(which), Do::Fail).await?,
        Step::Abort(which) => {
            if let Some(id) = find(which) {
                let ended = catalog.abort_upload(&tenant(), id).await?;
                assert_ne!(ended, UploadEnd::Unknown);
            }
        }
        Step::Expire(which) => {
            if let Some(id) = find(which) {
                db.raw(&format!("UPDATE uploads SET expires_at_ms = 0 WHERE id = '{id}'"))
                    .await
                    .unwrap();
                catalog.expire_uploads(MANY).await?;
            }
        }
        Step::Free => {
            for id in catalog.uploads_to_free(MANY).await? {
                catalog.upload_freed(id).await?;
            }
        }
    }
    Ok(())
}

#[derive(Clone, Copy)]
enum Do {
    Commit(i64),
    Declare(i64),
    Complete(i64),
    Fail,
}

/// Does what a writer does, if the upload can have one.
async fn on_writer(db: &Db, id: Option<UploadId>, what: Do) -> Result<(), Error> {
    let Some(id) = id else { return Ok(()) };
    let upload = db.upload(id).await;
    if upload.state != UploadState::Receiving {
        return Ok(());
    }
    let catalog = &db.catalog;
    let writer = match upload.kind {
        UploadKind::Joined => catalog
            .open_joiner(id, WriterId::ONLY, Duration::ZERO)
            .await?
            .expect("it is free"),
        UploadKind::Whole | UploadKind::Partial => db.opened(&upload).await,
    };
    let epoch = writer.writer_epoch;
    let reach = upload.size.unwrap_or(i64::MAX);
    let done = match what {
        Do::Commit(offset) => {
            let offset = offset.min(reach).max(upload.durable_offset.0);
            catalog.commit_offset(id, epoch, Offset(offset), LONG).await?
        }
        Do::Declare(size) => {
            catalog
                .declare_size(id, epoch, size.max(upload.durable_offset.0))
                .await?
        }
        Do::Complete(size) => {
            let size = upload.size.unwrap_or(size.max(upload.durable_offset.0));
            catalog.complete_upload(id, epoch, size).await?
        }
        Do::Fail => catalog.fail_upload(id, epoch, &permanent()).await?,
    };
    // A length that is known already can't become another one.
    assert!(matches!(done, Commit::Done(_)) || matches!(what, Do::Declare(_)));
    Ok(())
}
