//! What must hold of every result.

use std::{
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use reelway_domain::{EncoderSpeed, JobState, Ladder, Rung, TaskKind, Tenant};

use super::{
    clip::Clip,
    pictures::{self, Frame},
    player::{Played, Track},
    rules, sound, source,
};
use crate::testing::Bench;

/// How like its source each frame must be. A frame in the wrong place is below that.
pub(super) const LIKENESS_MIN: f64 = 0.96;
/// How much better than the worst frame all of them are on average.
const MEAN_LIKENESS_ABOVE: f64 = 0.02;
/// How far a frame's time may be from the source's: rounding to ticks of 1/90000 s moves it by 0.006 ms at most.
const TIME_ERROR_S_MAX: f64 = 0.000_1;
/// The same for sources that are read from an indexed copy: its clock rounds each time, and the first one, by 0.5 ms at most.
const COPY_TIME_ERROR_S_MAX: f64 = 0.001_1;
/// How far a beep may move against the picture.
const SYNC_ERROR_S_MAX: f64 = 0.020;
/// How far a playlist's rounded durations may be from those of the boxes.
const DURATION_ERROR_S_MAX: f64 = 0.000_1;
/// How much later than it is shown a frame may be decoded: some players move the whole track by that.
const LATE_S_MAX: f64 = 0.2;
/// How far the end of the picture may be from the end of the source's: half a frame.
const PICTURE_END_ERROR_S_MAX: f64 = 0.016;
/// How long a packet of sound is, and how far the end of the sound may be from the end of the source's: two packets.
const PACKET_S: f64 = 1024.0 / 48_000.0;
const SOUND_END_ERROR_S_MAX: f64 = 2.0 * PACKET_S;

/// A result, and the source that it was made of.
pub(super) struct Outcome {
    /// The directory of all of it goes away with this.
    _bench: Bench,
    pub(super) source: PathBuf,
    pub(super) played: Played,
    /// How many chunks the video was encoded in.
    pub(super) chunks: usize,
    spent: Spent,
}

/// Tells at the end of a case how long it took: `cargo test fidelity:: -- --nocapture 2>&1 | grep "^case"`.
struct Spent {
    begun: Instant,
    /// What the engine took of it.
    encoded: Duration,
}

impl Drop for Spent {
    fn drop(&mut self) {
        let thread = std::thread::current();
        let (all, engine) = (self.begun.elapsed().as_secs_f64(), self.encoded.as_secs_f64());
        eprintln!(
            "case {}: {all:.1} s, of which {engine:.1} s encoding",
            thread.name().unwrap_or("?")
        );
    }
}

/// What was seen of a result whose every frame is the right one.
pub(super) struct Seen {
    /// The codes of the source's frames, in order.
    pub(super) codes: Vec<u32>,
    /// The times of the source's frames from the first one on, in seconds.
    pub(super) times: Vec<f64>,
    /// Width and height of each rendition.
    pub(super) sizes: Vec<(u32, u32)>,
}

/// A ladder whose rungs have these short sides.
pub(super) fn ladder(short_sides: &[u32]) -> Ladder {
    let rung = |&short_side: &u32| Rung {
        short_side,
        bitrate_max: short_side * 4000,
    };
    Ladder {
        rungs: short_sides.iter().map(rung).collect(),
        speed: EncoderSpeed::Fast,
        crf: 21,
        missing_percent_max: 0.0,
        codec: reelway_domain::VideoCodec::H264,
        hdr_rung: false,
        download: true,
    }
}

/// Sends a clip the way of every upload; the rungs have these short sides.
pub(super) async fn transcode(clip: &Clip, short_sides: &[u32]) -> Outcome {
    let begun = Instant::now();
    let bench = Bench::new().await;
    let source = clip.make(bench.dir.path());
    let mut outcome = through(bench, source, ladder(short_sides)).await;
    outcome.spent.begun = begun;
    outcome
}

/// Sends a file of a bench's directory the way of every upload.
pub(super) async fn through(bench: Bench, source: PathBuf, ladder: Ladder) -> Outcome {
    let encoding = Instant::now();
    let job = bench.job_with(std::fs::read(&source).unwrap(), ladder).await;
    let ended = bench.run_woken_to_end(job).await;
    assert_eq!(ended.state, JobState::Succeeded, "{:?}", ended.error);
    let tasks = bench.catalog.tasks(&Tenant::single(), job).await.unwrap();
    assert!(tasks.iter().all(|task| task.attempt == 1), "{tasks:?}");
    let encoded = encoding.elapsed();
    let played = Played::open(&bench, job).await;
    rules::check(&played);
    Outcome {
        spent: Spent {
            begun: encoding,
            encoded,
        },
        source,
        played,
        chunks: tasks.iter().filter(|task| task.kind == TaskKind::Video).count(),
        _bench: bench,
    }
}

/// Makes renditions of a clip with a picture and holds them against it.
pub(super) async fn faithful(clip: &Clip, short_sides: &[u32]) -> Seen {
    let outcome = transcode(clip, short_sides).await;
    let chunks_min = if clip.seconds > 12.0 { 3 } else { 1 };
    assert!(outcome.chunks >= chunks_min, "{} chunks", outcome.chunks);
    let (source, played) = (&outcome.source, &outcome.played);
    assert_eq!(played.complaints(), "");
    assert_eq!(played.videos.len(), short_sides.len());
    let starts = source::times(source, clip.shown);
    let times: Vec<f64> = starts.iter().map(|time| time - starts[0]).collect();
    let mut frames = Vec::new();
    for video in &played.videos {
        same_times(video, &times, clip);
        continuous(video);
        geometry(video);
        frames = same_pictures(source, video, clip);
    }
    assert_eq!(played.audio().is_some(), !clip.audio.is_empty());
    if let Some(audio) = played.audio() {
        let heard = same_sound(source, audio, starts[0]);
        in_sync(&starts, &played.videos[0], &frames, heard);
    }
    Seen {
        codes: frames.iter().map(|frame| frame.code).collect(),
        times,
        sizes: played.videos.iter().filter_map(|video| video.size).collect(),
    }
}

/// As many frames as the source has, each at its time, and the last one as long as it should be.
fn same_times(video: &Track, expected: &[f64], clip: &Clip) {
    let error_max = if clip.is_indexed() {
        TIME_ERROR_S_MAX
    } else {
        COPY_TIME_ERROR_S_MAX
    };
    let shown = video.shown();
    assert_eq!(shown.len(), expected.len(), "frames of {}", video.file.display());
    for (n, (shown, expected)) in shown.iter().zip(expected).enumerate() {
        assert!(
            (shown - expected).abs() <= error_max,
            "frame {n}: {shown} s, not {expected} s"
        );
    }
    let (end, expected) = (video.listed_end(), expected.last().unwrap() + clip.frame_seconds());
    assert!(
        (end - expected).abs() <= PICTURE_END_ERROR_S_MAX,
        "the picture ends at {end} s, not {expected} s"
    );
}

/// Samples follow each other without gap or overlap, from time 0 to the end, and the playlist says so.
pub(super) fn continuous(track: &Track) {
    let (mut next, mut listed) = (0, 0.0);
    for (n, segment) in track.segments.iter().enumerate() {
        assert!(segment.samples[0].is_sync, "segment {n} can't be decoded by itself");
        let first_shown = segment.samples.iter().map(|sample| sample.shown_at).min();
        assert_eq!(first_shown, Some(segment.samples[0].shown_at), "segment {n}");
        let start = track.seconds(segment.samples[0].shown_at);
        assert!(
            (listed - start).abs() <= DURATION_ERROR_S_MAX,
            "segment {n}: {listed} s, not {start} s"
        );
        listed += segment.duration;
        for sample in &segment.samples {
            assert_eq!(sample.decoded_at, next, "segment {n}");
            assert!(sample.duration > 0, "segment {n}: two samples are decoded at one time");
            next += sample.duration;
            let late = track.seconds(sample.decoded_at - sample.shown_at);
            // Where frames last long, so do those that are decoded before their time.
            let late_max = LATE_S_MAX.max(2.0 * track.seconds(sample.duration));
            assert!(late <= late_max, "segment {n}: decoded {late} s late");
        }
    }
    let end = track.seconds(next);
    assert!(
        (listed - end).abs() <= DURATION_ERROR_S_MAX,
        "listed {listed} s of {end} s"
    );
}

/// Even sides, square pixels, and the size that the playlist says.
fn geometry(video: &Track) {
    let dir = video.file.parent().unwrap();
    let file = video.file.to_str().unwrap();
    let entries = "stream=width,height,sample_aspect_ratio,pix_fmt";
    let words = ["-v", "error", "-of", "csv=p=0", "-show_entries", entries, file];
    let text = String::from_utf8(super::run("ffprobe", dir, &words).stdout).unwrap();
    let (width, height) = video.size.unwrap();
    assert_eq!(text.trim(), format!("{width},{height},1:1,yuv420p"));
    assert_eq!((width % 2, height % 2), (0, 0));
}

/// The same frames in the same order, looking the same.
fn same_pictures(source: &Path, video: &Track, clip: &Clip) -> Vec<Frame> {
    let shown = format!("[0:{}]{}", clip.shown, clip.corrected);
    let pictures = pictures::compare(source, &video.file, video.size.unwrap(), 0, &shown);
    assert_eq!(pictures.result, pictures.source);
    let likeness = &pictures.likeness;
    assert_eq!(likeness.len(), pictures.source.len());
    for (n, like) in likeness.iter().enumerate() {
        assert!(
            *like >= clip.likeness_min,
            "frame {n} of {}: {like}",
            video.file.display()
        );
    }
    #[expect(clippy::cast_precision_loss, reason = "clips are short")]
    let mean = likeness.iter().sum::<f64>() / likeness.len() as f64;
    assert!(
        mean >= clip.likeness_min + MEAN_LIKENESS_ABOVE,
        "{}: {mean} on average",
        video.file.display()
    );
    pictures.source
}

/// Each beep of the source is heard at its time, and the sound ends where the source's does. `start` is the instant of the
/// source's clock that became time 0. Gives the times of the last beep: as heard, and in the source.
pub(super) fn same_sound(source: &Path, audio: &Track, start: f64) -> (f64, f64) {
    continuous(audio);
    let mut expected = sound::onsets(source);
    expected.retain(|onset| *onset > start);
    let heard = sound::onsets(&audio.file);
    assert_eq!(heard.len(), expected.len(), "{heard:?} is not {expected:?}");
    for (heard, expected) in heard.iter().zip(&expected) {
        let expected = expected - start;
        assert!(
            (heard - expected).abs() <= SYNC_ERROR_S_MAX,
            "a beep at {heard} s, not {expected} s"
        );
    }
    let end = source::times(source, "a:0").last().unwrap() + PACKET_S - start;
    let listed = audio.listed_end();
    assert!(
        (listed - end).abs() <= SOUND_END_ERROR_S_MAX,
        "the sound ends at {listed} s, not {end} s"
    );
    (*heard.last().unwrap(), *expected.last().unwrap())
}

/// At the end of the clip, as an eye and an ear have it: from the last flash to the last beep. `starts` are the times of the
/// source's frames.
fn in_sync(starts: &[f64], video: &Track, frames: &[Frame], (heard, expected): (f64, f64)) {
    let flashes = |n: &usize| frames[*n].is_flash && !frames[n - 1].is_flash;
    let n = (1..frames.len()).rfind(flashes).unwrap();
    let (found, expected) = (heard - video.shown()[n], expected - starts[n]);
    assert!(
        (found - expected).abs() <= SYNC_ERROR_S_MAX,
        "{found} s from flash to beep, not {expected} s"
    );
}
