//! The RPCs of UploadService: each hands its request on and turns the result into an answer.

use std::sync::Arc;

use reelway::v1::{self, UploadChunk, upload_service_server::UploadService};
use reelway_catalog::Upload;
use reelway_domain::{Failure, Reason, UploadId, limits};
use reelway_rpc::{request::require_id, to_status};
use tokio_stream::{Stream, StreamExt as _, wrappers::ReceiverStream};
use tonic::{Request, Response, Status, Streaming};

use crate::{
    UploadServer,
    answers::{Answer, Answers},
    caller,
    session::Session,
};

/// What an RPC answers.
type Answered<T> = Result<Response<T>, Status>;

#[tonic::async_trait]
impl UploadService for UploadServer {
    type StreamUploadStream = ReceiverStream<Answer>;

    async fn create_upload(&self, request: Request<v1::CreateUploadRequest>) -> Answered<v1::CreateUploadResponse> {
        let (tenant, shared) = (caller::tenant(&request), Arc::clone(&self.shared));
        let call = async move { shared.create(tenant, request.into_inner()).await };
        answer(self.detached(call).await, |upload| v1::CreateUploadResponse {
            upload,
            chunk_bytes_max: i32::try_from(limits::CHUNK_BYTES_MAX).unwrap_or(i32::MAX),
        })
    }

    async fn write_upload(
        &self,
        request: Request<Streaming<v1::WriteUploadRequest>>,
    ) -> Answered<v1::WriteUploadResponse> {
        let session = Session {
            shared: Arc::clone(&self.shared),
            tenant: caller::tenant(&request),
            chunks: chunks(request.into_inner(), |message| message.chunk),
            answers: Answers::AtEnd,
        };
        let upload = self.detached(session.run()).await?;
        Ok(Response::new(v1::WriteUploadResponse {
            durable_offset: upload.durable_offset.0,
            upload: Some(reelway_view::upload(&upload)),
        }))
    }

    async fn stream_upload(
        &self,
        request: Request<Streaming<v1::StreamUploadRequest>>,
    ) -> Answered<Self::StreamUploadStream> {
        let (answers, last, receiver) = Answers::along();
        let session = Session {
            shared: Arc::clone(&self.shared),
            tenant: caller::tenant(&request),
            chunks: chunks(request.into_inner(), |message| message.chunk),
            answers,
        };
        self.detach(async move { last.send(session.run().await) });
        Ok(Response::new(ReceiverStream::new(receiver)))
    }

    async fn put_upload_tail(
        &self,
        _request: Request<Streaming<v1::PutUploadTailRequest>>,
    ) -> Answered<v1::PutUploadTailResponse> {
        Err(unavailable(
            "this server takes no tails ahead of time; write the file in order",
        ))
    }

    async fn get_upload(&self, request: Request<v1::GetUploadRequest>) -> Answered<v1::GetUploadResponse> {
        let tenant = caller::tenant(&request);
        let found = self.shared.get(&tenant, request.get_ref()).await;
        answer(found, |upload| v1::GetUploadResponse { upload })
    }

    async fn list_uploads(&self, request: Request<v1::ListUploadsRequest>) -> Answered<v1::ListUploadsResponse> {
        let tenant = caller::tenant(&request);
        let page = self.shared.list(&tenant, request.get_ref()).await;
        page.map(Response::new).map_err(|failure| to_status(&failure))
    }

    async fn complete_upload(
        &self,
        request: Request<v1::CompleteUploadRequest>,
    ) -> Answered<v1::CompleteUploadResponse> {
        let (tenant, shared) = (caller::tenant(&request), Arc::clone(&self.shared));
        let call = async move { shared.complete(&tenant, request.get_ref()).await };
        answer(self.detached(call).await, |upload| v1::CompleteUploadResponse {
            upload,
        })
    }

    async fn abort_upload(&self, request: Request<v1::AbortUploadRequest>) -> Answered<v1::AbortUploadResponse> {
        let (tenant, shared) = (caller::tenant(&request), Arc::clone(&self.shared));
        let call = async move {
            let id = require_id::<UploadId>("upload_id", &request.get_ref().upload_id)?;
            shared.abort(&tenant, id).await
        };
        answer(self.detached(call).await, |upload| v1::AbortUploadResponse { upload })
    }

    async fn create_upload_grant(
        &self,
        _request: Request<v1::CreateUploadGrantRequest>,
    ) -> Answered<v1::CreateUploadGrantResponse> {
        Err(unavailable(
            "this server signs no upload grants; write the upload over gRPC",
        ))
    }
}

/// The chunks of a stream of messages. After its end it stays ended.
fn chunks<M>(
    messages: Streaming<M>,
    chunk: impl Fn(M) -> Option<UploadChunk> + Unpin,
) -> impl Stream<Item = Result<Option<UploadChunk>, Status>> + Unpin {
    messages.map(move |message| message.map(&chunk)).fuse()
}

fn answer<T>(result: Result<Upload, Failure>, with: impl FnOnce(Option<v1::Upload>) -> T) -> Answered<T> {
    match result {
        Ok(upload) => Ok(Response::new(with(Some(reelway_view::upload(&upload))))),
        Err(failure) => Err(to_status(&failure)),
    }
}

fn unavailable(message: &str) -> Status {
    to_status(&Failure::new(Reason::FeatureUnavailable, message))
}
