//! Separate servers, as `helm test` looks at them.

use std::time::Duration;

use super::{finding, troubles};
use crate::harness::{Cli, Process, Role, Shape, System, reelway, within_secs};

/// As long as the pod of `helm test` may take is longer.
const E2E_MAX: Duration = Duration::from_secs(300);

#[tokio::test(flavor = "multi_thread")]
async fn a_tiny_video_goes_all_the_way_and_nothing_of_it_stays() {
    let system = System::split(Shape::default()).await;
    let edge = system.server(Role::Edge, 0).http_url();
    let mut doctor = reelway(["doctor", "--json", "--e2e"]);
    // What the pod of `helm test` is given.
    doctor
        .env("REELWAY_ROLE", "edge")
        .env("REELWAY_DATA", system.dir().join("doctor"))
        .env("REELWAY_EDGE_URL", &edge)
        .env(
            "REELWAY_STORE",
            format!("file://{}?shared=true", system.store().display()),
        )
        .env("REELWAY_DATABASE", system.database().url())
        .env("REELWAY_REDIS", system.redis().url());
    for (variable, role) in [
        ("REELWAY_UPLOAD_URL", Role::Upload),
        ("REELWAY_JOBS_URL", Role::Jobs),
        ("REELWAY_PROGRESS_URL", Role::Progress),
    ] {
        doctor.env(variable, system.server(role, 0).grpc_url());
    }
    let ended = Process::spawn(doctor).ended(E2E_MAX).await;
    let findings = ended.json();
    for check in [
        "configuration",
        "database",
        "schema",
        "clock",
        "redis",
        "redis-clock",
        "edge",
        "proxy-uploads",
        "proxy-events",
        "upload",
        "job",
        "play",
    ] {
        assert_eq!(finding(&findings, check)["verdict"], "ok", "{findings:#?}");
    }
    assert_eq!((ended.code, troubles(&ended)), (Some(0), vec![]), "{findings:#?}");
    let sent = finding(&findings, "upload")["message"]
        .as_str()
        .expect("text")
        .to_owned();
    assert!(sent.contains("resumed at") && !sent.ends_with("resumed at 0"), "{sent}");
    let cli = Cli::at(&system.server(Role::Jobs, 0).grpc_url());
    assert_eq!(cli.run(["jobs", "list"]).await.out.len(), 1, "only the head of a table");
    within_secs(60, "the store to be empty", async || {
        std::fs::read_dir(system.store().join("outputs")).is_ok_and(|mut outputs| outputs.next().is_none())
    })
    .await;
}
