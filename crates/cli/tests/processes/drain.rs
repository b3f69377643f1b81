//! How a server stops, and how connections end while it goes on.

use std::{fs, net::SocketAddr};

use nix::sys::signal::Signal;
use reelway::v1::{self, upload_service_client::UploadServiceClient};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Streaming, transport::Channel};
use tonic_types::StatusExt as _;

use crate::node::{Node, until};

/// An upload that is being written to.
struct Writing {
    client: UploadServiceClient<Channel>,
    upload_id: String,
    send: mpsc::Sender<v1::StreamUploadRequest>,
    answers: Streaming<v1::StreamUploadResponse>,
}

impl Writing {
    /// Creates an upload and opens its stream.
    async fn begin(node: &mut Node) -> Self {
        let mut client = UploadServiceClient::new(node.channel("grpc").await);
        let upload_id = create(&mut client).await.expect("an upload");
        let (send, requests) = mpsc::channel(1);
        send.send(chunk(&upload_id, 0, b"")).await.expect("it is open");
        let answers = client
            .stream_upload(ReceiverStream::new(requests))
            .await
            .expect("a stream")
            .into_inner();
        let mut writing = Self {
            client,
            upload_id,
            send,
            answers,
        };
        assert_eq!(writing.answer().await.expect("a first answer"), 0);
        writing
    }

    /// Sends bytes and waits until they are durable.
    async fn write(&mut self, offset: i64, data: &'static [u8]) -> i64 {
        self.send
            .send(chunk(&self.upload_id, offset, data))
            .await
            .expect("it is open");
        self.answer().await.expect("an answer")
    }

    async fn answer(&mut self) -> Result<i64, tonic::Status> {
        let answer = self.answers.message().await?;
        Ok(answer.expect("the stream has not ended").durable_offset)
    }
}

async fn create(client: &mut UploadServiceClient<Channel>) -> Result<String, tonic::Status> {
    let request = v1::CreateUploadRequest {
        size_bytes: Some(1 << 20),
        preset: "none".to_owned(),
        ..v1::CreateUploadRequest::default()
    };
    let created = client.create_upload(request).await?.into_inner();
    Ok(created.upload.expect("the upload").id)
}

fn chunk(upload_id: &str, offset: i64, data: &'static [u8]) -> v1::StreamUploadRequest {
    let chunk = v1::UploadChunk {
        upload_id: upload_id.to_owned(),
        offset,
        data: data.into(),
        flush: !data.is_empty(),
        ..v1::UploadChunk::default()
    };
    v1::StreamUploadRequest { chunk: Some(chunk) }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_says_that_it_stops_before_it_does() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut node = Node::whole(dir.path(), &["--lame-duck", "4s"]).await;
    let mut writing = Writing::begin(&mut node).await;
    node.signal(Signal::SIGTERM);

    // Everybody hears, and meanwhile everything is still taken.
    node.health_says(false, "draining").await;
    create(&mut writing.client)
        .await
        .expect("a call of somebody who hasn't heard");
    assert_eq!(writing.write(0, b"late").await, 4);

    let ended = writing.answer().await.expect_err("the end");
    assert_eq!(ended.code(), Code::Unavailable, "{ended}");
    assert!(ended.get_details_retry_info().is_some(), "{ended:?}");
    assert_eq!(node.ended().await.code(), Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn who_asks_twice_does_not_wait() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut node = Node::whole(dir.path(), &["--lame-duck", "5m"]).await;
    node.signal(Signal::SIGTERM);
    node.line("stopping; a second signal stops at once").await;
    node.signal(Signal::SIGTERM);
    assert_eq!(node.ended().await.code(), Some(1));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_outlives_the_age_of_its_connection() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut node = Node::whole(dir.path(), &["--max-connection-age", "1s"]).await;
    let address = node.address("grpc").await;
    let mut writing = Writing::begin(&mut node).await;
    assert_eq!(writing.write(0, b"early ").await, 6);
    let mut client = writing.client.clone();
    // The next calls go over another connection, where another server might answer.
    until("a second connection", async || {
        let list = client.list_uploads(v1::ListUploadsRequest::default()).await;
        // The one that finds the old connection closed was not sent.
        assert!(list.is_ok() || std::error::Error::source(&list.unwrap_err()).is_some());
        accepted(address) >= 2
    })
    .await;
    assert_eq!(writing.write(6, b"late").await, 10, "the stream goes on");
}

/// How many connections a server on this machine has accepted and not closed, as the kernel tells (proc_pid_net(5)).
fn accepted(server: SocketAddr) -> usize {
    const ESTABLISHED: &str = "01";
    let local = format!(":{:04X}", server.port());
    let table = fs::read_to_string("/proc/net/tcp").expect("the kernel tells");
    let lines = table.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    lines
        .filter(|words| words.len() > 3 && words[1].ends_with(&local) && words[3] == ESTABLISHED)
        .count()
}
