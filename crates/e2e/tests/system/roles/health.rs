//! Health follows what a server needs, and nothing else: Postgres, but not Redis.

use std::time::{Duration, Instant};

use futures_util::FutureExt as _;
use reelway::v1;
use tonic_health::pb::health_check_response::ServingStatus::{NotServing, Serving};

use super::{GRPC_ROLES, Health};
use crate::harness::{Clip, Role, Server, Shape, System, clip, get, within_secs};

/// How soon a server says that it can't work: it looks every 2 s, waits 2 s for an answer, and looks twice.
const UNREADY_SECS_MAX: u64 = 15;
/// How soon it can work again after its database can be reached again.
const READY_SECS_MAX: u64 = 30;
/// How long a call may take whose server waits for a database that doesn't answer.
const CALL_MAX: Duration = Duration::from_secs(30);

#[tokio::test(flavor = "multi_thread")]
async fn health_follows_postgres_and_not_redis() {
    let mut system = System::split(Shape {
        own_postgres: true,
        ..Shape::default()
    })
    .await;
    let mut health = Vec::new();
    for (role, service) in GRPC_ROLES {
        let mut told = Health::of(system.server(role, 0), service).await;
        told.says(Serving).await;
        health.push(told);
    }

    system.redis_mut().kill9();
    for server in system.servers().iter().filter(|server| !server.has(Role::Edge)) {
        within_secs(30, "a server that misses Redis", async || {
            server.metric("reelway_bus_up").await == Some(0.0)
        })
        .await;
    }
    system.upload(&clip(Clip::short(2)).await, "none").await;
    for server in system.servers() {
        assert!(server.probe("readyz").await, "nobody needs Redis to be ready");
    }
    for told in &mut health {
        assert!(told.told.message().now_or_never().is_none(), "nothing has changed");
    }

    system.postgres().stop().await;
    for server in system.servers() {
        unready(server, "\"catalog\"").await;
        assert!(server.probe("healthz").await, "a restart would mend nothing");
        assert!(server.probe("startupz").await, "it has started");
    }
    for told in &mut health {
        told.says(NotServing).await;
    }

    system.postgres().start_again().await;
    system.redis_mut().restart_in_place().await;
    for told in &mut health {
        told.says(Serving).await;
    }
    for server in system.servers() {
        ready(server).await;
    }
    let upload = system.upload(&clip(Clip::short(2)).await, "fast").await;
    let job = system.job_ended(&upload.job_id, Duration::from_secs(120)).await;
    assert_eq!(job.state(), v1::JobState::Succeeded, "{job:?}");
}

/// The packets of one server are lost, which nobody tells it: it alone says that it can't work, and mends by itself.
#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_cut_off_says_so_alone() {
    let system = System::split(Shape {
        upload: 2,
        worker: 0,
        ..Shape::default()
    })
    .await;
    let (lost, other) = (system.server(Role::Upload, 0), system.server(Role::Upload, 1));
    let mut health = Health::of(lost, "reelway.v1.UploadService").await;
    health.says(Serving).await;

    lost.wires().postgres.blackhole();
    health.says(NotServing).await;
    unready(lost, "\"catalog\"").await;
    let called = Instant::now();
    let refused = system
        .uploads_of(0)
        .await
        .create_upload(v1::CreateUploadRequest::default())
        .await
        .expect_err("it can't reach its database");
    assert_eq!(refused.code(), tonic::Code::Unavailable, "{refused:?}");
    assert!(called.elapsed() < CALL_MAX, "{:?}", called.elapsed());
    assert!(other.probe("readyz").await, "the other one is well");
    let request = v1::CreateUploadRequest::default();
    system
        .uploads_of(1)
        .await
        .create_upload(request)
        .await
        .expect("an upload");

    lost.wires().postgres.restore();
    health.says(Serving).await;
    ready(lost).await;
    let request = v1::CreateUploadRequest::default();
    system
        .uploads_of(0)
        .await
        .create_upload(request)
        .await
        .expect("an upload");
}

/// Waits until the server says that it isn't ready, and that this is why.
async fn unready(server: &Server, why: &str) {
    let url = format!("{}/readyz", server.admin_url());
    within_secs(UNREADY_SECS_MAX, "a server that can't work", async || {
        let answer = get(&url).await;
        answer.status() == 503 && String::from_utf8_lossy(answer.body()).contains(why)
    })
    .await;
}

async fn ready(server: &Server) {
    within_secs(READY_SECS_MAX, "a server that can work", async || {
        server.probe("readyz").await
    })
    .await;
}
