use std::{error::Error as _, net::SocketAddr, sync::Mutex};

use metrics_util::debugging::DebuggingRecorder;
use reelway::v1::{
    GetProgressRequest, GetProgressResponse, WatchProgressRequest, WatchProgressResponse,
    progress_service_client::ProgressServiceClient,
    progress_service_server::{ProgressService, ProgressServiceServer},
};
use reelway_domain::{Failure, Reason};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    task::JoinHandle,
};
use tokio_stream::{Pending, StreamExt as _};
use tonic::{Code, Status, transport::Channel};
use tonic_health::pb::{HealthCheckRequest, health_check_response, health_client::HealthClient};
use tonic_reflection::pb::{v1, v1alpha};

use super::*;
use crate::{from_status, to_status};

const SERVICE: &str = "reelway.v1.ProgressService";

/// Knows nothing but who calls, and streams that never end.
#[derive(Default)]
struct Progress {
    callers: Callers,
}

/// The addresses that calls came from: one for each connection.
type Callers = Arc<Mutex<HashSet<SocketAddr>>>;

#[tonic::async_trait]
impl ProgressService for Progress {
    type WatchProgressStream = Pending<Result<WatchProgressResponse, Status>>;

    async fn get_progress(
        &self,
        request: tonic::Request<GetProgressRequest>,
    ) -> Result<tonic::Response<GetProgressResponse>, Status> {
        self.callers.lock().unwrap().extend(request.remote_addr());
        Err(to_status(
            &Failure::new(Reason::JobNotFound, "no such job").with("jobId", "job_1"),
        ))
    }

    async fn watch_progress(
        &self,
        _request: tonic::Request<WatchProgressRequest>,
    ) -> Result<tonic::Response<Self::WatchProgressStream>, Status> {
        Ok(tonic::Response::new(tokio_stream::pending()))
    }
}

struct Running {
    addr: SocketAddr,
    stop: oneshot::Sender<()>,
    serving: JoinHandle<Result<(), ServeError>>,
}

async fn start(grace: Duration) -> (Running, Channel) {
    start_with(grace, |server| {
        server.add_service(ProgressServiceServer::new(Progress::default()))
    })
    .await
}

async fn start_with(grace: Duration, add: impl FnOnce(GrpcServer) -> GrpcServer) -> (Running, Channel) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    let (stop, stopped) = oneshot::channel();
    let server = add(GrpcServer::new(listener));
    let serving = tokio::spawn(server.serve(async { stopped.await.unwrap() }, grace));
    let channel = Channel::from_shared(format!("http://{addr}"))
        .unwrap()
        .connect()
        .await
        .unwrap();
    (Running { addr, stop, serving }, channel)
}

#[tokio::test]
async fn errors_reach_clients_whole() {
    let (_running, channel) = start(Duration::ZERO).await;
    let refused = ProgressServiceClient::new(channel)
        .get_progress(GetProgressRequest::default())
        .await
        .unwrap_err();
    let failure = from_status(&refused).unwrap();
    assert_eq!(
        (failure.reason, failure.metadata["jobId"].as_str()),
        (Reason::JobNotFound, "job_1")
    );
}

#[tokio::test]
async fn reflection_lists_what_is_served() {
    let (_running, channel) = start(Duration::ZERO).await;
    let expected = ["grpc.health.v1.Health", "grpc.reflection.v1.ServerReflection"];
    let expected = [&expected[..], &["grpc.reflection.v1alpha.ServerReflection", SERVICE]].concat();

    let list = v1::server_reflection_request::MessageRequest::ListServices(String::new());
    let request = v1::ServerReflectionRequest {
        host: String::new(),
        message_request: Some(list),
    };
    let mut client = v1::server_reflection_client::ServerReflectionClient::new(channel.clone());
    let mut answers = client
        .server_reflection_info(tokio_stream::once(request))
        .await
        .unwrap()
        .into_inner();
    let answer = answers.message().await.unwrap().unwrap().message_response.unwrap();
    let v1::server_reflection_response::MessageResponse::ListServicesResponse(found) = answer else {
        panic!("{answer:?}")
    };
    let mut names: Vec<String> = found.service.into_iter().map(|s| s.name).collect();
    names.sort();
    assert_eq!(names, expected);

    let symbol = v1alpha::server_reflection_request::MessageRequest::FileContainingSymbol(SERVICE.into());
    let request = v1alpha::ServerReflectionRequest {
        host: String::new(),
        message_request: Some(symbol),
    };
    let mut client = v1alpha::server_reflection_client::ServerReflectionClient::new(channel);
    let mut answers = client
        .server_reflection_info(tokio_stream::once(request))
        .await
        .unwrap()
        .into_inner();
    let answer = answers.message().await.unwrap().unwrap().message_response.unwrap();
    assert!(
        matches!(
            answer,
            v1alpha::server_reflection_response::MessageResponse::FileDescriptorResponse(_)
        ),
        "{answer:?}"
    );
}

#[tokio::test]
async fn web_clients_are_served_over_http_1() {
    let (running, _channel) = start(Duration::ZERO).await;
    let mut stream = TcpStream::connect(running.addr).await.unwrap();
    // One message of no bytes: an empty HealthCheckRequest.
    let request =
        b"POST /grpc.health.v1.Health/Check HTTP/1.1\r\nhost: h\r\ncontent-type: application/grpc-web+proto\r\n\
        content-length: 5\r\nconnection: close\r\n\r\n\0\0\0\0\0";
    stream.write_all(request).await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    let answer = String::from_utf8_lossy(&answer);
    assert!(answer.starts_with("HTTP/1.1 200 OK"), "{answer}");
    assert!(answer.contains("grpc-status:0"), "{answer}");
}

fn health_of(service: &str) -> HealthCheckRequest {
    HealthCheckRequest {
        service: service.into(),
    }
}

#[tokio::test]
async fn health_follows_what_a_service_depends_on() {
    use health_check_response::ServingStatus::{NotServing, Serving};
    let (ready, is_ready) = watch::channel(false);
    let service = ProgressServiceServer::new(Progress::default());
    let (_running, channel) = start_with(Duration::ZERO, |server| server.add_service_while(service, is_ready)).await;
    let mut health = HealthClient::new(channel);
    for service in [SERVICE, ""] {
        ready.send(false).unwrap();
        let states = health.watch(health_of(service)).await.unwrap().into_inner();
        // It may still tell what was before.
        let mut states = states
            .map(|s| s.unwrap().status())
            .skip_while(|state| *state == Serving);
        assert_eq!(states.next().await, Some(NotServing), "{service:?}");
        ready.send(true).unwrap();
        assert_eq!(states.next().await, Some(Serving), "{service:?}");
    }
    let unknown = health.check(health_of("reelway.v1.Nothing")).await.unwrap_err();
    assert_eq!(unknown.code(), Code::NotFound);
}

#[tokio::test]
async fn those_who_watch_health_do_not_hold_up_the_end() {
    let (running, channel) = start(Duration::from_secs(3600)).await;
    let mut states = HealthClient::new(channel)
        .watch(health_of(""))
        .await
        .unwrap()
        .into_inner();
    assert!(states.message().await.unwrap().is_some());
    running.stop.send(()).unwrap();
    running.serving.await.unwrap().unwrap();
}

#[tokio::test]
async fn an_old_connection_gives_way_and_its_calls_go_on() {
    let (progress, age) = (Progress::default(), Duration::from_millis(100));
    let callers = Arc::clone(&progress.callers);
    let (_running, channel) = start_with(Duration::ZERO, |server| {
        server
            .add_service(ProgressServiceServer::new(progress))
            .max_connection_age(age)
    })
    .await;
    let list = v1::server_reflection_request::MessageRequest::ListServices(String::new());
    let request = v1::ServerReflectionRequest {
        host: String::new(),
        message_request: Some(list),
    };
    let (ask, requests) = tokio::sync::mpsc::channel(1);
    let requests = tokio_stream::wrappers::ReceiverStream::new(requests);
    ask.send(request.clone()).await.unwrap();
    let mut reflection = v1::server_reflection_client::ServerReflectionClient::new(channel.clone());
    let mut answers = reflection.server_reflection_info(requests).await.unwrap().into_inner();
    assert!(answers.message().await.unwrap().is_some());

    let (mut client, mut unsent) = (ProgressServiceClient::new(channel), 0);
    while callers.lock().unwrap().len() < 2 {
        let refused = client.get_progress(GetProgressRequest::default()).await.unwrap_err();
        if from_status(&refused).is_none() {
            // hyper's client learns of the end of a connection that still has streams by the first call that it can't send.
            let cause = refused.source().unwrap().to_string();
            assert!(cause.contains("transport error"), "{refused}");
            unsent += 1;
        }
    }
    assert!(unsent <= 1, "{unsent} calls were not sent");
    ask.send(request).await.unwrap();
    assert!(answers.message().await.unwrap().is_some(), "the stream goes on");
}

#[tokio::test]
async fn shutdown_is_told_and_bounded() {
    let (running, channel) = start(Duration::from_millis(50)).await;
    let mut health = HealthClient::new(channel.clone());
    let request = HealthCheckRequest {
        service: SERVICE.into(),
    };
    let mut states = health
        .watch(request)
        .await
        .unwrap()
        .into_inner()
        .map(|s| s.unwrap().status());
    assert_eq!(states.next().await, Some(health_check_response::ServingStatus::Serving));
    let endless = ProgressServiceClient::new(channel)
        .watch_progress(WatchProgressRequest::default())
        .await
        .unwrap();

    running.stop.send(()).unwrap();
    assert_eq!(
        states.next().await,
        Some(health_check_response::ServingStatus::NotServing)
    );
    running.serving.await.unwrap().unwrap();
    assert!(
        TcpStream::connect(running.addr).await.is_err(),
        "nobody is accepted any more"
    );
    drop(endless);
}

#[tokio::test]
async fn shutdown_waits_for_nothing_when_all_calls_have_ended() {
    let (running, channel) = start(Duration::from_secs(3600)).await;
    HealthClient::new(channel)
        .check(HealthCheckRequest::default())
        .await
        .unwrap();
    running.stop.send(()).unwrap();
    running.serving.await.unwrap().unwrap();
}

// The runtime of a test has one thread, so a recorder of this thread sees all that the server does.
#[tokio::test]
async fn calls_are_counted_by_method_and_code() {
    let recorder = DebuggingRecorder::new();
    let snapshotter = recorder.snapshotter();
    let _guard = ::metrics::set_default_local_recorder(&recorder);
    let (_running, channel) = start(Duration::ZERO).await;
    HealthClient::new(channel.clone())
        .check(HealthCheckRequest::default())
        .await
        .unwrap();
    let mut client = ProgressServiceClient::new(channel.clone());
    client.get_progress(GetProgressRequest::default()).await.unwrap_err();
    let path = http::uri::PathAndQuery::from_static("/made.up.Service/Method");
    let mut grpc = tonic::client::Grpc::new(channel);
    grpc.ready().await.unwrap();
    let codec = tonic_health_codec();
    let refused = grpc
        .unary(tonic::Request::new(HealthCheckRequest::default()), path, codec)
        .await
        .unwrap_err();
    assert_eq!(refused.code(), Code::Unimplemented);

    let mut labels: Vec<String> = snapshotter
        .snapshot()
        .into_vec()
        .iter()
        .map(|(key, ..)| key.key().to_string())
        .collect();
    labels.sort();
    assert_eq!(labels.len(), 3, "{labels:?}");
    for (label, parts) in labels.iter().zip([
        ["grpc.health.v1.Health/Check", "code = Ok"],
        ["ProgressService/GetProgress", "code = NotFound"],
        ["method = unknown", "code = Unimplemented"],
    ]) {
        assert!(parts.iter().all(|part| label.contains(part)), "{label}");
    }
}

fn tonic_health_codec() -> tonic_prost::ProstCodec<HealthCheckRequest, tonic_health::pb::HealthCheckResponse> {
    tonic_prost::ProstCodec::default()
}
