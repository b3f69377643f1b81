//! A server that dies after the commit and before anybody heard of it: others find it in the outbox.

use reelway::v1;

use super::jobs::{Job, SHORT};
use crate::harness::{Role, Shape, System, within_secs};

on_both!(fault_27_kill_between_commit_and_publish, Shape::default());

async fn fault_27_kill_between_commit_and_publish(mut system: System) {
    if system.is_split() {
        // The upload server can't publish, and for now nobody does it for it.
        for role in [Role::Upload, Role::Jobs] {
            system.server(role, 0).wires().redis.blackhole();
        }
    }
    let job = Job::of(&system, SHORT, "fast").await;
    system.server_mut(Role::Upload, 0).kill9().await;
    if system.is_split() {
        assert!(
            system.database().number("SELECT COUNT(*) FROM outbox") > 0,
            "it waits to be published"
        );
        system.server(Role::Jobs, 0).wires().redis.restore();
    } else {
        system.server_mut(Role::Upload, 0).restart().await;
    }
    job.ends_right(&system).await;
    let request = v1::ListJobsRequest {
        upload_id: job.upload_id.clone(),
        ..Default::default()
    };
    let jobs = system.client().list_jobs(request).await.expect("a list");
    assert_eq!(jobs.jobs.len(), 1, "{jobs:?}");
    if system.is_split() {
        within_secs(20, "an empty outbox", async || {
            system.database().number("SELECT COUNT(*) FROM outbox") == 0
        })
        .await;
    }
}
