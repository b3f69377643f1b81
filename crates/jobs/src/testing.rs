//! A catalog and a store of its own for each test.

use std::{collections::BTreeMap, time::Duration};

use reelway_blob::{DiskStore, Sharing, Store};
use reelway_bus::{Heard, Hints};
use reelway_catalog::{Catalog, Commit, Created, NewJob, NewUpload, Opened, Upload};
use reelway_domain::{Hint, JobId, SourceAction, Tenant, UploadId, UploadKind, WriterId, limits, preset};
use reelway_testkit::{Database, FreshDatabase};

pub(crate) struct Fixture {
    pub(crate) catalog: Catalog,
    pub(crate) store: DiskStore,
    /// The same, as those who work take it.
    pub(crate) bytes: Store,
    url: String,
    database: Option<FreshDatabase>,
    _dir: tempfile::TempDir,
}

/// An upload of eight bytes with a job.
pub(crate) fn new_upload() -> NewUpload {
    NewUpload {
        id: UploadId::new(),
        tenant: Tenant::single(),
        size: Some(8),
        file_name: "a.mp4".into(),
        content_type: "video/mp4".into(),
        metadata: BTreeMap::new(),
        expected_sha256: None,
        expiry: limits::UPLOAD_EXPIRY_DEFAULT,
        job: Some(NewJob {
            id: JobId::new(),
            preset: "fast".into(),
            ladder: preset("fast").unwrap(),
            priority: 0,
            source_action: SourceAction::Keep,
        }),
        webhook_url: None,
        client_state: String::new(),
        kind: UploadKind::Whole,
        parts: Vec::new(),
        request: None,
    }
}

impl Fixture {
    /// On SQLite.
    pub(crate) async fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let url = format!("sqlite://{}", dir.path().join("catalog.db").display());
        Self::on(url, None, dir).await
    }

    /// On Postgres, which several servers can be on.
    pub(crate) async fn on_postgres() -> Self {
        let server = Database::shared().expect("REELWAY_TEST_POSTGRES names a server; scripts/test starts one");
        let database = FreshDatabase::beside(&server);
        Self::on(database.url(), Some(database), tempfile::tempdir().unwrap()).await
    }

    async fn on(url: String, database: Option<FreshDatabase>, dir: tempfile::TempDir) -> Self {
        let catalog = Catalog::open(&url).await.unwrap();
        catalog.migrate().await.unwrap();
        let store = DiskStore::open(dir.path().join("blobs"), Sharing::Exclusive).unwrap();
        Self {
            catalog,
            bytes: store.clone().into(),
            store,
            url,
            database,
            _dir: dir,
        }
    }

    /// The catalog of another server on the same database.
    pub(crate) async fn another_catalog(&self) -> Catalog {
        Catalog::open(&self.url).await.unwrap()
    }

    /// The same after a restart.
    pub(crate) async fn reopened(self) -> Self {
        let Self { catalog, url, .. } = self;
        catalog.close().await;
        drop(catalog);
        let catalog = Catalog::open(&url).await.unwrap();
        Self { catalog, url, ..self }
    }

    /// The database itself.
    pub(crate) fn database(&self) -> &Database {
        self.database.as_deref().expect("a fixture on Postgres")
    }

    pub(crate) async fn create(&self, new: NewUpload) -> Upload {
        self.store.create_upload(new.id).await.unwrap();
        match self.catalog.create_upload(&new).await.unwrap() {
            Created::New(upload) => upload,
            Created::Before(_) => panic!("an upload without request id was there before"),
        }
    }

    pub(crate) async fn upload_with_job(&self) -> Upload {
        self.create(new_upload()).await
    }

    /// The same with all its bytes, so that its tasks can be claimed.
    pub(crate) async fn complete_upload_with_job(&self) -> Upload {
        self.complete(new_upload()).await
    }

    pub(crate) async fn complete(&self, new: NewUpload) -> Upload {
        let upload = self.create(new).await;
        let opened = self
            .catalog
            .open_writer(&Tenant::single(), upload.id, WriterId::ONLY)
            .await
            .unwrap();
        let Opened::Writer(upload) = opened else {
            panic!("{opened:?}")
        };
        let done = self
            .catalog
            .complete_upload(upload.id, upload.writer_epoch, 8)
            .await
            .unwrap();
        let Commit::Done(upload) = done else { panic!("{done:?}") };
        upload
    }

    pub(crate) async fn upload(&self, id: UploadId) -> Upload {
        self.catalog.upload(&Tenant::single(), id).await.unwrap().unwrap()
    }
}

/// Waits for a hint; others may come before.
pub(crate) async fn heard(hints: &mut Hints, expected: Hint) {
    let wait = async { while hints.next().await.unwrap() != Heard::Hint(expected) {} };
    tokio::time::timeout(Duration::from_secs(30), wait).await.unwrap();
}

/// Waits until a condition holds.
pub(crate) async fn eventually(condition: impl AsyncFn() -> bool) {
    let wait = async {
        while !condition().await {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), wait).await.unwrap();
}
