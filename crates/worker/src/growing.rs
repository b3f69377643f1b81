//! Sources made of pieces, encoded while they arrive: what was made of the beginning stays when the end is there.

use reelway_catalog::Task;
use reelway_domain::{JobState, TaskKind, Tenant};

use crate::{
    overlap::{Running, clip, is_done, ladder, tasks, until},
    testing::Bench,
};

/// Sends a clip until something of it can be played, and then the rest. Gives the tasks before and after the rest.
async fn sent((bytes, frames): (&[u8], i64), begin: &[u8], name: &str) -> (Vec<Task>, Vec<Task>) {
    let bench = Bench::new().await;
    let arriving = bench.arriving(bytes.len(), ladder()).await;
    let (job, most) = (arriving.job, begin.len());
    let running = Running::start(&bench);
    arriving.write(&bench, begin, 0, 100_000).await;
    arriving.write(&bench, begin, 100_000, most).await;
    until(&bench, job, name, |tasks| {
        [TaskKind::Lead, TaskKind::Audio]
            .iter()
            .all(|kind| is_done(tasks, *kind))
    })
    .await;
    let row = async || bench.catalog.job(&Tenant::single(), job).await.unwrap().unwrap();
    while row().await.published_segments == 0 {
        tokio::task::yield_now().await;
    }
    running.stop().await;
    let before = tasks(&bench, job).await;
    arriving.write(&bench, bytes, most, bytes.len()).await;
    arriving.complete(&bench, bytes.len()).await;
    let ended = bench.run_woken_to_end(job).await;
    assert_eq!(ended.state, JobState::Succeeded, "{name}: {:?}", ended.error);
    assert_eq!(
        (ended.source.unwrap().frames, ended.missing_frames),
        (frames, 0),
        "{name}"
    );
    (before, tasks(&bench, job).await)
}

fn led(tasks: &[Task]) -> Vec<&Task> {
    tasks.iter().filter(|task| task.kind == TaskKind::Lead).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_made_of_the_first_pieces_stays() {
    let bench = Bench::new().await;
    for (name, frames, options) in [
        ("fragmented MP4", 240, "-movflags frag_keyframe+empty_moov -f mp4"),
        // Longer than the first plan reaches, with keyframes where no segment would end by itself.
        (
            "a minute of fragmented MP4",
            900,
            "-t 60 -g 37 -movflags frag_keyframe+empty_moov -f mp4",
        ),
        ("Matroska", 240, "-f matroska -cluster_time_limit 1000"),
        ("live Matroska", 240, "-f matroska -live 1 -cluster_time_limit 1000"),
    ] {
        let bytes = clip(&bench, options);
        let (before, after) = sent((&bytes, frames), &bytes[..bytes.len() * 3 / 4], name).await;
        let kept = led(&before);
        assert!(!kept.is_empty(), "{name}");
        for task in kept {
            assert!(
                after.iter().any(|other| other.id == task.id),
                "{name}: chunk {} was made anew",
                task.index
            );
        }
        assert!(
            !is_done(&after, TaskKind::Verify),
            "{name}: the second plan looks at all of it"
        );
    }
}
