//! Small files of each container, to be changed.

use crate::testbench::Bench;

/// How each is made: the name, and the words for ffmpeg.
const SEEDS: [(&str, &str); 12] = [
    ("a.mp4", "VA -c:v libx264 -c:a aac -movflags +faststart"),
    (
        "f.mp4",
        "VA -c:v libx264 -c:a aac -movflags +frag_keyframe+empty_moov+default_base_moof",
    ),
    (
        "c.mp4",
        "V -c:v libx264 -movflags +cmaf+frag_keyframe -video_track_timescale 90000",
    ),
    ("a.mov", "VA -c:v libx264 -c:a pcm_s16le"),
    ("a.mkv", "VA -c:v libx264 -c:a flac"),
    ("a.webm", "VA -c:v libvpx -c:a libopus"),
    ("a.ts", "VA -c:v libx264 -c:a aac"),
    ("a.avi", "VA -c:v mpeg4 -c:a mp3"),
    ("a.flv", "VA -c:v flv -c:a mp3 -ar 22050"),
    ("a.ogg", "A -c:a libvorbis"),
    ("a.wav", "A -c:a pcm_s16le"),
    ("a.mp3", "A -c:a mp3"),
];

/// A file of a known container.
pub(super) struct Seed {
    /// Its name, which ends as such files do.
    pub(super) name: &'static str,
    pub(super) bytes: Vec<u8>,
}

/// One of each.
pub(super) fn seeds(bench: &Bench) -> Vec<Seed> {
    let made = SEEDS.iter().map(|&(name, words)| {
        let words = words.replace('A', "-f lavfi -i sine=d=0.4");
        let words = words.replace('V', "-f lavfi -i testsrc2=s=48x32:r=10:d=0.4 ");
        // Nothing that differs from run to run: a failure can be made again from its number.
        let words = format!("{words} -bitexact -flags +bitexact");
        Seed {
            name,
            bytes: std::fs::read(bench.ffmpeg(&words, name)).unwrap(),
        }
    });
    made.collect()
}
