//! What players make of results: hls.js and Shaka Player in a headless Chromium, over HLS and DASH.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use reelway::v1::{CreateUploadRequest, JobState};
use serde_json::{Value, json};

use crate::{
    buckets::Bucket,
    harness::{Clip, Node, Process, Setup, Tool, WriteStream, clip, environment, get_ok, within},
};

/// A short film is made, and is played, long before.
const STEP_MAX: Duration = Duration::from_secs(120);
/// However slow the machine is, a viewer sees the end by then; `drive.mjs` gives up shortly before.
const VIEW_MAX: Duration = Duration::from_secs(240);
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
/// How much of the film is sent before both viewers have begun, in percent.
const FIRST_PERCENT: usize = 75;
/// How much is sent in one message.
const PIECE_BYTES: usize = 1 << 20;
/// So many segments of that are more than a player keeps away from the end of a broadcast: whoever begins there begins too late.
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

/// The page, the server and the bucket are three origins, and the redirect leads from the second to the third.
#[tokio::test(flavor = "multi_thread")]
async fn hls_js_plays_hls_out_of_a_bucket() {
    let bucket = Bucket::new().await;
    let setup = bucket.setup().option("--playback-delivery", "presigned");
    let (_node, urls) = made_on(setup.option("--playback", "signed")).await;
    is_played_through(&play("hls", "through", &urls.hls).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn shaka_plays_dash_out_of_a_public_bucket() {
    let bucket = Bucket::for_everybody().await;
    let setup = bucket.setup().option("--playback-delivery", "public");
    let (_node, urls) = made_on(setup.option("--playback-public-url", bucket.public_url())).await;
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
    film_on(Node::with(options).await).await
}

async fn made_on(setup: Setup) -> (Node, Urls) {
    film_on(Node::set_up(setup).await).await
}

async fn film_on(node: Node) -> (Node, Urls) {
    let upload = node.upload(&film(node.dir()).await, "fast").await;
    let job = node.job_ended(&upload.job_id, STEP_MAX).await;
    assert_eq!(job.state(), JobState::Succeeded, "{job:?}");
    let urls = Urls {
        hls: job.playback_url,
        dash: job.manifest_url,
    };
    (node, urls)
}

/// One viewer begins as soon as there is anything, and one when much of it is there; only then the rest is sent.
async fn plays_what_still_grows(player: &str, options: &[&str]) {
    let node = Node::with(options).await;
    let bytes = std::fs::read(film(node.dir()).await).expect("a film");
    let request = CreateUploadRequest {
        size_bytes: Some(i64::try_from(bytes.len()).expect("a length")),
        file_name: "film.mp4".to_owned(),
        preset: "fast".to_owned(),
        ..Default::default()
    };
    let upload = node.client().create_upload(request).await.expect("an upload");
    let first = bytes.len() * FIRST_PERCENT / 100;
    send(&node, &upload.id, &bytes[..first]).await;
    let job = within(STEP_MAX, "something to play", async || {
        let job = node.job(&upload.job_id).await;
        (!job.playback_url.is_empty()).then_some(job)
    })
    .await;
    assert_eq!(job.state(), JobState::Running, "{job:?}");
    let early = Viewer::start(player, "untouched", &job.playback_url).await;
    early.plays().await;
    within(STEP_MAX, "much of it", async || {
        let (_, playlist) = get_ok(&job.playback_url.replace("master.m3u8", "360p.m3u8")).await;
        let segments = String::from_utf8_lossy(&playlist).matches("#EXTINF").count();
        (segments >= SEGMENTS_LATE).then_some(())
    })
    .await;
    let late = Viewer::start(player, "untouched", &job.playback_url).await;
    late.plays().await;
    send(&node, &upload.id, &bytes).await;
    let (early, late) = (early.told().await, late.told().await);
    for told in [&early, &late] {
        plays_well(told);
        let known = told["duration_at_first"].as_f64();
        assert!(
            known.is_none_or(|seconds| seconds + 1.0 < f64::from(FILM_SECONDS)),
            "it grew: {told}"
        );
    }
    let ended = node.job_ended(&job.id, STEP_MAX).await;
    assert_eq!(ended.state(), JobState::Succeeded, "{ended:?}");
}

/// Goes on with an upload until it has all of these bytes.
async fn send(node: &Node, upload_id: &str, bytes: &[u8]) {
    let mut uploads = node.uploads().await;
    let mut stream = WriteStream::open(&mut uploads, upload_id).await.expect("a stream");
    while stream.at() < bytes.len() {
        let end = bytes.len().min(stream.at() + PIECE_BYTES);
        stream.send_flushed(bytes[stream.at()..end].to_vec()).await;
        stream.acked().await.expect("room for it");
    }
}

/// Everything was there to see, hear and read, and could be changed while it played.
fn is_played_through(told: &Value) {
    plays_well(told);
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

/// From the first picture to the last in one go: no error, no hole, no wait with something to play; and by a browser that can do it
/// at all.
fn plays_well(told: &Value) {
    assert_eq!(told["decodes"], true, "this Chromium decodes H.264 and AAC");
    assert_eq!(told["failed"], Value::Null, "{told}");
    for trouble in ["errors", "holes", "waits"] {
        assert_eq!(told[trouble], json!([]), "{trouble}: {told}");
    }
    assert_eq!(told["jumps"], 0, "{told}");
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
        let ended = self.0.ended(VIEW_MAX).await;
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
