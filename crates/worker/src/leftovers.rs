//! What is on the disk when a job is done: all that players may ask for, and nothing else.

use std::{collections::BTreeSet, path::Path, sync::Arc};

use reelway_catalog::Task;
use reelway_domain::{JobId, JobState, TaskKind, TaskState, Tenant, preset};
use tokio_util::sync::CancellationToken;

use crate::{overlap::until, testing::Bench};

/// What nobody needs when the job is done: outputs of a task that an earlier plan had, of a claim that was lost, of playlists that
/// showed less, and copies of the source that chunks were read from.
const LEFT_BEHIND: [&str; 5] = [
    "video-0099-e1/360p-00099.m4s",
    "growing-video-0099-e1/master.m3u8",
    "lead-0000-e9/360p-00000.m4s",
    "plan-0000-e1/source.mkv",
    "verify-0000-e1/source.mkv",
];

/// What a task's newest claim made stands here.
fn prefix(task: &Task) -> String {
    format!("{}-{:04}-e{}", task.kind, task.index, task.lease_epoch)
}

fn names(dir: &Path) -> BTreeSet<String> {
    let entries = std::fs::read_dir(dir).unwrap();
    entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect()
}

/// The files that the playlists of a directory name, as `c/…`.
fn named(dir: &Path) -> BTreeSet<String> {
    let mut named = BTreeSet::new();
    for file in names(dir) {
        let text = std::fs::read_to_string(dir.join(file)).unwrap();
        let words = text.split(['\n', '"', '<', '>', '#']);
        named.extend(words.filter_map(|word| word.strip_prefix("c/")).map(str::to_owned));
    }
    named
}

async fn checked(bench: &Bench, job: JobId) -> Vec<Task> {
    let ended = bench.catalog.job(&Tenant::single(), job).await.unwrap().unwrap();
    assert_eq!(ended.state, JobState::Succeeded, "{:?}", ended.error);
    let output = bench.store.output(job).path(&"x".parse().unwrap());
    let output = output.parent().unwrap();
    let tasks = bench.catalog.tasks(&Tenant::single(), job).await.unwrap();
    let own: BTreeSet<String> = tasks.iter().map(prefix).collect();
    let left = names(output);
    assert!(left.is_subset(&own), "{:?} is nobody's", left.difference(&own));
    for kind in ["plan", "verify"] {
        assert!(!left.iter().any(|name| name.starts_with(kind)), "{left:?}");
    }
    let files = named(&output.join(ended.published_prefix.unwrap()));
    assert!(files.len() > 4, "{files:?}");
    for file in files.iter().chain(&ended.poster_key) {
        assert!(output.join(file).is_file(), "{file} is gone");
    }
    tasks
}

#[tokio::test(flavor = "multi_thread")]
async fn only_what_players_may_ask_for_is_left() {
    let bench = Bench::new().await;
    let clip = bench.indexed_clip();
    let arriving = bench.arriving(clip.len(), preset("fast").unwrap()).await;
    for key in LEFT_BEHIND {
        let output = bench.store.output(arriving.job);
        output
            .write(&key.parse().unwrap(), b"nobody's"[..].into())
            .await
            .unwrap();
    }
    // Planned from its index, so that a check comes after.
    arriving.write(&bench, &clip, 0, clip.len() - 1).await;
    let shutdown = CancellationToken::new();
    let worker = tokio::spawn(Arc::clone(&bench.worker).run(shutdown.clone()));
    until(&bench, arriving.job, "it was not planned early", |tasks| {
        tasks.iter().any(|task| task.kind == TaskKind::Verify)
    })
    .await;
    arriving.write(&bench, &clip, clip.len() - 1, clip.len()).await;
    arriving.complete(&bench, clip.len()).await;
    shutdown.cancel();
    worker.await.unwrap().unwrap();
    bench.run_to_end(arriving.job).await;
    let tasks = checked(&bench, arriving.job).await;
    let verified = tasks.iter().find(|task| task.kind == TaskKind::Verify).unwrap();
    assert_eq!(verified.state, TaskState::Succeeded);
}
