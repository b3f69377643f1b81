//! What a job made, looked at as a player would: over HTTP, by the names in the playlists.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use bytes::Bytes;

use super::{Tool, get_ok};

/// Everything that a multivariant playlist names, fetched and kept in a directory.
pub(crate) struct Playback {
    dir: PathBuf,
    /// The media playlists of pictures or sound, without those for seeking.
    pub(crate) variants: Vec<PathBuf>,
    /// The name and media type of each file.
    pub(crate) types: Vec<(String, String)>,
}

impl Playback {
    /// Fetches the playlist at `url` and everything it names, to below `dir`.
    pub(crate) async fn fetch(url: &str, dir: &Path) -> Self {
        let (base, name) = url.rsplit_once('/').expect("a URL with a path");
        let mut playback = Self {
            dir: dir.to_owned(),
            variants: Vec::new(),
            types: Vec::new(),
        };
        let master = playback.keep(base, name).await;
        for playlist in named(&master) {
            let text = playback.keep(base, &playlist).await;
            let is_for_seeking = String::from_utf8_lossy(&text).contains("#EXT-X-I-FRAMES-ONLY");
            for piece in named(&text) {
                playback.keep(base, &piece).await;
            }
            if !is_for_seeking {
                playback.variants.push(dir.join(&playlist));
            }
        }
        playback
    }

    /// The media playlists of pictures.
    pub(crate) fn pictures(&self) -> impl Iterator<Item = &PathBuf> {
        self.variants.iter().filter(|path| !path.ends_with("audio.m3u8"))
    }

    /// The multivariant playlist on this disk.
    pub(crate) fn master(&self) -> PathBuf {
        self.dir.join("master.m3u8")
    }

    async fn keep(&mut self, base: &str, name: &str) -> Bytes {
        let (content_type, body) = get_ok(&format!("{base}/{name}")).await;
        assert!(
            !name.contains("..") && !name.starts_with('/'),
            "a relative name below the playlist: {name}"
        );
        let path = self.dir.join(name);
        fs::create_dir_all(path.parent().expect("a directory")).expect("a directory");
        fs::write(path, &body).expect("a copy");
        self.types.push((name.to_owned(), content_type));
        body
    }
}

/// The names in a playlist, each once: lines that are no tags, and the URIs of tags.
fn named(playlist: &[u8]) -> BTreeSet<String> {
    let text = std::str::from_utf8(playlist).expect("a playlist is text");
    assert!(text.starts_with("#EXTM3U\n"), "{text}");
    let uri = |line: &str| Some(line.split_once("URI=\"")?.1.split_once('"')?.0.to_owned());
    let name = |line: &str| {
        if line.starts_with('#') {
            uri(line)
        } else {
            Some(line.to_owned())
        }
    };
    text.lines().filter(|line| !line.is_empty()).filter_map(name).collect()
}

/// How many pictures a file or a playlist decodes to.
pub(crate) async fn count_frames(path: &Path) -> u64 {
    let mut ffprobe = Tool::new("ffprobe");
    ffprobe.args(["-allowed_extensions", "ALL", "-count_frames", "-select_streams", "v:0"]);
    ffprobe
        .args(["-show_entries", "stream=nb_read_frames", "-of", "default=nw=1:nk=1"])
        .path(path);
    // A playlist has its stream twice: in the program and by itself.
    let counted = ffprobe.run().await;
    counted
        .lines()
        .next()
        .and_then(|line| line.trim().parse().ok())
        .unwrap_or_else(|| panic!("no count: {counted:?}"))
}
