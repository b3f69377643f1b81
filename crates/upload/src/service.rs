//! The RPCs of UploadService: each hands its request on and turns the result into an answer.

use std::sync::Arc;

use reelway::v1::{self, UploadChunk, upload_service_server::UploadService};
use reelway_catalog::Upload;
use reelway_domain::{Failure, UploadId, limits};
use reelway_rpc::{request::require_id, take_directly, to_status};
use tokio_stream::{Stream, StreamExt as _, wrappers::ReceiverStream};
use tokio_util::either::Either;
use tonic::{Request, Response, Status, Streaming};

use crate::{
    UploadServer,
    answers::{Answer, Answers},
    caller::identity,
    session::Session,
};

/// What an RPC answers.
type Answered<T> = Result<Response<T>, Status>;

#[tonic::async_trait]
impl UploadService for UploadServer {
    type StreamUploadStream = ReceiverStream<Answer>;

    async fn create_upload(&self, request: Request<v1::CreateUploadRequest>) -> Answered<v1::CreateUploadResponse> {
        let (caller, shared) = (identity(&request)?, Arc::clone(&self.shared));
        let call = async move { shared.create(caller, request.into_inner()).await };
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
            caller: identity(&request)?,
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
        let caller = identity(&request)?;
        // An edge in this process hands its messages over as they are.
        let messages = match take_directly::<v1::StreamUploadRequest, _>(&request) {
            Some(messages) => Either::Left(ReceiverStream::new(messages).map(Ok)),
            None => Either::Right(request.into_inner()),
        };
        let session = Session {
            shared: Arc::clone(&self.shared),
            caller,
            chunks: chunks(messages, |message| message.chunk),
            answers,
        };
        self.detach(async move { last.send(session.run().await) });
        Ok(Response::new(ReceiverStream::new(receiver)))
    }

    async fn put_upload_tail(
        &self,
        request: Request<Streaming<v1::PutUploadTailRequest>>,
    ) -> Answered<v1::PutUploadTailResponse> {
        let (caller, shared) = (identity(&request)?, Arc::clone(&self.shared));
        let messages = match take_directly::<v1::PutUploadTailRequest, _>(&request) {
            Some(messages) => Either::Left(ReceiverStream::new(messages).map(Ok)),
            None => Either::Right(request.into_inner()),
        };
        let call = async move { shared.put_tail(&caller, messages).await };
        let upload = Some(reelway_view::upload(&self.detached(call).await?));
        Ok(Response::new(v1::PutUploadTailResponse { upload }))
    }

    async fn get_upload(&self, request: Request<v1::GetUploadRequest>) -> Answered<v1::GetUploadResponse> {
        let caller = identity(&request)?;
        let found = self.shared.get(&caller, request.get_ref()).await;
        answer(found, |upload| v1::GetUploadResponse { upload })
    }

    async fn list_uploads(&self, request: Request<v1::ListUploadsRequest>) -> Answered<v1::ListUploadsResponse> {
        let caller = identity(&request)?;
        let page = self.shared.list(&caller, request.get_ref()).await;
        page.map(Response::new).map_err(|failure| to_status(&failure))
    }

    async fn complete_upload(
        &self,
        request: Request<v1::CompleteUploadRequest>,
    ) -> Answered<v1::CompleteUploadResponse> {
        let (caller, shared) = (identity(&request)?, Arc::clone(&self.shared));
        let call = async move { shared.complete(&caller, request.get_ref()).await };
        answer(self.detached(call).await, |upload| v1::CompleteUploadResponse {
            upload,
        })
    }

    async fn abort_upload(&self, request: Request<v1::AbortUploadRequest>) -> Answered<v1::AbortUploadResponse> {
        let (caller, shared) = (identity(&request)?, Arc::clone(&self.shared));
        let call = async move {
            let request = request.get_ref();
            let id = require_id::<UploadId>("upload_id", &request.upload_id)?;
            shared.abort(&caller, id, request.also_complete).await
        };
        answer(self.detached(call).await, |upload| v1::AbortUploadResponse { upload })
    }

    async fn create_upload_grant(
        &self,
        request: Request<v1::CreateUploadGrantRequest>,
    ) -> Answered<v1::CreateUploadGrantResponse> {
        let caller = identity(&request)?;
        let granted = self.shared.grant(&caller, request.get_ref()).await;
        granted.map(Response::new).map_err(|failure| to_status(&failure))
    }

    async fn create_upload_parts(
        &self,
        request: Request<v1::CreateUploadPartsRequest>,
    ) -> Answered<v1::CreateUploadPartsResponse> {
        let (caller, shared) = (identity(&request)?, Arc::clone(&self.shared));
        let call = async move { shared.create_parts(&caller, request.get_ref()).await };
        let created = self.detached(call).await;
        created.map(Response::new).map_err(|failure| to_status(&failure))
    }

    async fn report_upload_parts(
        &self,
        request: Request<v1::ReportUploadPartsRequest>,
    ) -> Answered<v1::ReportUploadPartsResponse> {
        let (caller, shared) = (identity(&request)?, Arc::clone(&self.shared));
        let call = async move { shared.report_parts(&caller, request.get_ref()).await };
        let upload = self.detached(call).await.map_err(|failure| to_status(&failure))?;
        Ok(Response::new(v1::ReportUploadPartsResponse {
            durable_offset: upload.durable_offset.0,
            upload: Some(reelway_view::upload(&upload)),
        }))
    }
}

/// The chunks of a stream of messages. After its end it stays ended.
fn chunks<M>(
    messages: impl Stream<Item = Result<M, Status>> + Unpin,
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
