//! The main road: a file in, streaming video out.

use serde_json::Value;

use crate::harness::{Cli, Clip, Node, Playback, Tool, clip, count_frames, get_ok};

const CLIP: Clip = Clip {
    size: "640x480",
    ..Clip::short(10)
};

#[tokio::test(flavor = "multi_thread")]
async fn a_file_becomes_streaming_video() {
    let node = Node::start().await;
    let cli = Cli::of(&node);
    let file = clip(CLIP).await;
    let lines = cli.json(["upload", file.to_str().expect("text"), "--json"]).await;
    let last = lines.last().expect("a last line");
    let text = |value: &Value| value.as_str().unwrap_or_else(|| panic!("text in {last}")).to_owned();
    assert_eq!(last["state"], "succeeded", "{last}");
    assert!(
        text(&last["upload_id"]).starts_with("upl_") && text(&last["job_id"]).starts_with("job_"),
        "{last}"
    );
    let playable = lines
        .iter()
        .find(|line| line["event"] == "playable")
        .expect("a line when it can be played");
    assert_eq!(playable["playback_url"], last["playback_url"]);

    let url = text(&last["playback_url"]);
    let playback = Playback::fetch(&url, &node.dir().join("fetched")).await;
    for (name, content_type) in &playback.types {
        assert_eq!(content_type, expected_type(name), "{name}");
    }
    assert_eq!(
        (playback.pictures().count(), playback.variants.len()),
        (2, 3),
        "480p, 360p and sound"
    );
    for variant in playback.pictures() {
        assert_eq!(count_frames(variant).await, CLIP.frames(), "{}", variant.display());
    }
    decodes_without_a_word(&playback).await;
    let (content_type, poster) = get_ok(&url.replace("master.m3u8", "poster.jpg")).await;
    assert_eq!(content_type, "image/jpeg");
    assert!(
        poster.starts_with(&[0xff, 0xd8, 0xff]) && poster.ends_with(&[0xff, 0xd9]),
        "a whole JPEG"
    );
}

/// By the names that RFC 8216 and the registry of media types give them.
fn expected_type(name: &str) -> &'static str {
    match name.rsplit_once('.').map(|(_, extension)| extension) {
        Some("m3u8") => "application/vnd.apple.mpegurl",
        Some("m4s") => "video/iso.segment",
        Some("mp4") => "video/mp4",
        _ => panic!("{name} is none of the kinds that a playlist names"),
    }
}

/// A player that starts with the multivariant playlist plays picture and sound to the end.
async fn decodes_without_a_word(playback: &Playback) {
    let mut ffmpeg = Tool::new("ffmpeg");
    ffmpeg
        .args(["-xerror", "-allowed_extensions", "ALL", "-i"])
        .path(&playback.master());
    let said = ffmpeg
        .args(["-map", "0:v:0", "-map", "0:a:0", "-f", "null", "-", "-progress", "-"])
        .run()
        .await;
    let frames = said
        .lines()
        .filter_map(|line| line.strip_prefix("frame="))
        .next_back()
        .expect("a count");
    assert_eq!(frames.trim().parse(), Ok(CLIP.frames()));
}
