//! Everything is encoded, and whoever is to say so dies: the video appears once, and is told of once.

use std::collections::BTreeSet;

use rand::Rng as _;
use reelway::v1;
use tokio::time::{Duration, sleep};

use super::{
    jobs::{Job, SHORT},
    seed,
};
use crate::harness::{Receiver, Role, Shape, System, WEBHOOK_SECRET, within, within_secs};

/// A task may be started four times; a kill counts as one.
const KILLS: usize = 3;
/// The moment of a kill after the last rendition, in milliseconds at most.
const LIFE_MS_MAX: u64 = 150;

#[tokio::test(flavor = "multi_thread")]
async fn fault_28_kills_between_the_last_rendition_and_the_end_embedded() {
    let receiver = Receiver::start(&[]).await;
    fault_28(System::embedded(told(&receiver)).await, &receiver).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn fault_28_kills_between_the_last_rendition_and_the_end_split() {
    let receiver = Receiver::start(&[]).await;
    fault_28(System::split(told(&receiver)).await, &receiver).await;
}

async fn fault_28(mut system: System, receiver: &Receiver) {
    let (mut random, _) = seed::random();
    let job = Job::of(&system, SHORT, "fast").await;
    for _ in 0..KILLS {
        let is_over = within(Duration::from_secs(60), "the last rendition", async || {
            let tasks = system.tasks(&job.id).await;
            let is_done = |task: &v1::Task| task.state() == v1::TaskState::Succeeded;
            let is_made =
                |task: &v1::Task| matches!(task.kind(), v1::TaskKind::Package | v1::TaskKind::Finish) || is_done(task);
            (tasks.len() > 2 && tasks.iter().all(is_made)).then(|| tasks.iter().all(is_done))
        })
        .await;
        if is_over {
            break;
        }
        sleep(Duration::from_millis(random.random_range(0..LIFE_MS_MAX))).await;
        for role in [Role::Worker, Role::Jobs] {
            system.server_mut(role, 0).kill9().await;
            system.server_mut(role, 0).restart().await;
        }
    }
    let ended = job.ends_right(&system).await;
    job.plays(&ended, &system.dir().join("fetched")).await;
    let of_job = || {
        let all = receiver.deliveries().into_iter();
        all.filter(|delivery| delivery.is_taken && delivery.event() == "job.succeeded")
            .collect::<Vec<_>>()
    };
    within_secs(90, "the webhook", async || !of_job().is_empty()).await;
    let ids: BTreeSet<_> = of_job()
        .into_iter()
        .map(|delivery| (delivery.id.clone(), delivery.job_id().map(str::to_owned)))
        .collect();
    assert_eq!(ids.len(), 1, "one message: {ids:?}");
    assert!(ids.iter().all(|(_, id)| id.as_deref() == Some(&job.id)), "{ids:?}");
}

fn told(receiver: &Receiver) -> Shape {
    Shape {
        options: ["--webhook-url", &receiver.url(), "--webhook-allow-private"]
            .map(str::to_owned)
            .to_vec(),
        env: vec![("REELWAY_WEBHOOK_SECRET".to_owned(), WEBHOOK_SECRET.to_owned())],
        ..Shape::default()
    }
}
