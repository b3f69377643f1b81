//! How servers of each role stop: they say so, go on for a while, end their streams, and are gone in time.

use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use reelway::v1::{self, watch_progress_request::Target};
use tonic::{Code, Status};
use tonic_health::pb::health_check_response::ServingStatus::{NotServing, Serving};
use tonic_types::StatusExt as _;

use super::{GRPC_ROLES, Health};
use crate::harness::{Clip, Role, Server, Shape, System, WriteStream, children_of, clip, get, within_secs, working_in};

/// For so long a server that is to stop takes calls as before.
const LAME_DUCK: Duration = Duration::from_secs(8);
/// How much longer its end may take when nobody holds it up: not as long as the grace for those who do.
const END_MAX: Duration = Duration::from_secs(15);
/// How long a process takes that waits for nothing, on a machine that has much else to do; those that wait do so for minutes.
const AT_ONCE_MAX: Duration = Duration::from_secs(10);
/// A clip that keeps a worker busy for some seconds.
const LONG: Clip = Clip {
    size: "1280x720",
    rate: 60,
    name: "heavy.mp4",
    ..Clip::short(5)
};

#[tokio::test(flavor = "multi_thread")]
async fn streams_end_with_a_word_when_to_come_back() {
    let mut system = System::split(Shape {
        upload: 2,
        progress: 2,
        ..shape("8s")
    })
    .await;
    let mut uploads = system.uploads_of(0).await;
    let upload_id = created(&system).await;
    let mut stream = WriteStream::open(&mut uploads, &upload_id).await.expect("a stream");
    stream.send_flushed(vec![b'a'; 1000]).await;
    stream.acked().await.expect("an acknowledgement");
    let everything = v1::WatchProgressRequest {
        target: Some(Target::Everything(())),
        ..Default::default()
    };
    let watch = system.progress().await.watch_progress(everything).await;
    let mut watch = watch.expect("a stream").into_inner();
    watch.message().await.expect("a snapshot");

    let asked = Instant::now();
    for role in [Role::Upload, Role::Progress] {
        system.server(role, 0).signal(Signal::SIGTERM);
    }
    for role in [Role::Upload, Role::Progress] {
        draining(system.server(role, 0)).await;
    }
    // Meanwhile what is there goes on, and somebody who hasn't heard is not turned away.
    stream.send_flushed(vec![b'b'; 1000]).await;
    stream.acked().await.expect("an acknowledgement");
    let further = created(&system).await;
    assert!(asked.elapsed() < LAME_DUCK, "this machine is too slow for the test");

    comes_back(&stream.broken().await);
    let ended = loop {
        match watch.message().await {
            Ok(Some(_)) => {}
            Ok(None) => panic!("the stream of everything has no end of its own"),
            Err(status) => break status,
        }
    };
    comes_back(&ended);
    for role in [Role::Upload, Role::Progress] {
        let ended = system.server_mut(role, 0).ended().await;
        assert_eq!(ended.code, Some(0), "{ended:#?}");
    }
    assert!(asked.elapsed() < LAME_DUCK + END_MAX, "{:?}", asked.elapsed());

    let mut others = system.uploads_of(1).await;
    for (id, at) in [(&upload_id, 2000), (&further, 0)] {
        let stream = WriteStream::open(&mut others, id).await.expect("a stream");
        assert_eq!(stream.at(), at);
        stream.finish().await.expect("a complete upload");
    }
    assert_eq!(system.stored(&upload_id), [[b'a'; 1000], [b'b'; 1000]].concat());
}

#[tokio::test(flavor = "multi_thread")]
async fn every_role_says_that_it_stops_and_does() {
    let mut system = System::split(shape("8s")).await;
    let mut health = Vec::new();
    for (role, service) in GRPC_ROLES {
        let mut told = Health::of(system.server(role, 0), service).await;
        told.says(Serving).await;
        health.push(told);
    }
    let asked = Instant::now();
    for server in system.servers() {
        server.signal(Signal::SIGTERM);
    }
    for server in system.servers().iter().filter(|server| !server.has(Role::Worker)) {
        draining(server).await;
    }
    for told in &mut health {
        told.says(NotServing).await;
    }
    // Nobody has to hear of a worker that has nothing to do.
    assert_eq!(system.server_mut(Role::Worker, 0).ended().await.code, Some(0));
    assert!(asked.elapsed() < LAME_DUCK, "{:?}", asked.elapsed());
    // The watches of health don't hold anybody up, nor do connections without a call.
    for role in [Role::Upload, Role::Jobs, Role::Progress, Role::Edge] {
        let ended = system.server_mut(role, 0).ended().await;
        assert_eq!(ended.code, Some(0), "{role:?}: {ended:#?}");
    }
    assert!(asked.elapsed() < LAME_DUCK + END_MAX, "{:?}", asked.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_signal_ends_every_role_at_once() {
    let mut slow = shape("5m");
    slow.options.extend(["--drain", "5m"].map(str::to_owned));
    let mut system = System::split(slow).await;
    // A worker waits for its task.
    system.upload(&clip(LONG).await, "standard").await;
    let worker = system.server(Role::Worker, 0).pid();
    within_secs(60, "an encoder", async || !children_of(worker, "ffmpeg").is_empty()).await;
    for role in [Role::Worker, Role::Upload, Role::Jobs, Role::Progress, Role::Edge] {
        let server = system.server_mut(role, 0);
        server.signal(Signal::SIGTERM);
        within_secs(30, "a server that has heard", async || {
            let is_it = |line: &String| line.contains("a second signal stops at once");
            server.log().iter().any(is_it)
        })
        .await;
        let asked = Instant::now();
        let ended = server.terminate().await;
        assert_eq!(ended.code, Some(1), "{role:?}: {ended:#?}");
        assert!(asked.elapsed() < AT_ONCE_MAX, "{role:?}: {:?}", asked.elapsed());
    }
    // What the worker ran has died with it.
    let scratch = system.server(Role::Worker, 0).data().join("scratch");
    within_secs(30, "no encoder", async || working_in(&scratch, worker).is_empty()).await;
}

/// Waits until the server says that it is about to stop. It lives all the same.
async fn draining(server: &Server) {
    let url = format!("{}/readyz", server.admin_url());
    within_secs(30, "a server that says that it stops", async || {
        let answer = get(&url).await;
        answer.status() == 503 && String::from_utf8_lossy(answer.body()).contains("\"draining\"")
    })
    .await;
    assert!(server.probe("healthz").await, "it lives");
}

fn comes_back(status: &Status) {
    assert_eq!(status.code(), Code::Unavailable, "{status:?}");
    let told = status.get_details_retry_info().and_then(|info| info.retry_delay);
    assert!(told.is_some(), "when to come back: {status:?}");
}

/// Creates an upload that no job follows, over a new connection to the first server.
async fn created(system: &System) -> String {
    let request = v1::CreateUploadRequest {
        preset: "none".to_owned(),
        ..Default::default()
    };
    let answer = system.uploads_of(0).await.create_upload(request).await;
    answer.expect("an upload").into_inner().upload.expect("an upload").id
}

fn shape(lame_duck: &str) -> Shape {
    Shape {
        options: ["--lame-duck", lame_duck, "--grace", "60s"].map(str::to_owned).to_vec(),
        ..Shape::default()
    }
}
