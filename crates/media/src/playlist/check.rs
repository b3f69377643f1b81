//! A checker of playlists: RFC 8216 and Apple's HLS authoring specification, as far as text can show it. It reads what was
//! written as a player does, and knows nothing of how that was done.

mod media;
mod multivariant;
mod text;

use self::text::value;

/// Collects what is broken.
struct Rules<'f> {
    file: &'f str,
    broken: Vec<String>,
}

impl Rules<'_> {
    fn keep(&mut self, kept: bool, what: &str) {
        if !kept {
            self.broken.push(format!("{}: {what}", self.file));
        }
    }
}

/// The playlists of a job by name, of which one is the multivariant playlist.
#[derive(Clone, Copy)]
struct Files<'a> {
    master: &'a str,
    all: &'a [(&'a str, &'a str)],
}

impl<'a> Files<'a> {
    /// What a file holds.
    fn text(&self, name: &str) -> Option<&'a str> {
        self.all.iter().find(|(other, _)| *other == name).map(|(_, text)| *text)
    }

    /// The media playlists.
    fn media(&self) -> impl Iterator<Item = (&'a str, &'a str)> {
        self.all.iter().copied().filter(|(name, _)| *name != self.master)
    }
}

/// What the files break, by the numbers of Apple's authoring specification or of RFC 8216; nothing if all is well. `files` are
/// names and texts; the one named `master` is the multivariant playlist.
#[must_use]
pub fn violations(master: &str, files: &[(&str, &str)]) -> Vec<String> {
    let files = Files { master, all: files };
    let mut broken = Vec::new();
    for &(file, text) in files.all {
        let mut rules = Rules {
            file,
            broken: Vec::new(),
        };
        every_playlist(text, &mut rules);
        if file == master {
            multivariant::check(text, files, &mut rules);
        } else {
            media::check(text, &mut rules);
        }
        broken.append(&mut rules.broken);
    }
    let mut rules = Rules { file: "all", broken };
    rules.keep(files.text(master).is_some(), "the multivariant playlist is there");
    together(files, &mut rules);
    rules.broken
}

fn every_playlist(text: &str, rules: &mut Rules<'_>) {
    let version: u32 = value(text, "#EXT-X-VERSION").and_then(|v| v.parse().ok()).unwrap_or(0);
    rules.keep(text.starts_with("#EXTM3U\n"), "begins with EXTM3U (RFC 4.3.1.1)");
    rules.keep(version >= 6, "version 6 for EXT-X-MAP (RFC 7)");
    rules.keep(text.matches("#EXT-X-VERSION").count() == 1, "one version (RFC 4.3.1.2)");
    rules.keep(!text.contains("DISCONTINUITY"), "no discontinuities (8.13)");
    rules.keep(
        text.matches("#EXT-X-INDEPENDENT-SEGMENTS\n").count() <= 1,
        "one EXT-X-INDEPENDENT-SEGMENTS (RFC 4.3.5.1)",
    );
}

/// What must be the same in all media playlists of sound and picture.
fn together(files: Files<'_>, rules: &mut Rules<'_>) {
    let of = |tag: &str| {
        let mut values: Vec<_> = files
            .media()
            .filter(|(_, text)| text.contains("#EXT-X-MAP:"))
            .map(|(_, text)| value(text, tag))
            .collect();
        values.dedup();
        values.len()
    };
    rules.keep(of("#EXT-X-TARGETDURATION") <= 1, "one target duration for all (8.2)");
    rules.keep(of("#EXT-X-PLAYLIST-TYPE") <= 1, "all grow or all are whole (8.6)");
}

#[cfg(test)]
mod tests;
