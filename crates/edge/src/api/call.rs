//! The call behind a route, with messages that are known only by their descriptors.

use http::uri::PathAndQuery;
use prost::Message as _;
use prost_reflect::{DynamicMessage, MessageDescriptor, MethodDescriptor};
use reelway_domain::{Failure, Reason};
use tonic::{
    Request, Status,
    client::Grpc,
    codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder},
};

use super::table::Service;
use crate::{
    append::failure,
    upstream::{GrpcService, Upstream},
};

/// The largest answer, in bytes: the longest page of uploads with as much metadata as they may have.
const ANSWER_BYTES_MAX: usize = 32 << 20;

/// Calls a method.
///
/// # Errors
/// What the service refuses with; `SERVICE_UNAVAILABLE` if it doesn't answer.
pub(super) async fn unary(
    upstream: &Upstream,
    service: Service,
    method: &MethodDescriptor,
    request: Request<DynamicMessage>,
) -> Result<DynamicMessage, Failure> {
    let mut client = Grpc::new(service_of(upstream, service)).max_decoding_message_size(ANSWER_BYTES_MAX);
    client.ready().await.map_err(failure)?;
    let path = format!("/{}/{}", method.parent_service().full_name(), method.name());
    let path = PathAndQuery::try_from(path)
        .map_err(|error| Failure::new(Reason::Internal, format!("a method can't be called: {error}")))?;
    let answer = client.unary(request, path, ByDescriptor(method.output())).await;
    Ok(answer.map_err(failure)?.into_inner())
}

fn service_of(upstream: &Upstream, service: Service) -> GrpcService {
    match service {
        Service::Uploads => upstream.uploads.clone(),
        Service::Jobs => upstream.jobs.clone(),
        Service::Progress => upstream.progress.clone(),
    }
}

/// Reads answers as what the descriptor describes.
#[derive(Debug, Clone)]
struct ByDescriptor(MessageDescriptor);

impl Codec for ByDescriptor {
    type Encode = DynamicMessage;
    type Decode = DynamicMessage;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        self.clone()
    }

    fn decoder(&mut self) -> Self {
        self.clone()
    }
}

impl Encoder for ByDescriptor {
    type Item = DynamicMessage;
    type Error = Status;

    fn encode(&mut self, message: DynamicMessage, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        let encoded = message.encode(buffer);
        encoded.map_err(|error| Status::internal(format!("a request can't be encoded: {error}")))
    }
}

impl Decoder for ByDescriptor {
    type Item = DynamicMessage;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<DynamicMessage>, Status> {
        let decoded = DynamicMessage::decode(self.0.clone(), buffer);
        decoded
            .map(Some)
            .map_err(|error| Status::internal(format!("an answer can't be decoded: {error}")))
    }
}
