//! Everything is encoded, and whoever is to say so dies: the video appears once, and is told of once.

use rand::Rng as _;
use reelway::v1;
use tokio::time::{Duration, sleep};

use super::{
    jobs::{Job, SHORT},
    seed,
};
use crate::harness::{Role, Shape, System, within, within_secs};

/// A task may be started four times; a kill counts as one.
const KILLS: usize = 3;
/// The moment of a kill after the last rendition, in milliseconds at most.
const LIFE_MS_MAX: u64 = 150;
/// What a server had in hand when it died is another one's after a minute.
pub(super) const WEBHOOK_SECS_MAX: u64 = 100;

on_both!(
    fault_28_kills_between_the_last_rendition_and_the_end,
    Shape {
        has_receiver: true,
        ..Shape::default()
    }
);

async fn fault_28_kills_between_the_last_rendition_and_the_end(mut system: System) {
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
    let told = || system.receiver().taken("job.succeeded");
    within_secs(WEBHOOK_SECS_MAX, "the webhook", async || !told().is_empty()).await;
    let ids = told();
    assert_eq!(ids.keys().collect::<Vec<_>>(), [&job.id]);
    assert_eq!(ids[&job.id].len(), 1, "one message, however often it was sent: {ids:?}");
}
