//! Sources with several voices, many channels, odd lengths, and words to read.

use reelway_media::MASTER_PLAYLIST;

use super::{
    check::{Outcome, continuous, faithful, same_sound, transcode},
    clip::Clip,
    opinion,
    player::{Track, quoted, read_text},
    run, sound, source,
};

/// How far a beep may move.
const SYNC_ERROR_S_MAX: f64 = 0.020;
/// A cue at 1 s and one at 5.25 s, as a file of subtitles, so that no file must be there beforehand.
const WORDS: &str = "data:text/plain;base64,MQowMDowMDowMSwwMDAgLS0+IDAwOjAwOjAyLDUwMApCb25qb3VyCgoyCjAwOjAwOjA1LDI1MCAtLT4gMDA6MDA6MDcsM\
                     DAwCjxpPkRldXg8L2k+ICYgdHJvaXMKCg==";

/// The lines of the multivariant playlist that name renditions of a type.
fn renditions(outcome: &Outcome, kind: &str) -> Vec<String> {
    let text = read_text(&outcome.played.dir, MASTER_PLAYLIST);
    let tag = format!("#EXT-X-MEDIA:TYPE={kind}");
    text.lines()
        .filter(|line| line.starts_with(&tag))
        .map(str::to_owned)
        .collect()
}

/// A second voice half a second behind the first.
#[tokio::test(flavor = "multi_thread")]
async fn two_languages() {
    for name in ["clip.mp4", "clip.mkv", "clip.ts"] {
        let clip = Clip {
            name,
            seconds: 9.0,
            copied: Some(
                "-i first.mp4 -itsoffset 0.5 -i first.mp4 -map 0 -map 1:a -c copy -metadata:s:a:0 language=ger \
                 -metadata:s:a:1 language=eng",
            ),
            ..Clip::default()
        };
        let outcome = transcode(&clip, &[180]).await;
        assert_eq!(outcome.played.complaints(), "", "{name}");
        opinion::asked(&outcome.played);
        let lines = renditions(&outcome, "AUDIO");
        let languages: Vec<&str> = lines.iter().map(|line| quoted(line, "LANGUAGE")).collect();
        assert_eq!(languages, ["de", "en"], "{name}");
        let tracks: Vec<Track> = lines
            .iter()
            .map(|line| Track::read(&outcome.played.dir, quoted(line, "URI"), None))
            .collect();
        tracks.iter().for_each(continuous);
        let heard: Vec<Vec<f64>> = tracks.iter().map(|track| sound::onsets(&track.file)).collect();
        assert!(heard[0].len() >= 8, "{name}: {heard:?}");
        for first in &heard[0] {
            let there = |second: &f64| (second - first - 0.5).abs() <= SYNC_ERROR_S_MAX;
            assert!(heard[1].iter().any(there), "{name}: {heard:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn many_channels_and_one() {
    for (name, sound, audio) in [
        (
            "clip.mkv",
            ",pan=5.1|FC=c0|FL=0.3*c0|FR=0.3*c0,asetnsamples=1536",
            "-c:a ac3",
        ),
        (
            "clip.mkv",
            ",pan=7.1|FC=c0|SL=c0|SR=c0|BL=c0|BR=c0|FL=c0|FR=c0|LFE=c0",
            "-c:a flac",
        ),
        ("clip.mp4", ",aformat=channel_layouts=mono", "-c:a aac -ac 1"),
    ] {
        let clip = Clip {
            name,
            seconds: 9.0,
            sound,
            audio,
            ..Clip::default()
        };
        faithful(&clip, &[180]).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn sound_shorter_and_longer_than_the_picture() {
    for (sound, retimed) in [(",atrim=end=6.3", ""), ("", ",trim=end=5.2")] {
        let clip = Clip {
            seconds: 11.0,
            sound,
            retimed,
            ..Clip::default()
        };
        faithful(&clip, &[180]).await;
    }
}

/// Long enough for several runs, each by a process of its own.
#[tokio::test(flavor = "multi_thread")]
async fn long_sound_in_runs() {
    let clip = Clip {
        name: "clip.m4a",
        seconds: 150.0,
        video: "",
        ..Clip::default()
    };
    let outcome = transcode(&clip, &[180]).await;
    assert_eq!(outcome.played.complaints(), "");
    let start = source::times(&outcome.source, "a:0")[0];
    let (last, _) = same_sound(&outcome.source, outcome.played.audio().unwrap(), start);
    assert!(last > 148.0, "{last}");
}

#[tokio::test(flavor = "multi_thread")]
async fn words_are_shown_at_their_times() {
    for (name, codec) in [("clip.mp4", "mov_text"), ("clip.mkv", "subrip")] {
        let copied =
            format!("-i first.mp4 -f srt -i {WORDS} -map 0 -map 1 -c copy -c:s {codec} -metadata:s:s:0 language=fre");
        let clip = Clip {
            name,
            seconds: 9.0,
            copied: Some(copied.leak()),
            ..Clip::default()
        };
        let outcome = transcode(&clip, &[180]).await;
        opinion::asked(&outcome.played);
        let lines = renditions(&outcome, "SUBTITLES");
        assert_eq!(lines.len(), 1, "{name}");
        assert_eq!(quoted(&lines[0], "LANGUAGE"), "fr", "{name}");
        let playlist = read_text(&outcome.played.dir, quoted(&lines[0], "URI"));
        let file = playlist.lines().find(|line| !line.starts_with('#')).unwrap();
        let text = read_text(&outcome.played.dir, file);
        let start = source::times(&outcome.source, "v:0")[0];
        let (expected, cues) = (words(&outcome), text.lines().filter_map(begin).collect::<Vec<_>>());
        assert_eq!((expected.len(), cues.len()), (2, 2), "{name}: {text}");
        for (cue, expected) in cues.iter().zip(expected) {
            assert!((cue + start - expected).abs() <= 0.002, "{name}: {expected} s: {text}");
        }
        assert!(
            text.contains("\nBonjour\n") && text.contains("\n<i>Deux</i> &amp; trois\n"),
            "{text}"
        );
    }
}

/// When the source shows its words, in seconds of its own clock; without the packets that take them off the screen.
fn words(outcome: &Outcome) -> Vec<f64> {
    let (source, entries) = (outcome.source.to_str().unwrap(), "packet=pts_time,size");
    let options = [
        "-v",
        "error",
        "-select_streams",
        "s:0",
        "-of",
        "csv=p=0",
        "-show_entries",
        entries,
        source,
    ];
    let output = run("ffprobe", outcome.source.parent().unwrap(), &options);
    let text = String::from_utf8(output.stdout).unwrap();
    let fields = text.lines().filter_map(|line| line.split_once(','));
    let shown = fields.filter(|(_, size)| size.trim_end_matches(',').parse::<u32>().unwrap() > 2);
    shown.map(|(time, _)| time.parse().unwrap()).collect()
}

/// When a cue begins, in seconds.
fn begin(line: &str) -> Option<f64> {
    let (start, _) = line.split_once(" --> ")?;
    start
        .split(':')
        .try_fold(0.0, |sum, part| Some(sum * 60.0 + part.parse::<f64>().ok()?))
}
