//! A node where everybody has to say who they are, and the ways to call it.

use std::{path::Path, time::Duration};

use bytes::{Buf as _, BufMut as _};
use reelway::v1::{self, upload_service_client::UploadServiceClient};
use tonic::{
    Request, Status,
    client::Grpc,
    codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder},
};

use super::methods::Method;
use crate::harness::{Cli, Node, tool};

/// The node, and somebody at its shell.
pub(super) struct Deployment {
    pub(super) node: Node,
    cli: Cli,
}

impl Deployment {
    pub(super) async fn start() -> Self {
        let node = Node::with(&["--auth", "required"]).await;
        let cli = Cli::of(&node);
        Self { node, cli }
    }

    /// A new key of a tenant, with scopes or with all of them.
    pub(super) async fn key(&self, tenant: &str, scopes: &str) -> String {
        let scopes = match scopes {
            "all" => "uploads:read,uploads:write,jobs:read,jobs:write",
            some => some,
        };
        let data = self.node.data();
        let options = [
            "token", "create", "--json", "--name", "test", "--tenant", tenant, "--scope", scopes, "--data",
        ];
        let told = self
            .cli
            .json(options.iter().map(AsRef::as_ref).chain([data.as_os_str()]))
            .await;
        told[0]["key"].as_str().expect("a key").to_owned()
    }

    pub(super) async fn revoke(&self, key: &str) {
        let (id, _) = key.rsplit_once('_').expect("an id and a secret");
        let data = self.node.data();
        let ended = self
            .cli
            .run([
                Path::new("token"),
                Path::new("revoke"),
                Path::new(id),
                Path::new("--data"),
                &data,
            ])
            .await;
        assert_eq!(ended.code, Some(0), "{ended:#?}");
    }

    /// Calls any method with one message; gives the first message of the answer, or why there is none.
    pub(super) async fn call(
        &self,
        method: &Method,
        token: Option<&str>,
        upload_id: &str,
        job_id: &str,
    ) -> Result<Vec<u8>, Status> {
        let mut grpc = Grpc::new(self.node.channel().await);
        grpc.ready().await.map_err(|error| Status::unknown(error.to_string()))?;
        let request = with_token(Request::new(method.request(upload_id, job_id)), token);
        let stream = tokio_stream::once(request.get_ref().clone());
        let request = request.map(|_| stream);
        let path = method.path.parse().expect("a path");
        let mut answers = grpc.streaming(request, path, Raw).await?.into_inner();
        answers.message().await.map(Option::unwrap_or_default)
    }

    /// Creates an upload of 10 bytes of which nothing is made.
    pub(super) async fn create(&self, token: &str) -> String {
        let request = v1::CreateUploadRequest {
            size_bytes: Some(10),
            preset: "none".into(),
            ..Default::default()
        };
        let mut uploads = UploadServiceClient::new(self.node.channel().await);
        let created = uploads
            .create_upload(with_token(Request::new(request), Some(token)))
            .await
            .expect("an upload");
        created.into_inner().upload.expect("an upload").id
    }

    pub(super) async fn grant(
        &self,
        token: &str,
        upload_id: &str,
        lifetime: Duration,
    ) -> v1::CreateUploadGrantResponse {
        let request = v1::CreateUploadGrantRequest {
            upload_id: upload_id.to_owned(),
            lifetime: Some(lifetime.try_into().expect("a duration")),
        };
        let mut uploads = UploadServiceClient::new(self.node.channel().await);
        let granted = uploads
            .create_upload_grant(with_token(Request::new(request), Some(token)))
            .await;
        granted.expect("a grant").into_inner()
    }

    /// Uploads a file with the command; gives the upload.
    pub(super) async fn upload(&self, token: &str, file: &Path) -> v1::Upload {
        let key = self.cli.file("key", token.as_bytes());
        let words = ["upload", "--json", "--no-wait", "--preset", "fast", "--token-file"].map(Path::new);
        let told = self.cli.json(words.into_iter().chain([key.as_path(), file])).await;
        let id = told.last().expect("a line")["upload_id"]
            .as_str()
            .expect("an id")
            .to_owned();
        let mut uploads = UploadServiceClient::new(self.node.channel().await);
        let request = with_token(
            Request::new(v1::GetUploadRequest {
                upload_id: id,
                ..Default::default()
            }),
            Some(token),
        );
        uploads
            .get_upload(request)
            .await
            .expect("an upload")
            .into_inner()
            .upload
            .expect("an upload")
    }

    /// Asks over HTTP; gives the status and the body.
    pub(super) async fn get(&self, path: &str, token: Option<&str>) -> (u16, String) {
        let url = format!("{}{path}", self.node.http_url());
        let header = token.map(|token| format!("Authorization: Bearer {token}"));
        let options = header.as_ref().map(|header| ["-H", header.as_str()]);
        let args: Vec<&str> = ["-sS", "-m", "10", "-w", "\n%{http_code}", "--path-as-is"]
            .into_iter()
            .collect();
        let said = tool(
            "curl",
            &[args, options.iter().flatten().copied().collect(), vec![&url]].concat(),
        )
        .await;
        let (body, status) = said.rsplit_once('\n').expect("a status");
        (status.parse().expect("a number"), body.to_owned())
    }

    /// The status of a tus client's first question.
    pub(super) async fn head(&self, url: &str) -> u16 {
        let said = tool(
            "curl",
            &[
                "-sS",
                "-I",
                "-o",
                "/dev/null",
                "-w",
                "%{http_code}",
                "-H",
                "Tus-Resumable: 1.0.0",
                url,
            ],
        )
        .await;
        said.parse().expect("a number")
    }
}

fn with_token<T>(mut request: Request<T>, token: Option<&str>) -> Request<T> {
    if let Some(token) = token {
        let value = format!("Bearer {token}").parse().expect("text");
        request.metadata_mut().insert("authorization", value);
    }
    request
}

/// Messages as they are on the wire.
#[derive(Debug, Clone, Copy)]
struct Raw;

impl Codec for Raw {
    type Encode = Vec<u8>;
    type Decode = Vec<u8>;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        *self
    }

    fn decoder(&mut self) -> Self {
        *self
    }
}

impl Encoder for Raw {
    type Item = Vec<u8>;
    type Error = Status;

    fn encode(&mut self, message: Vec<u8>, into: &mut EncodeBuf<'_>) -> Result<(), Status> {
        into.put_slice(&message);
        Ok(())
    }
}

impl Decoder for Raw {
    type Item = Vec<u8>;
    type Error = Status;

    fn decode(&mut self, from: &mut DecodeBuf<'_>) -> Result<Option<Vec<u8>>, Status> {
        let length = from.remaining();
        Ok(Some(from.copy_to_bytes(length).to_vec()))
    }
}
