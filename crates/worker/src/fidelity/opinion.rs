//! What parsers that others wrote make of a result: hls-parser (strict), mpd-parser, and mp4box, GPAC's reader.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    process::Command,
    sync::LazyLock,
};

use serde::Deserialize;

use super::{player::Played, run};

const HERE: &str = env!("CARGO_MANIFEST_DIR");

/// Where the packages are.
static PACKAGES: LazyLock<PathBuf> = LazyLock::new(|| {
    let here = Path::new(HERE);
    let script = here.join("../../scripts/lib/node-env.sh");
    let list = here.join("checkers/package.json");
    let words = [script.to_str().unwrap(), "checkers", list.to_str().unwrap()];
    let output = run("bash", here, &words);
    String::from_utf8(output.stdout).unwrap().trim().into()
});

#[derive(Debug, Deserialize)]
struct Opinion {
    /// What they don't like.
    complaints: Vec<String>,
    /// What they found, by playlist.
    seen: BTreeMap<String, Seen>,
}

#[derive(Debug, Deserialize)]
struct Seen {
    segments: usize,
    samples: Option<usize>,
    codec: Option<String>,
    tracks: Option<usize>,
}

fn ask(dir: &Path) -> Opinion {
    let mut node = Command::new("node");
    node.env("NODE_DIR", &*PACKAGES)
        .arg(Path::new(HERE).join("checkers/check.mjs"));
    let output = node.arg(dir).output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    serde_json::from_slice(&output.stdout).unwrap()
}

/// They have nothing to complain about, and see the segments and samples that we see, in HLS and in DASH.
pub(super) fn asked(played: &Played) {
    let opinion = ask(&played.dir);
    assert_eq!(opinion.complaints, [""; 0]);
    for track in played.tracks() {
        let name = track.file.file_stem().unwrap().to_str().unwrap();
        let hls = &opinion.seen[&format!("{name}.m3u8")];
        let samples = track.samples().count();
        assert_eq!(
            (hls.segments, hls.samples, hls.tracks),
            (track.segments.len(), Some(samples), Some(1)),
            "{name}: {opinion:?}"
        );
        let codec = hls.codec.as_ref().unwrap().to_lowercase();
        assert!(codec.starts_with(&track.codec), "{name}: {opinion:?}");
    }
    let dash: Vec<&Seen> = opinion
        .seen
        .iter()
        .filter(|(name, _)| name.starts_with("manifest.mpd"))
        .map(|(_, seen)| seen)
        .collect();
    assert!(dash.len() >= played.videos.len(), "{opinion:?}");
    let mut lengths: Vec<usize> = played.tracks().map(|track| track.segments.len()).collect();
    lengths.dedup();
    assert!(dash.iter().all(|seen| lengths.contains(&seen.segments)), "{opinion:?}");
}

/// Each of the three notices a mistake of its kind.
#[tokio::test(flavor = "multi_thread")]
async fn they_see_mistakes() {
    let clip = super::clip::Clip {
        seconds: 3.0,
        ..Default::default()
    };
    let outcome = super::check::transcode(&clip, &[96]).await;
    let dir = &outcome.played.dir;
    asked(&outcome.played);
    let change = |name: &str, from: &str, to: &str| {
        let text = super::player::read_text(dir, name);
        assert!(text.contains(from), "{text}");
        std::fs::write(dir.join(name), text.replace(from, to)).unwrap();
        let opinion = ask(dir);
        std::fs::write(dir.join(name), text).unwrap();
        opinion.complaints
    };
    let video = outcome.played.videos[0].file.with_extension("m3u8");
    let name = video.file_name().unwrap().to_str().unwrap();
    assert_ne!(change(name, "#EXT-X-TARGETDURATION:", "#EXT-X-TARGET:"), [""; 0]);
    assert_ne!(change("manifest.mpd", "</Period>", ""), [""; 0]);
    assert_ne!(
        change(name, "#EXT-X-MAP:URI=\"", "#EXT-X-MAP:URI=\"./nowhere/"),
        [""; 0]
    );
}
