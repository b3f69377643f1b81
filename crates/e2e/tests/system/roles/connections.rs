//! Connections end after a while, so that servers that were added get their share; what is going on over them goes on.

use std::{
    error::Error as _,
    net::{Ipv4Addr, SocketAddr},
};

use reelway::v1::{self, upload_service_client::UploadServiceClient};
use reelway_client::{Client, Endpoints};
use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
    task::{JoinHandle, JoinSet},
};

use crate::harness::{Role, Server, Shape, System, WriteStream, channel, within_secs};

/// A balancer that knows nothing of calls: each connection goes to the next server.
struct Balancer {
    address: SocketAddr,
    running: JoinHandle<()>,
}

impl Balancer {
    async fn before(servers: Vec<SocketAddr>) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a port");
        let address = listener.local_addr().expect("it is bound");
        let serve = async move {
            let mut connections = JoinSet::new();
            for server in servers.into_iter().cycle() {
                let (mut client, _) = listener.accept().await.expect("a connection");
                let mut server = TcpStream::connect(server).await.expect("it listens");
                connections.spawn(async move { copy_bidirectional(&mut client, &mut server).await });
            }
        };
        Self {
            address,
            running: tokio::spawn(serve),
        }
    }

    fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}

impl Drop for Balancer {
    fn drop(&mut self) {
        self.running.abort();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_goes_on_while_other_calls_reach_another_server() {
    let system = aging().await;
    let balancer = balanced(&system).await;
    let mut uploads = UploadServiceClient::new(channel(&balancer.url()).await);
    let created = uploads.create_upload(v1::CreateUploadRequest {
        preset: "none".to_owned(),
        ..Default::default()
    });
    let upload = created
        .await
        .expect("an upload")
        .into_inner()
        .upload
        .expect("an upload");
    let mut stream = WriteStream::open(&mut uploads, &upload.id).await.expect("a stream");
    stream.send_flushed(b"early ".to_vec()).await;
    stream.acked().await.expect("an acknowledgement");
    // The same client's next calls, while its stream is open.
    for n in [1, 0] {
        within_secs(20, "calls that reach the other server", async || {
            let before = lists(system.server(Role::Upload, n)).await;
            match uploads.list_uploads(v1::ListUploadsRequest::default()).await {
                Ok(_) => lists(system.server(Role::Upload, n)).await > before,
                // It found the old connection closed, and was not sent.
                Err(status) => {
                    assert!(status.source().is_some(), "{status:?}");
                    false
                }
            }
        })
        .await;
    }
    stream.send_flushed(b"late".to_vec()).await;
    stream.acked().await.expect("the stream goes on");
    stream.finish().await.expect("a complete upload");
    assert_eq!(system.stored(&upload.id), b"early late");
}

#[tokio::test(flavor = "multi_thread")]
async fn users_notice_nothing_of_it() {
    let system = aging().await;
    let balancer = balanced(&system).await;
    let client = Client::connect(&Endpoints::single(&balancer.url())).expect("addresses");
    // There and back: two connections have ended.
    for n in [0, 1, 0] {
        let server = system.server(Role::Upload, n);
        let before = lists(server).await;
        within_secs(20, "calls that reach the server", async || {
            let list = client.list_uploads(v1::ListUploadsRequest::default()).await;
            list.expect("a list");
            lists(server).await > before
        })
        .await;
    }
}

/// How many calls for a list the server has answered.
async fn lists(server: &Server) -> f64 {
    let count = "reelway_rpc_server_duration_seconds_count";
    server
        .metric_where(count, "UploadService/ListUploads")
        .await
        .unwrap_or(0.0)
}

async fn balanced(system: &System) -> Balancer {
    Balancer::before(system.all(Role::Upload).map(Server::grpc).collect()).await
}

async fn aging() -> System {
    System::split(Shape {
        upload: 2,
        worker: 0,
        options: ["--max-connection-age", "1s"].map(str::to_owned).to_vec(),
        ..Shape::default()
    })
    .await
}
