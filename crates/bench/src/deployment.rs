//! The Postgres and the Redis that a measurement runs over.

use std::error::Error;

use reelway_catalog::{Catalog, Commit, NewUpload, Opened};
use reelway_domain::{Tenant, UploadId, UploadKind, WriterId, limits};

/// Where they are.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Servers {
    /// The catalog's database.
    #[arg(long)]
    pub(crate) database: String,
    /// The bus.
    #[arg(long)]
    pub(crate) redis: String,
}

impl Servers {
    /// The same, as options.
    pub(crate) fn options(&self) -> [&str; 4] {
        ["--database", &self.database, "--redis", &self.redis]
    }

    /// Opens the catalog and brings its schema up to date.
    pub(crate) async fn catalog(&self) -> Result<Catalog, reelway_catalog::Error> {
        let catalog = Catalog::open(&self.database).await?;
        catalog.migrate().await?;
        Ok(catalog)
    }
}

/// An upload without bytes that is complete, so that tasks of its jobs wait for nothing.
pub(crate) async fn complete_upload(catalog: &Catalog) -> Result<UploadId, Box<dyn Error>> {
    let new = NewUpload {
        id: UploadId::new(),
        tenant: Tenant::single(),
        size: Some(0),
        file_name: "bench.bin".into(),
        content_type: String::new(),
        metadata: std::collections::BTreeMap::new(),
        expected_sha256: None,
        expiry: limits::UPLOAD_EXPIRY_DEFAULT,
        job: None,
        request: None,
        webhook_url: None,
        client_state: String::new(),
        kind: UploadKind::Whole,
        parts: Vec::new(),
    };
    catalog.create_upload(&new).await?;
    let Opened::Writer(upload) = catalog.open_writer(&new.tenant, new.id, WriterId::new()).await? else {
        return Err("the upload can't be written".into());
    };
    match catalog.complete_upload(new.id, upload.writer_epoch, 0).await? {
        Commit::Done(_) => Ok(new.id),
        Commit::Superseded => Err("the upload could not be completed".into()),
    }
}
