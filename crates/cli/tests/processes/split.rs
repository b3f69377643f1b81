//! An upload through servers of their own, by the command.

use std::process::Command;

use reelway_testkit::free_port;
use serde_json::Value;

use crate::node::{Shared, reelway, run};

#[tokio::test(flavor = "multi_thread")]
async fn a_video_goes_through_servers_of_their_own() {
    let shared = Shared::migrated().await;
    let mut upload = shared.serve("upload", "upload", &[]);
    // An edge must know where the others are, and these must know where the edge is.
    let [at_jobs, at_progress] = [free_port(), free_port()].map(|port| format!("127.0.0.1:{port}"));
    let [jobs_url, progress_url] = [&at_jobs, &at_progress].map(|address| format!("http://{address}"));
    let others = [
        "--upload-url",
        &upload.url("upload").await,
        "--jobs-url",
        &jobs_url,
        "--progress-url",
        &progress_url,
    ];
    let mut edge = shared.serve("edge", "edge", &others);
    let public = edge.url("http").await;
    let mut jobs = shared.serve("jobs", "jobs", &["--public-url", &public, "--grpc", &at_jobs]);
    let mut progress = shared.serve(
        "progress",
        "progress",
        &["--public-url", &public, "--grpc", &at_progress],
    );
    let mut worker = shared.serve("worker", "worker", &[]);
    worker.ready().await;

    let clip = shared.dir.path().join("clip.mp4");
    let mut ffmpeg = Command::new("ffmpeg");
    ffmpeg.args([
        "-v",
        "error",
        "-f",
        "lavfi",
        "-i",
        "testsrc2=size=64x64:rate=10:duration=1",
    ]);
    assert!(ffmpeg.arg(&clip).status().expect("ffmpeg").success());
    let urls = [
        ("--upload-url", upload.url("upload").await),
        ("--jobs-url", jobs.url("jobs").await),
        ("--progress-url", progress.url("progress").await),
    ];
    let mut command = reelway(["upload", "--json", "--preset", "fast"]);
    command.env("XDG_STATE_HOME", shared.dir.path()).arg(&clip);
    for (option, url) in &urls {
        command.args([option, url.as_str()]);
    }
    let done = run(command).await;
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    let lines = String::from_utf8(done.stdout).expect("text");
    let last: Value = serde_json::from_str(lines.lines().last().expect("a line")).expect("JSON");
    assert_eq!(last["state"], "succeeded", "{last}");
    let playback = last["playback_url"].as_str().expect("a URL");
    assert!(playback.starts_with(&format!("{public}/play/")), "{playback}");
    assert_eq!(last["trace_id"].as_str().map(str::len), Some(32), "{last}");

    let mut play = Command::new("ffprobe");
    play.args([
        "-v",
        "error",
        "-show_entries",
        "stream=codec_type",
        "-of",
        "csv=p=0",
        playback,
    ]);
    let shown = run(play).await;
    assert!(String::from_utf8_lossy(&shown.stdout).contains("video"), "{shown:?}");
}
