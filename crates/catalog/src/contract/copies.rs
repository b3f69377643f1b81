//! A copy is the same, on the other database too.

use reelway_domain::{JobState, TaskState, UploadKind};

use super::{db::Db, effects, endings, fixture::*, jobs, leases, staged};
use crate::{Catalog, Copied, CopyError, Error, NewUpload, Upload, copy};

/// Some of everything: jobs in all states, a running lease, an upload that receives, a digest, a request id, hints.
async fn filled() -> Db {
    let db = Db::sqlite().await;
    effects::a_job_runs_from_probe_to_finish(&db).await;
    jobs::cancelling_takes_all_leases(&db).await;
    leases::a_lost_worker_costs_an_attempt(&db).await;
    endings::an_aborted_upload_cancels_its_jobs(&db).await;
    for number in 0..300 {
        let new = NewUpload {
            expected_sha256: Some([7; 32]),
            request: Some(request(&format!("r{number}"), 1)),
            metadata: [("kéy".to_owned(), "x".repeat(20_000))].into(),
            ..new_upload()
        };
        db.catalog.create_upload(&new).await.unwrap();
    }
    let part = NewUpload {
        kind: UploadKind::Partial,
        client_state: "part".into(),
        ..new_upload()
    };
    db.catalog.create_upload(&part).await.unwrap();
    let joined = NewUpload {
        kind: UploadKind::Joined,
        parts: vec![part.id; 2],
        ..new_upload()
    };
    db.catalog.create_upload(&joined).await.unwrap();
    db.catalog.agree("store", "disk:/a").await.unwrap();
    staged::begun(&db).await;
    db
}

fn rows(copied: &Copied, table: &str) -> u64 {
    let found = copied.tables.iter().find(|(name, _)| *name == table);
    found.expect("the table").1
}

async fn everything(catalog: &Catalog) -> (Vec<Upload>, Vec<crate::Job>, Vec<reelway_domain::JobEvent>) {
    let uploads = catalog.list_uploads(&tenant(), None, None, MANY).await.unwrap();
    let jobs = catalog
        .list_jobs(&tenant(), &crate::JobFilter::default(), None, MANY)
        .await
        .unwrap();
    let events = catalog
        .events_of_tenant(&tenant(), reelway_domain::EventSeq(0), MANY)
        .await
        .unwrap();
    (uploads, jobs, events)
}

/// Copies to another database, and goes on there.
async fn is_the_same_and_goes_on(to: Db) {
    let from = filled().await;
    let job = from.planned(2).await;
    let running = from.claim().await.task;
    let copied = copy(&from.catalog, &to.catalog).await.unwrap();
    assert_eq!(everything(&to.catalog).await, everything(&from.catalog).await);
    assert_eq!(
        i64::try_from(rows(&copied, "uploads")).unwrap(),
        from.count("uploads").await
    );
    assert_eq!(
        i64::try_from(rows(&copied, "task_edges")).unwrap(),
        to.count("task_edges").await
    );
    assert_eq!((rows(&copied, "request_ids"), rows(&copied, "settings")), (300, 1));
    assert_eq!(rows(&copied, "upload_joins"), 2);
    assert_eq!((rows(&copied, "parts"), rows(&copied, "rests")), (1, 2));
    for upload in &everything(&from.catalog).await.0 {
        let copied = to.catalog.staged(upload.id).await.unwrap();
        assert_eq!(copied, from.catalog.staged(upload.id).await.unwrap());
    }
    assert_eq!(to.catalog.agree("store", "disk:/b").await.unwrap(), "disk:/a");
    assert_eq!(to.catalog.schema().await.unwrap(), crate::Schema::Current);

    assert_eq!(to.task(&running).await.state, TaskState::Running);
    assert_eq!(
        to.catalog.reap(MANY).await.unwrap(),
        1,
        "its worker is not heard of again"
    );
    to.skip_backoff().await;
    let again = to.claim().await.task;
    assert_eq!((again.id, again.attempt), (running.id, 2));
    to.catalog.cancel_job(&tenant(), job).await.unwrap();
    assert_eq!(to.job(job).await.state, JobState::Cancelled);

    let full = copy(&from.catalog, &to.catalog).await;
    assert!(
        matches!(full, Err(Error::Copy(CopyError::NotEmpty { table: "tenants" }))),
        "{full:?}"
    );
    from.remove().await;
    to.remove().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copy_on_postgres_is_the_same_and_goes_on() {
    is_the_same_and_goes_on(Db::postgres().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copy_on_sqlite_is_the_same_and_goes_on() {
    is_the_same_and_goes_on(Db::sqlite().await).await;
}

/// A copy that must fail, and leave nothing behind.
async fn refused(to: &Db) -> Error {
    let from = Db::sqlite().await;
    from.planned(2).await;
    let refused = copy(&from.catalog, &to.catalog).await.unwrap_err();
    assert_eq!(to.count("tenants").await, 0);
    from.remove().await;
    refused
}

#[tokio::test]
async fn a_copy_that_is_not_the_same_is_undone() {
    let to = Db::postgres().await;
    let change =
        "CREATE FUNCTION change() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.weight_ms := 5; RETURN NEW; END $$;
                  CREATE TRIGGER change BEFORE INSERT ON tasks FOR EACH ROW EXECUTE FUNCTION change()";
    to.raw(change).await.unwrap();
    let error = refused(&to).await;
    let differs =
        matches!(&error, Error::Copy(CopyError::RowsDiffer { table: "tasks", read, written }) if read == written);
    assert!(differs, "{error}");
    to.remove().await;
}

#[tokio::test]
async fn a_copy_between_two_releases_is_refused() {
    let is_schema = |error: &Error| matches!(error, Error::Copy(CopyError::SchemaDiffers { .. }));
    for change in [
        "DELETE FROM _sqlx_migrations WHERE version = 2",
        "ALTER TABLE jobs ADD COLUMN future TEXT",
        "CREATE TABLE futures (id TEXT PRIMARY KEY)",
    ] {
        let to = Db::postgres().await;
        to.raw(change).await.unwrap();
        let error = refused(&to).await;
        assert!(is_schema(&error), "{change}: {error}");
        to.remove().await;
    }
}
