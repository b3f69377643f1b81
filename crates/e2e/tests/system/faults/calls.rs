//! Calls that many cases make.

use reelway::v1::{self, upload_service_client::UploadServiceClient};
use tonic::transport::Channel;

/// Creates an upload of unknown length that no job follows.
pub(super) async fn created(uploads: &mut UploadServiceClient<Channel>) -> String {
    let request = v1::CreateUploadRequest {
        preset: "none".to_owned(),
        ..Default::default()
    };
    let answer = uploads.create_upload(request).await.expect("an answer").into_inner();
    answer.upload.expect("an upload").id
}

/// Up to where the upload is durable.
pub(super) async fn offset(uploads: &mut UploadServiceClient<Channel>, upload_id: &str) -> i64 {
    let request = v1::GetUploadRequest {
        upload_id: upload_id.to_owned(),
        end_writer: false,
    };
    let answer = uploads.get_upload(request).await.expect("an answer").into_inner();
    answer.upload.expect("an upload").durable_offset
}
