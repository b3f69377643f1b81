//! Clocks that are wrong: leases and expiry are judged by the database's alone.

use reelway::v1;

use super::{
    calls::created,
    jobs::{HEAVY, Job},
};
use crate::harness::{Role, Setup, Shape, System, skewed};

/// Five minutes ahead and five behind.
const SKEWS: [&str; 2] = ["+300", "-300"];
/// Shorter than a clock is wrong, and longer than the test takes.
const EXPIRY: &str = "4m";

#[tokio::test(flavor = "multi_thread")]
async fn fault_31_clocks_are_wrong() {
    let shape = Shape {
        upload: 0,
        jobs: 0,
        worker: 0,
        options: ["--upload-expiry", EXPIRY].map(str::to_owned).to_vec(),
        ..Shape::default()
    };
    let mut system = System::split(shape).await;
    for skew in SKEWS {
        for role in [Role::Upload, Role::Jobs, Role::Worker] {
            let env = skewed(skew).into_iter();
            let setup = env.fold(Setup::of(role), |setup, (name, value)| setup.env(name, value));
            system.join(setup).await;
        }
    }
    for server in system.servers().iter().skip(2) {
        let maps = std::fs::read_to_string(format!("/proc/{}/maps", server.pid())).expect("it runs");
        assert!(maps.contains("libfaketime"), "its clock is wrong: {maps}");
    }
    let unfinished = [
        created(&mut system.uploads_of(0).await).await,
        created(&mut system.uploads_of(1).await).await,
    ];
    // Longer than a heartbeat, so that leases are renewed.
    let job = Job::of(&system, HEAVY, "standard").await;
    let ended = job.ends_right(&system).await;
    job.plays(&ended, &system.dir().join("fetched")).await;
    let tasks = system.tasks(&job.id).await;
    assert!(
        tasks.iter().all(|task| task.attempt == 1),
        "no lease ran out early: {tasks:?}"
    );
    for upload_id in unfinished {
        let upload = system
            .client()
            .get_upload(v1::GetUploadRequest {
                upload_id,
                end_writer: false,
            })
            .await
            .expect("an upload");
        assert_eq!(
            upload.state(),
            v1::UploadState::Receiving,
            "it didn't expire: {upload:?}"
        );
    }
}
