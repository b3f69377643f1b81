//! The bare service: what the transport and the disk cost without anything that Reelway adds. No catalog, no offsets, no
//! epochs, no commits on the way: messages go to a file, with one fdatasync at the end. Transport settings are Reelway's.

use std::{
    error::Error,
    fs::File,
    io::Write as _,
    net::SocketAddr,
    os::unix::fs::FileExt as _,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use reelway::v1::{self, upload_service_server::UploadService};
use reelway_domain::limits;
use reelway_rpc::GrpcServer;
use tonic::{Request, Response, Status, Streaming, async_trait};

struct Bare {
    dir: PathBuf,
    count: AtomicU64,
}

pub(crate) async fn run(listen: SocketAddr, dir: PathBuf) -> Result<(), Box<dyn Error>> {
    let listener = tokio::net::TcpListener::bind(listen).await?;
    writeln!(std::io::stdout(), "{}", listener.local_addr()?)?;
    let bare = Bare {
        dir,
        count: AtomicU64::new(0),
    };
    let service =
        v1::upload_service_server::UploadServiceServer::new(bare).max_decoding_message_size(limits::MESSAGE_BYTES_MAX);
    let forever = std::future::pending();
    GrpcServer::new(listener)
        .add_service(service)
        .serve(forever, std::time::Duration::ZERO)
        .await?;
    Ok(())
}

fn io(error: &std::io::Error) -> Status {
    Status::unknown(error.to_string())
}

fn bare() -> Status {
    Status::unimplemented("the bare service only writes")
}

type Answer<T> = Result<Response<T>, Status>;

#[async_trait]
impl UploadService for Bare {
    type StreamUploadStream = tokio_stream::Empty<Result<v1::StreamUploadResponse, Status>>;

    async fn create_upload(&self, _: Request<v1::CreateUploadRequest>) -> Answer<v1::CreateUploadResponse> {
        let id = self.count.fetch_add(1, Ordering::Relaxed).to_string();
        let upload = Some(v1::Upload {
            id,
            ..v1::Upload::default()
        });
        Ok(Response::new(v1::CreateUploadResponse {
            upload,
            ..v1::CreateUploadResponse::default()
        }))
    }

    async fn write_upload(
        &self,
        request: Request<Streaming<v1::WriteUploadRequest>>,
    ) -> Answer<v1::WriteUploadResponse> {
        let mut messages = request.into_inner();
        let mut file: Option<Arc<File>> = None;
        let mut end = 0;
        while let Some(message) = messages.message().await? {
            let chunk = message.chunk.unwrap_or_default();
            let file = match &file {
                Some(file) => Arc::clone(file),
                None => {
                    let path = self.dir.join(format!("bare-{}", chunk.upload_id));
                    let opened = Arc::new(File::create(path).map_err(|error| io(&error))?);
                    file = Some(Arc::clone(&opened));
                    opened
                }
            };
            end = chunk.offset.unsigned_abs() + chunk.data.len() as u64;
            let write = move || file.write_all_at(&chunk.data, chunk.offset.unsigned_abs());
            tokio::task::spawn_blocking(write)
                .await
                .map_err(|_| bare())?
                .map_err(|error| io(&error))?;
        }
        let file = file.ok_or_else(bare)?;
        tokio::task::spawn_blocking(move || file.sync_data())
            .await
            .map_err(|_| bare())?
            .map_err(|error| io(&error))?;
        let durable_offset = i64::try_from(end).map_err(|_| bare())?;
        Ok(Response::new(v1::WriteUploadResponse {
            durable_offset,
            upload: None,
        }))
    }

    async fn stream_upload(&self, _: Request<Streaming<v1::StreamUploadRequest>>) -> Answer<Self::StreamUploadStream> {
        Err(bare())
    }

    async fn put_upload_tail(
        &self,
        _: Request<Streaming<v1::PutUploadTailRequest>>,
    ) -> Answer<v1::PutUploadTailResponse> {
        Err(bare())
    }

    async fn get_upload(&self, _: Request<v1::GetUploadRequest>) -> Answer<v1::GetUploadResponse> {
        Err(bare())
    }

    async fn list_uploads(&self, _: Request<v1::ListUploadsRequest>) -> Answer<v1::ListUploadsResponse> {
        Err(bare())
    }

    async fn complete_upload(&self, _: Request<v1::CompleteUploadRequest>) -> Answer<v1::CompleteUploadResponse> {
        Err(bare())
    }

    async fn abort_upload(&self, _: Request<v1::AbortUploadRequest>) -> Answer<v1::AbortUploadResponse> {
        Err(bare())
    }

    async fn create_upload_parts(
        &self,
        _: Request<v1::CreateUploadPartsRequest>,
    ) -> Answer<v1::CreateUploadPartsResponse> {
        Err(bare())
    }

    async fn report_upload_parts(
        &self,
        _: Request<v1::ReportUploadPartsRequest>,
    ) -> Answer<v1::ReportUploadPartsResponse> {
        Err(bare())
    }

    async fn create_upload_grant(
        &self,
        _: Request<v1::CreateUploadGrantRequest>,
    ) -> Answer<v1::CreateUploadGrantResponse> {
        Err(bare())
    }
}
