//! The result as a player sees it: from the multivariant playlist down to the bytes of each segment.

use std::{
    os::unix::fs::symlink,
    path::{Path, PathBuf},
};

use reelway_domain::JobId;
use reelway_media::MASTER_PLAYLIST;

use super::{
    boxes::{Init, Sample},
    sections,
};
use crate::testing::Bench;

/// A published job, laid out as it is served.
pub(super) struct Played {
    pub(super) dir: PathBuf,
    /// The file to keep, if one was asked for.
    pub(super) download: Option<PathBuf>,
    /// The variants with a picture, in the playlist's order.
    pub(super) videos: Vec<Track>,
    /// The sounds, the default one first.
    pub(super) audios: Vec<Track>,
}

/// A media playlist with everything in it.
pub(super) struct Track {
    /// Width and height that the multivariant playlist promises; `None` for sound.
    pub(super) size: Option<(u32, u32)>,
    /// The init section's address and those of the segments.
    pub(super) uris: Vec<String>,
    /// What the init section says of the codec, as playlists write it; only its beginning if it isn't H.264.
    pub(super) codec: String,
    /// The target duration, in seconds.
    pub(super) target: f64,
    /// Init section and segments in one file.
    pub(super) file: PathBuf,
    pub(super) init: Init,
    pub(super) segments: Vec<Segment>,
}

/// A segment: what the playlist says of it, and what is in it.
pub(super) struct Segment {
    /// How long the playlist says it is, in seconds.
    pub(super) duration: f64,
    /// How long its file is, in bytes.
    pub(super) bytes: u32,
    pub(super) samples: Vec<Sample>,
}

impl Played {
    /// Reads all that was published of a job, into a directory of the bench.
    pub(super) async fn open(bench: &Bench, job: JobId) -> Self {
        let published = bench.catalog.playback(job).await.unwrap().unwrap();
        assert!(published.is_final);
        let dir = bench.dir.path().join("play");
        std::fs::create_dir(&dir).unwrap();
        let prefix = bench.store.output(job).path(&published.prefix.parse().unwrap());
        // Served under `c/` are the keys of the job.
        symlink(prefix.parent().unwrap(), dir.join("c")).unwrap();
        for playlist in std::fs::read_dir(prefix).unwrap() {
            let playlist = playlist.unwrap();
            std::fs::copy(playlist.path(), dir.join(playlist.file_name())).unwrap();
        }
        let download = published.download_key.map(|key| dir.join("c").join(key));
        Self {
            download,
            ..Self::read(dir)
        }
    }

    /// Reads what lies in a directory as it is served.
    pub(super) fn read(dir: PathBuf) -> Self {
        let text = read_text(&dir, MASTER_PLAYLIST);
        let mut lines = text.lines();
        let (mut videos, mut audios) = (Vec::new(), Vec::<Track>::new());
        while let Some(line) = lines.next() {
            if let Some(attributes) = line.strip_prefix("#EXT-X-STREAM-INF:") {
                let track = Track::read(&dir, lines.next().unwrap(), size(attributes));
                if track.size.is_some() {
                    videos.push(track);
                } else if audios.iter().all(|audio| audio.file != track.file) {
                    audios.push(track);
                }
            } else if line.starts_with("#EXT-X-MEDIA:TYPE=AUDIO") {
                audios.push(Track::read(&dir, quoted(line, "URI"), None));
            }
        }
        Self {
            dir,
            download: None,
            videos,
            audios,
        }
    }

    /// The default sound, if there is any.
    pub(super) fn audio(&self) -> Option<&Track> {
        self.audios.first()
    }

    /// The pictures and the sounds.
    pub(super) fn tracks(&self) -> impl Iterator<Item = &Track> {
        self.videos.iter().chain(&self.audios)
    }

    /// What ffmpeg complains about when it plays all renditions from beginning to end.
    pub(super) fn complaints(&self) -> String {
        let words = [
            "-nostdin",
            "-v",
            "warning",
            "-i",
            MASTER_PLAYLIST,
            "-map",
            "0",
            // Ticks of a guessed frame rate would be too coarse for some.
            "-enc_time_base",
            "-1",
            "-fps_mode",
            "passthrough",
            "-f",
            "null",
            "-",
        ];
        String::from_utf8(super::run("ffmpeg", &self.dir, &words).stderr).unwrap()
    }
}

impl Track {
    pub(super) fn read(dir: &Path, playlist: &str, size: Option<(u32, u32)>) -> Self {
        let text = read_text(dir, playlist);
        assert!(text.ends_with("#EXT-X-ENDLIST\n"), "{text}");
        assert!(!text.contains("DISCONTINUITY") && !text.contains("GAP"), "{text}");
        let with_tag = |tag| text.lines().find_map(|line| line.strip_prefix(tag));
        let target: f64 = with_tag("#EXT-X-TARGETDURATION:").unwrap().parse().unwrap();
        let map = quoted(with_tag("#EXT-X-MAP:").unwrap(), "URI");
        let section = std::fs::read(dir.join(map)).unwrap();
        sections::init(&section);
        let codec = sections::codec(&section);
        if let (Some(promised), Some(size)) = (size, sections::size(&section)) {
            assert_eq!(promised, size, "RESOLUTION of {playlist}");
        }
        let (init, mut bytes, mut uris) = (Init::read(&section), section.clone(), vec![map.to_owned()]);
        let (mut segments, mut number) = (Vec::new(), None);
        let mut lines = text.lines();
        while let Some(line) = lines.next() {
            let Some(duration) = line.strip_prefix("#EXTINF:") else {
                continue;
            };
            let duration: f64 = duration.trim_end_matches(',').parse().unwrap();
            assert!(duration.round() <= target, "{text}");
            let uri = lines.next().unwrap();
            let segment = std::fs::read(dir.join(uri)).unwrap();
            let next = sections::segment(&segment, &section);
            assert!(number < Some(next), "segment {next} comes after {number:?}");
            number = Some(next);
            uris.push(uri.to_owned());
            sections::begins_with_idr(&segment, &codec);
            segments.push(Segment {
                duration,
                bytes: u32::try_from(segment.len()).unwrap(),
                samples: init.samples(&segment),
            });
            bytes.extend(segment);
        }
        let file = dir.join(playlist).with_extension("mp4");
        std::fs::write(&file, bytes).unwrap();
        Self {
            size,
            uris,
            codec,
            target,
            file,
            init,
            segments,
        }
    }

    /// All samples in the order of decoding.
    pub(super) fn samples(&self) -> impl Iterator<Item = &Sample> {
        self.segments.iter().flat_map(|segment| &segment.samples)
    }

    /// When the playlist says that it ends, in seconds.
    pub(super) fn listed_end(&self) -> f64 {
        self.segments.iter().map(|segment| segment.duration).sum()
    }

    /// A time of this track in seconds.
    #[expect(clippy::cast_precision_loss, reason = "clips are short")]
    pub(super) fn seconds(&self, ticks: i64) -> f64 {
        ticks as f64 / f64::from(self.init.timescale)
    }

    /// The times at which frames are shown, in seconds, in order.
    pub(super) fn shown(&self) -> Vec<f64> {
        let mut ticks: Vec<i64> = self.samples().map(|sample| sample.shown_at).collect();
        ticks.sort_unstable();
        ticks.into_iter().map(|ticks| self.seconds(ticks)).collect()
    }
}

pub(super) fn read_text(dir: &Path, name: &str) -> String {
    std::fs::read_to_string(dir.join(name)).unwrap()
}

/// The value of an attribute that is a quoted string.
pub(super) fn quoted<'a>(attributes: &'a str, name: &str) -> &'a str {
    let (_, value) = attributes.split_once(&format!("{name}=\"")).unwrap();
    value.split('"').next().unwrap()
}

fn size(attributes: &str) -> Option<(u32, u32)> {
    let (_, value) = attributes.split_once("RESOLUTION=")?;
    let (width, height) = value.split(',').next()?.split_once('x')?;
    Some((width.parse().ok()?, height.parse().ok()?))
}
