//! A second opinion: parsers of others read a whole result without a complaint, and find the same in it.

use std::path::Path;

use serde_json::{Value, json};

use super::{FILM_SECONDS, TIME_ERROR_S_MAX, made, texts};
use crate::harness::{environment, tool};

/// Three rungs, two languages and the words.
const PLAYLISTS: usize = 3 + 2 + 1;

#[tokio::test(flavor = "multi_thread")]
async fn parsers_of_others_find_nothing_wrong() {
    let (_node, urls) = made(&[]).await;
    let read = judged(&urls.hls, &urls.dash).await;
    let variants = read["hls"]["variants"].as_array().expect("variants");
    let (pictures, films): (Vec<&Value>, Vec<&Value>) =
        variants.iter().partition(|variant| variant["isIFrameOnly"] == true);
    assert!(!pictures.is_empty(), "{read}");
    let heights = films.iter().map(|variant| variant["resolution"]["height"].as_u64());
    let mut heights: Vec<u64> = heights.map(|height| height.expect("a height")).collect();
    heights.sort_unstable();
    assert_eq!(heights, [360, 480, 720], "{read}");

    let playlists = read["hls"]["playlists"].as_array().expect("playlists");
    assert_eq!(playlists.len(), PLAYLISTS + pictures.len(), "{read}");
    for playlist in playlists {
        lasts(playlist);
    }
    let of_dash = &read["dash"];
    assert_eq!(of_dash["video"].as_array().map(Vec::len), Some(3), "{read}");
    assert_eq!(of_dash["audio"].as_array().map(Vec::len), Some(2), "{read}");
    let segments = |name: &str| {
        let mut found = playlists
            .iter()
            .filter(|of| of["url"].as_str().is_some_and(|url| url.contains(name)));
        found.next().expect(name)["segments"].clone()
    };
    for rung in of_dash["video"].as_array().into_iter().flatten() {
        assert_eq!(rung["segments"], segments("/360p.m3u8"), "the same pieces: {read}");
    }

    let files = read["files"].as_array().expect("files");
    assert_eq!(files.len(), 3 + 2, "{read}");
    for file in files {
        assert_eq!(file["begins_with_sync"], true, "{file}");
        assert_eq!(file["decode_times_rise"], true, "{file}");
        lasts(file);
    }
    let codecs: Vec<&str> = texts(&json!(files.iter().map(|file| &file["codec"]).collect::<Vec<_>>()))
        .map(codec)
        .collect();
    assert_eq!(codecs.iter().filter(|codec| **codec == "avc1").count(), 3, "{read}");
    assert_eq!(codecs.iter().filter(|codec| **codec == "mp4a").count(), 2, "{read}");
}

fn codec(told: &str) -> &'static str {
    match told.split('.').next() {
        Some("avc1") => "avc1",
        Some("mp4a") => "mp4a",
        _ => "another",
    }
}

/// As long as the film; sound may end a frame of its own later.
fn lasts(told: &Value) {
    let seconds = told["seconds"].as_f64().unwrap_or_else(|| panic!("no length: {told}"));
    assert!((seconds - f64::from(FILM_SECONDS)).abs() < TIME_ERROR_S_MAX, "{told}");
}

async fn judged(hls: &str, dash: &str) -> Value {
    let packages = environment("node-env.sh", "players", "players/package.json").await;
    let judge = Path::new(env!("CARGO_MANIFEST_DIR")).join("players/judge.mjs");
    let dir = format!("NODE_DIR={}", packages.display());
    let judge = judge.to_str().expect("a path");
    let told = tool("env", &[&dir, "node", judge, hls, dash]).await;
    serde_json::from_str(told.lines().last().expect("a line")).expect("a line of JSON")
}
