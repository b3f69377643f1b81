//! What players see of a job while it is worked on: the tasks are done one by one here, and after each of them the
//! published playlists are held against what was published before.

use std::{
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use reelway_catalog::Fenced;
use reelway_domain::{JobId, JobState, TaskKind, TaskState, Tenant, WorkerId, preset};
use reelway_media::MASTER_PLAYLIST;
use tokio_util::sync::CancellationToken;

use crate::{
    testing::Bench,
    work::{self, Ended, Job},
};

/// Longer than any task here.
const LEASE: Duration = Duration::from_secs(300);

/// 17 s at two rungs: of five chunks, the first two are led.
const CLIP: [&str; 11] = [
    "-f",
    "lavfi",
    "-i",
    "testsrc2=size=854x480:rate=15",
    "-f",
    "lavfi",
    "-i",
    "sine=440",
    "-t",
    "17",
    "-pix_fmt",
];

/// A published version of a job's playlists, laid out as it is served.
struct Version {
    dir: PathBuf,
    /// What was done just before.
    after: TaskKind,
}

impl Version {
    fn names(&self) -> Vec<String> {
        let entries = std::fs::read_dir(&self.dir).unwrap();
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let mut names: Vec<String> = names.filter(|name| name.ends_with(".m3u8")).collect();
        names.sort();
        names
    }

    fn text(&self, name: &str) -> String {
        std::fs::read_to_string(self.dir.join(name)).unwrap()
    }

    /// The segments of a media playlist, with what they share.
    fn entries(&self, name: &str) -> String {
        let text = self.text(name);
        let (_, entries) = text.split_once("#EXT-X-MAP").unwrap();
        entries.replace("#EXT-X-ENDLIST\n", "")
    }

    fn target(&self, name: &str) -> String {
        let text = self.text(name);
        text.lines()
            .find(|line| line.starts_with("#EXT-X-TARGETDURATION"))
            .unwrap()
            .to_owned()
    }

    /// Plays so many seconds from the beginning, and gives what ffmpeg complains about.
    fn complaints(&self, seconds: &str) -> String {
        let output = Command::new("ffmpeg")
            .current_dir(&self.dir)
            .args([
                "-nostdin",
                "-v",
                "warning",
                "-live_start_index",
                "0",
                "-t",
                seconds,
                "-i",
                MASTER_PLAYLIST,
            ])
            .args(["-map", "0", "-f", "null", "-"])
            .output()
            .unwrap();
        assert!(output.status.success());
        String::from_utf8(output.stderr).unwrap()
    }
}

/// Copies what is published now, unless it is the same as before.
async fn look(bench: &Bench, job: JobId, after: TaskKind, seen: &mut Vec<Version>) {
    let Some(published) = bench.catalog.playback(job).await.unwrap() else {
        return;
    };
    let dir = bench.dir.path().join("seen").join(&published.prefix);
    if dir.exists() {
        return;
    }
    std::fs::create_dir_all(&dir).unwrap();
    let prefix = bench.store.output(job).path(&published.prefix.parse().unwrap());
    symlink(prefix.parent().unwrap(), dir.join("c")).unwrap();
    for file in std::fs::read_dir(prefix).unwrap() {
        let file = file.unwrap();
        std::fs::copy(file.path(), dir.join(file.file_name())).unwrap();
    }
    seen.push(Version { dir, after });
}

/// Does all tasks in the order in which they can be claimed.
async fn work_through(bench: &Bench, job: JobId) -> Vec<Version> {
    let (mut seen, scratch) = (Vec::new(), bench.dir.path().join("scratch"));
    while let Some(claim) = bench.catalog.claim(WorkerId::new(), LEASE).await.unwrap() {
        let own = Job::new(&bench.worker, claim);
        let (task, dir) = (own.claim.task.clone(), scratch.join(own.claim.task.id.to_string()));
        std::fs::create_dir_all(&dir).unwrap();
        let Ended::Done(done) = work::run(&own, &dir, &CancellationToken::new()).await.unwrap() else {
            panic!("the upload is complete")
        };
        let recorded = bench.catalog.succeed(&task, &done.result, &done.effect).await.unwrap();
        assert_eq!(recorded, Fenced::Done);
        work::publish::after(&own).await;
        look(bench, job, task.kind, &mut seen).await;
    }
    seen
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_is_playable_before_it_is_done_and_what_is_published_stays_valid() {
    let bench = Bench::new().await;
    let clip = bench.clip(&[&CLIP[..], &["yuv420p"]].concat());
    let job = bench.job_with(clip, preset("fast").unwrap()).await;
    let versions = work_through(&bench, job).await;

    assert!(versions.len() > 3, "only {} versions", versions.len());
    let (first, last) = (&versions[0], versions.last().unwrap());
    assert!(
        [TaskKind::Lead, TaskKind::Audio].contains(&first.after),
        "{}",
        first.after
    );
    assert_eq!(last.after, TaskKind::Package);
    assert!(first.text("360p.m3u8").contains("PLAYLIST-TYPE:EVENT"));
    assert!(last.text("360p.m3u8").contains("PLAYLIST-TYPE:VOD"));
    assert!(
        !first.text(MASTER_PLAYLIST).contains("480p"),
        "it has not caught up yet"
    );
    assert!(last.text(MASTER_PLAYLIST).contains("480p"));
    for pair in versions.windows(2) {
        for name in pair[0].names().iter().filter(|name| *name != MASTER_PLAYLIST) {
            let (before, now) = (pair[0].entries(name), pair[1].entries(name));
            assert!(
                now.starts_with(&before),
                "{name} was not appended to after {}",
                pair[1].after
            );
            assert_eq!(pair[0].target(name), pair[1].target(name));
        }
    }
    // What a growing playlist names can still be fetched at the end, when its own version has been swept away.
    assert_eq!(first.complaints("3"), "");
    assert_eq!(last.complaints("17"), "");
    let output = bench.store.output(job).path(&"c".parse().unwrap());
    let left = std::fs::read_dir(output.parent().unwrap()).unwrap();
    let growing = left.filter(|e| {
        e.as_ref()
            .unwrap()
            .file_name()
            .to_string_lossy()
            .starts_with("growing-")
    });
    assert_eq!(growing.count(), 0, "earlier versions are swept away");
    let ended = bench.catalog.job(&Tenant::single(), job).await.unwrap().unwrap();
    assert_eq!(ended.state, JobState::Succeeded);
    assert!(ended.manifest_name.is_some());
    plays_as_dash(&last.dir);
}

/// ffmpeg reads the manifest as a player does.
fn plays_as_dash(dir: &Path) {
    let output = Command::new("ffprobe")
        .current_dir(dir)
        .args([
            "-v",
            "error",
            "-count_frames",
            "-show_entries",
            "stream=nb_read_frames,codec_type",
            "-of",
            "csv=p=0",
        ])
        .arg("manifest.mpd")
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let pictures: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix("video,")).collect();
    // All streams are listed once by themselves and once by their program.
    assert!(
        pictures.len() >= 2 && pictures.iter().all(|frames| *frames == "255"),
        "{text} {}",
        String::from_utf8_lossy(&output.stderr)
    );
    assert!(text.contains("audio,"), "{text}");
}

/// The pool does the same: nobody has to ask for it.
#[tokio::test(flavor = "multi_thread")]
async fn a_worker_publishes_as_it_goes() {
    let bench = Bench::new().await;
    let clip = bench.clip(&[&CLIP[..], &["yuv420p"]].concat());
    let job = bench.job_with(clip, preset("fast").unwrap()).await;
    let ended = bench.run_woken_to_end(job).await;
    assert_eq!(ended.state, JobState::Succeeded, "{:?}", ended.error);
    let tasks = bench.catalog.tasks(&Tenant::single(), job).await.unwrap();
    assert!(tasks.iter().all(|task| task.state == TaskState::Succeeded));
    let last_chunk = tasks
        .iter()
        .filter(|task| task.kind == TaskKind::Video)
        .map(|task| task.updated_at)
        .max();
    assert!(
        ended.playable_at < last_chunk,
        "{:?} is not before {last_chunk:?}",
        ended.playable_at
    );
}
