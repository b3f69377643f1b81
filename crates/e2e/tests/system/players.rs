//! What players make of results: hls.js and Shaka Player in a headless Chromium, over HLS and DASH.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use reelway::v1::JobState;
use serde_json::{Value, json};

use crate::harness::{Cli, Clip, Node, Process, Tool, clip, environment, get_ok, within};

/// A short film is made, and is played, long before.
const STEP_MAX: Duration = Duration::from_secs(120);
/// How long the film is, in seconds.
const FILM_SECONDS: u32 = 24;
/// The film with one sound and no words, and a keyframe each second.
const PICTURES: Clip = Clip {
    name: "pictures.mp4",
    size: "1280x720",
    rate: 15,
    options: &["-g", "15"],
    ..Clip::short(FILM_SECONDS)
};
/// How long the film is sent, in seconds: somewhat faster than it plays.
const SENDING_SECONDS: u64 = 16;
/// How often a player may run dry while the film grows: on a busy machine the encoder may be late once or twice.
const WAITS_MAX: usize = 2;
/// So many segments are more than a player keeps away from the end of a broadcast: whoever begins there begins too late.
const SEGMENTS_LATE: usize = 4;
/// How far a player's times may be from the film's, in seconds: a frame and a little.
const TIME_ERROR_S_MAX: f64 = 0.1;
const SUBTITLES: &str =
    "1\n00:00:06,000 --> 00:00:10,000\nThe first words.\n\n2\n00:00:16,000 --> 00:00:20,000\nThe last words.\n";

#[tokio::test(flavor = "multi_thread")]
async fn hls_js_plays_hls() {
    let (_node, urls) = made(&[]).await;
    is_played_through(&play("hls", "through", &urls.hls).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn shaka_plays_hls() {
    let (_node, urls) = made(&[]).await;
    is_played_through(&play("shaka", "through", &urls.hls).await);
}

/// Whoever may play has a token in the address of everything.
#[tokio::test(flavor = "multi_thread")]
async fn shaka_plays_dash_that_is_signed() {
    let (_node, urls) = made(&["--playback", "signed"]).await;
    assert!(urls.dash.contains("/play/~"), "{}", urls.dash);
    is_played_through(&play("shaka", "through", &urls.dash).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn hls_js_plays_what_still_grows() {
    plays_what_still_grows("hls", &[]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn shaka_plays_what_still_grows_and_is_signed() {
    plays_what_still_grows("shaka", &["--playback", "signed"]).await;
}

/// Where players find a result.
struct Urls {
    hls: String,
    dash: String,
}

/// A node with these options that has encoded the film.
async fn made(options: &[&str]) -> (Node, Urls) {
    let node = Node::with(options).await;
    let upload = node.upload(&film(node.dir()).await, "fast").await;
    let job = node.job_ended(&upload.job_id, STEP_MAX).await;
    assert_eq!(job.state(), JobState::Succeeded, "{job:?}");
    let urls = Urls {
        hls: job.playback_url,
        dash: job.manifest_url,
    };
    (node, urls)
}

/// One viewer begins as soon as there is anything, and one when much of it is there; both while it is being sent.
async fn plays_what_still_grows(player: &str, options: &[&str]) {
    let node = Node::with(options).await;
    let file = film(node.dir()).await;
    let bytes = file.metadata().expect("a film").len();
    let rate = (bytes / SENDING_SECONDS).to_string();
    let (cli, path) = (Cli::of(&node), file.to_str().expect("text"));
    let mut sending = cli.start(["upload", path, "--preset", "fast", "--limit-rate", &rate, "--json"]);
    let job = within(STEP_MAX, "something to play", async || {
        let jobs = node.client().list_jobs(Default::default()).await.expect("jobs").jobs;
        jobs.into_iter().find(|job| !job.playback_url.is_empty())
    })
    .await;
    assert_eq!(job.state(), JobState::Running, "{job:?}");
    let early = Viewer::start(player, "untouched", &job.playback_url).await;
    early.plays().await;
    assert!(sending.is_running(), "somebody sees it before all of it has been sent");
    within(STEP_MAX, "much of it", async || {
        let (_, playlist) = get_ok(&job.playback_url.replace("master.m3u8", "360p.m3u8")).await;
        let segments = String::from_utf8_lossy(&playlist).matches("#EXTINF").count();
        (segments >= SEGMENTS_LATE).then_some(())
    })
    .await;
    let late = Viewer::start(player, "untouched", &job.playback_url).await;
    let (early, late) = (early.told().await, late.told().await);
    plays_well(&early, WAITS_MAX);
    plays_well(&late, WAITS_MAX);
    let known = early["duration_at_first"].as_f64();
    assert!(
        known.is_none_or(|seconds| seconds + 1.0 < f64::from(FILM_SECONDS)),
        "it grew: {early}"
    );
    let ended = sending.ended(STEP_MAX).await;
    assert_eq!(ended.code, Some(0), "{ended:#?}");
    assert_eq!(node.job(&job.id).await.state(), JobState::Succeeded);
}

/// Everything was there to see, hear and read, and could be changed while it played.
fn is_played_through(told: &Value) {
    plays_well(told, 0);
    assert_eq!(told["rungs"], json!([360, 480, 720]), "{told}");
    let sizes: Vec<&str> = texts(&told["sizes"]).collect();
    assert!(sizes.contains(&"640x360"), "the smallest rung: {told}");
    assert_eq!(sizes.last(), Some(&"1280x720"), "then the largest: {told}");
    assert_eq!(told["languages"], json!(["en", "fr"]), "{told}");
    let of_second = texts(&told["fetched"]).filter(|url| url.contains("/audio-2-"));
    assert!(of_second.count() > 1, "the other language from the middle on: {told}");
    assert_eq!(told["texts"], json!(["de"]), "{told}");
    assert_eq!(told["words"], json!(["The first words.", "The last words."]), "{told}");
    let after_jump = told["played_after_jump"].as_array().expect("times");
    is_about(&after_jump.last().expect("a time")[1], FILM_SECONDS, told);
}

/// From the first picture to the last in one go: no error, no hole, few waits; and by a browser that can do it at all.
fn plays_well(told: &Value, waits_max: usize) {
    assert_eq!(told["decodes"], true, "this Chromium decodes H.264 and AAC");
    assert_eq!(told["failed"], Value::Null, "{told}");
    for trouble in ["errors", "holes"] {
        assert_eq!(told[trouble], json!([]), "{trouble}: {told}");
    }
    assert_eq!(told["jumps"], 0, "{told}");
    let waits = told["waits"].as_array().expect("times");
    assert!(waits.len() <= waits_max, "{told}");
    assert_eq!(told["played"].as_array().map(Vec::len), Some(1), "in one go: {told}");
    is_about(&told["played"][0][0], 0, told);
    is_about(&told["played"][0][1], FILM_SECONDS, told);
    is_about(&told["ended_at"], FILM_SECONDS, told);
}

fn texts(list: &Value) -> impl Iterator<Item = &str> {
    list.as_array().into_iter().flatten().filter_map(Value::as_str)
}

fn is_about(seconds: &Value, expected: u32, told: &Value) {
    let seconds = seconds.as_f64().unwrap_or_else(|| panic!("no time: {told}"));
    assert!(
        (seconds - f64::from(expected)).abs() < TIME_ERROR_S_MAX,
        "{seconds} s: {told}"
    );
}

/// A browser with a player.
struct Viewer(Process);

impl Viewer {
    async fn start(player: &str, scenario: &str, url: &str) -> Self {
        let here = Path::new(env!("CARGO_MANIFEST_DIR"));
        let packages = environment("node-env.sh", "players", "players/package.json").await;
        let mut node = tokio::process::Command::new("node");
        node.env("NODE_DIR", packages).arg(here.join("players/drive.mjs"));
        node.args([player, scenario, url]);
        Self(Process::spawn(node))
    }

    /// Waits until something is to be seen.
    async fn plays(&self) {
        self.0
            .out
            .find(STEP_MAX, "a start", |line| (line == "it plays").then_some(()))
            .await;
    }

    /// What the page tells at the end.
    async fn told(mut self) -> Value {
        let ended = self.0.ended(STEP_MAX).await;
        assert_eq!(ended.code, Some(0), "{ended:#?}");
        serde_json::from_str(ended.out.last().expect("a line")).expect("a line of JSON")
    }
}

async fn play(player: &str, scenario: &str, url: &str) -> Value {
    Viewer::start(player, scenario, url).await.told().await
}

/// Pictures, sound in two languages, words in a third, and its index in front.
async fn film(dir: &Path) -> PathBuf {
    let (path, subtitles) = (dir.join("film.mp4"), dir.join("words.srt"));
    std::fs::write(&subtitles, SUBTITLES).expect("a file");
    let second_sound = format!("sine=880:duration={FILM_SECONDS}");
    let mut ffmpeg = Tool::new("ffmpeg");
    ffmpeg.args(["-i"]).path(&clip(PICTURES).await);
    ffmpeg.args(["-f", "lavfi", "-i", &second_sound, "-i"]).path(&subtitles);
    ffmpeg.args([
        "-map", "0", "-map", "1", "-map", "2", "-c:v", "copy", "-c:a", "aac", "-c:s", "mov_text",
    ]);
    ffmpeg.args(["-metadata:s:a:0", "language=eng", "-metadata:s:a:1", "language=fra"]);
    ffmpeg.args(["-metadata:s:s:0", "language=deu", "-movflags", "+faststart"]);
    ffmpeg.path(&path).run().await;
    path
}
