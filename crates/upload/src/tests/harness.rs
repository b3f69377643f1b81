//! The node under test, and what its clients say.

mod block;
mod chunks;
mod failures;
mod held;
mod open;
mod serve;
mod stream;
mod wait;

use std::{path::Path, sync::Arc};

use reelway::v1::{self, UploadChunk, upload_service_client::UploadServiceClient};
use reelway_auth::Identity;
use reelway_blob::{DiskStore, Sharing, Store};
use reelway_bus::Bus;
use reelway_catalog::{Catalog, Commit, Opened, Upload};
use reelway_domain::{Failure, Tenant, UploadId};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;
use tonic::transport::Channel;

use self::serve::serve;
pub(crate) use self::{
    block::{block, let_go},
    chunks::{chunk, chunks, content, finish, flush},
    failures::{durable, failure, refused},
    serve::connect,
    stream::Stream,
    wait::{beside, patient, until},
};
use crate::{Settings, UploadServer};

pub(crate) const MIB: usize = 1 << 20;

/// Where the bytes of a test are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum At {
    Disk,
    Bucket,
}

/// A server, what it works on, and a client.
pub(crate) struct Node {
    pub(crate) catalog: Catalog,
    pub(crate) store: Store,
    pub(crate) bus: Bus,
    pub(crate) client: UploadServiceClient<Channel>,
    pub(crate) server: UploadServer,
    pub(crate) shutdown: CancellationToken,
    pub(crate) address: String,
    data: Arc<TempDir>,
    /// Of a bucket: another one for each test.
    prefix: String,
}

impl Node {
    pub(crate) async fn start(at: At) -> Self {
        Self::with(at, Settings::default()).await
    }

    pub(crate) async fn with(at: At, settings: Settings) -> Self {
        Self::beginning(at, settings, Sharing::Exclusive).await
    }

    /// With the bytes below another directory than the database.
    pub(crate) async fn on_disk(bytes: &Path) -> Self {
        let data = Arc::new(tempfile::tempdir().unwrap());
        let store = DiskStore::open(bytes, Sharing::Exclusive).unwrap().into();
        let catalog = open::catalog(&data).await;
        Self::on(
            catalog,
            store,
            Bus::default(),
            Settings::default(),
            (data, String::new()),
        )
        .await
    }

    /// With a store that other nodes may share.
    pub(crate) async fn sharing(at: At) -> Self {
        Self::sharing_with(at, Settings::default()).await
    }

    pub(crate) async fn sharing_with(at: At, settings: Settings) -> Self {
        Self::beginning(at, settings, Sharing::Shared).await
    }

    async fn beginning(at: At, settings: Settings, sharing: Sharing) -> Self {
        let data = Arc::new(tempfile::tempdir().unwrap());
        let prefix = UploadId::new().to_string();
        let store = match at {
            At::Disk => DiskStore::open(data.path().join("blobs"), sharing).unwrap().into(),
            At::Bucket => open::bucket(&prefix).await,
        };
        let catalog = open::catalog(&data).await;
        Self::on(catalog, store, Bus::default(), settings, (data, prefix)).await
    }

    /// The same bytes, as another process has them.
    pub(crate) async fn another_store(&self) -> Store {
        match &self.store {
            Store::Disk(_) => {
                let disk = DiskStore::open(self.data.path().join("blobs"), Sharing::Shared);
                disk.unwrap().into()
            }
            Store::Bucket(_) => open::bucket(&self.prefix).await,
        }
    }

    /// Another node on the same catalog and the same bytes, as another process has them.
    pub(crate) async fn beside(&self, bus: Bus) -> Self {
        let store = self.another_store().await;
        let settings = self.server.shared.settings.clone();
        let place = (Arc::clone(&self.data), self.prefix.clone());
        Self::on(self.catalog.clone(), store, bus, settings, place).await
    }

    async fn on(
        catalog: Catalog,
        store: Store,
        bus: Bus,
        settings: Settings,
        (data, prefix): (Arc<TempDir>, String),
    ) -> Self {
        let shutdown = CancellationToken::new();
        let server = UploadServer::new(catalog.clone(), store.clone(), bus.clone(), settings, shutdown.clone());
        let address = serve(&server, Identity::anybody(), &shutdown).await;
        tokio::spawn(server.clone().follow());
        tokio::spawn(server.clone().join());
        Self {
            client: connect(&address).await,
            catalog,
            store,
            bus,
            server,
            shutdown,
            address,
            data,
            prefix,
        }
    }

    /// A client of the same server that is somebody else.
    pub(crate) async fn client_of(&self, identity: Identity) -> UploadServiceClient<Channel> {
        connect(&serve(&self.server, identity, &self.shutdown).await).await
    }

    pub(crate) async fn create(&self, size: Option<usize>) -> v1::Upload {
        self.create_with(v1::CreateUploadRequest {
            size_bytes: size.map(|size| i64::try_from(size).unwrap()),
            ..Default::default()
        })
        .await
        .unwrap()
    }

    pub(crate) async fn create_with(&self, request: v1::CreateUploadRequest) -> Result<v1::Upload, Failure> {
        let answer = self.client.clone().create_upload(request).await.map_err(failure)?;
        Ok(answer.into_inner().upload.unwrap())
    }

    pub(crate) async fn get(&self, id: &str) -> v1::Upload {
        let answer = self.client.clone().get_upload(get(id, false)).await;
        answer.unwrap().into_inner().upload.unwrap()
    }

    /// GetUpload by somebody who wants to go on with the upload.
    pub(crate) async fn end_writer(&self, id: &str) -> v1::Upload {
        let answer = self.client.clone().get_upload(get(id, true)).await;
        answer.unwrap().into_inner().upload.unwrap()
    }

    /// WriteUpload with all these chunks.
    pub(crate) async fn write(&self, chunks: Vec<UploadChunk>) -> Result<v1::Upload, Failure> {
        let messages = chunks
            .into_iter()
            .map(|chunk| v1::WriteUploadRequest { chunk: Some(chunk) });
        let answer = self.client.clone().write_upload(tokio_stream::iter(messages)).await;
        let answer = answer.map_err(failure)?.into_inner();
        let upload = answer.upload.unwrap();
        assert_eq!(answer.durable_offset, upload.durable_offset);
        Ok(upload)
    }

    pub(crate) async fn complete(&self, id: &str, size_bytes: i64) -> Result<v1::Upload, Failure> {
        let upload_id = id.to_owned();
        let request = v1::CompleteUploadRequest { upload_id, size_bytes };
        let answer = self.client.clone().complete_upload(request).await.map_err(failure)?;
        Ok(answer.into_inner().upload.unwrap())
    }

    pub(crate) async fn abort(&self, id: &str) -> Result<v1::Upload, Failure> {
        let request = v1::AbortUploadRequest {
            upload_id: id.to_owned(),
            ..Default::default()
        };
        let answer = self.client.clone().abort_upload(request).await;
        Ok(answer.map_err(failure)?.into_inner().upload.unwrap())
    }

    /// A later writer completes an upload in the catalog alone, so that nothing here hears of it.
    pub(crate) async fn completed_elsewhere(&self, id: &str) {
        let row = self.row(id).await;
        let opened = self
            .catalog
            .open_writer(&row.tenant, row.id, self.store.writer_id())
            .await;
        let Opened::Writer(later) = opened.unwrap() else {
            panic!("the upload has ended");
        };
        let (epoch, size) = (later.writer_epoch, later.size.unwrap());
        let completed = self.catalog.complete_upload(row.id, epoch, size).await.unwrap();
        assert!(matches!(completed, Commit::Done(_)), "{completed:?}");
    }

    /// The upload's row.
    pub(crate) async fn row(&self, id: &str) -> Upload {
        let found = self.catalog.upload(&Tenant::single(), id.parse().unwrap()).await;
        found.unwrap().unwrap()
    }
}

pub(crate) fn get(upload_id: &str, end_writer: bool) -> v1::GetUploadRequest {
    v1::GetUploadRequest {
        upload_id: upload_id.to_owned(),
        end_writer,
    }
}
