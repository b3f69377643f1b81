//! The query by which workers are scaled, asked of a system whose workers come later.

use std::time::Duration;

use serde_json::Value;

use super::{rendered, rendered::Rendered, text};
use crate::harness::{Clip, Role, Setup, Shape, System, clip};

const JOB_MAX: Duration = Duration::from_secs(120);

/// What the trigger of a scaler asks.
fn query<'a>(of: &'a Rendered, kind: &'a str) -> &'a Value {
    let scaler = of.kind(kind).next().expect(kind);
    let trigger = &scaler["spec"]["triggers"][0];
    assert_eq!(trigger["metadata"]["targetQueryValue"], "2", "the slots of a worker");
    &trigger["metadata"]["query"]
}

#[tokio::test(flavor = "multi_thread")]
async fn workers_are_scaled_by_what_could_run_and_what_does() {
    let all = rendered().await;
    let asked = text(query(&all["keda-object"], "ScaledObject"));
    assert_eq!(asked, text(query(&all["keda-job"], "ScaledJob")));

    let without_workers = Shape {
        worker: 0,
        ..Shape::default()
    };
    let mut system = System::split(without_workers).await;
    assert_eq!(system.database().number(asked), 0);
    let upload = system.upload(&clip(Clip::short(2)).await, "fast").await;
    assert_eq!(system.database().number(asked), 1, "the others wait for the first task");
    system.join(Setup::of(Role::Worker)).await;
    system.job_ended(&upload.job_id, JOB_MAX).await;
    assert_eq!(system.database().number(asked), 0);
}
