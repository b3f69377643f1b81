//! A running system tells every metric that is asked for.

use std::{collections::BTreeSet, fs, time::Duration};

use reelway::v1;
use tokio::time::{sleep, timeout};

use super::{
    alerts::alerts,
    dashboards,
    exposition::{Series, missing, read},
    runbooks,
};
use crate::harness::{Clip, Role, Shape, System, clip, get_ok, noise};

/// More than a server takes before it commits.
const LONG_BYTES: usize = 48 << 20;
const JOB_MAX: Duration = Duration::from_secs(120);
/// Gauges that are measured every 10 s and answers of servers that still look for each other have come by then.
const TOLD_MAX: Duration = Duration::from_secs(60);
/// How often the servers are asked.
const ASK_EVERY: Duration = Duration::from_millis(500);

#[tokio::test(flavor = "multi_thread")]
async fn every_metric_that_is_shown_or_wakes_somebody_is_told() {
    let asked = asked();
    let system = System::split(Shape::default()).await;
    work(&system).await;
    let mut left = BTreeSet::new();
    let all = timeout(TOLD_MAX, async {
        loop {
            let told = told(&system).await;
            let lacks = |(place, expression): &(String, String)| {
                let missing = missing(expression, &told).into_iter();
                missing
                    .map(|what| format!("{place} asks for {what}"))
                    .collect::<Vec<_>>()
            };
            left = asked.iter().flat_map(lacks).collect();
            if left.is_empty() {
                return;
            }
            sleep(ASK_EVERY).await;
        }
    })
    .await;
    assert!(all.is_ok(), "nobody tells: {left:#?}");
}

/// Every expression, with where it is.
fn asked() -> Vec<(String, String)> {
    let rules = alerts().into_iter().map(|alert| (alert.name, alert.expression));
    rules
        .chain(dashboards::expressions())
        .chain(runbooks::expressions())
        .collect()
}

/// Lets every role do what it is there for: an upload, its job, a look at both, and playback.
async fn work(system: &System) {
    let made = system.upload(&clip(Clip::short(2)).await, "fast").await;
    let job = system.job_ended(&made.job_id, JOB_MAX).await;
    assert_eq!(job.state(), v1::JobState::Succeeded, "{job:?}");
    // The clip ends before anything was due to be committed on the way.
    let long = system.dir().join("long.bin");
    fs::write(&long, noise(1, LONG_BYTES)).expect("a file");
    system.upload(&long, "none").await;
    let target = v1::get_progress_request::Target::JobId(made.job_id);
    let request = v1::GetProgressRequest { target: Some(target) };
    system.client().get_progress(request).await.expect("progress");
    get_ok(&job.playback_url).await;
}

/// What all servers tell, each of which tells something of its own.
async fn told(system: &System) -> Vec<Series> {
    let mut told = Vec::new();
    for role in [Role::Upload, Role::Jobs, Role::Progress, Role::Edge, Role::Worker] {
        let (_, page) = get_ok(&format!("{}/metrics", system.server(role, 0).admin_url())).await;
        let page = read(std::str::from_utf8(&page).expect("a text"));
        assert_eq!(
            missing(&format!("reelway_role{{role=\"{}\"}}", role.name()), &page),
            Vec::<String>::new()
        );
        told.extend(page);
    }
    told
}
