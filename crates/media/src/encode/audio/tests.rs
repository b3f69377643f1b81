use std::path::Path;

use super::*;
use crate::{
    fmp4::{RecutTrack, recut_audio},
    testbench::{Bench, one_rung},
};

/// Tones that rise, each faster than the one below, so that no shift looks like another and every seam would be heard.
const SOUND: &str = "0.2*sin(2*PI*(440+7*t)*t)+0.15*sin(2*PI*(1900+40*t)*t)+0.1*sin(2*PI*(4100+50*t)*t)";
const H264: &str = "-c:v libx264 -preset ultrafast -g 250";
/// Samples in a window that is compared.
const WINDOW: usize = 2048;
/// How far a sound may be from its place, in samples.
const SHIFT_MAX: i32 = 1;
/// How far all of it may be from its place where the source rounds times to a millisecond.
const ROUNDED_MAX: i32 = 50;
/// How much worse a seam may be than the worst twentieth of all other places, in decibels.
const SEAM_LOSS_MAX: f64 = 3.0;

/// A source with a small picture, and sound of `channels` at `rate` samples a second.
pub(super) fn source(bench: &Bench, seconds: u32, (rate, channels): (u32, &str), options: &str, name: &str) -> PathBuf {
    let sound = format!("aevalsrc={SOUND}:s={rate}:d={seconds},aformat=channel_layouts={channels}");
    let picture = format!("testsrc2=s=64x64:r=10:d={seconds}");
    bench.ffmpeg(
        &format!("-f lavfi -i {picture} -f lavfi -i {sound} {H264} {options}"),
        name,
    )
}

/// Cuts a track into runs of so many frames.
pub(super) fn in_runs(audio: &AudioPlan, frames: i64) -> AudioPlan {
    let count = (audio.duration_ms * 48 / FRAME_SAMPLES / frames).max(1);
    let run = |n: i64| AudioRun {
        start_frame: n * frames,
        end_frame: (n + 1 < count).then_some((n + 1) * frames),
        bytes: None,
    };
    AudioPlan {
        runs: (0..count).map(run).collect(),
        ..audio.clone()
    }
}

async fn run(
    bench: &Bench,
    source: &Path,
    audio: &AudioPlan,
    n: usize,
    reading: AudioReading,
) -> (RecutTrack, Vec<u8>) {
    let scratch = bench.scratch();
    let work = bench.workspace(source, &scratch);
    let encoded = encode_audio(&work, audio, n, reading, |_| {}).await.unwrap();
    let run = &audio.runs[n];
    let track = recut_audio(&encoded.file, run, [0], &scratch, |n| format!("{n}.m4s")).unwrap();
    if reading != AudioReading::Silence {
        let undecoded = undecoded_ms(&work, audio, run, &encoded.heard, track.frames).await;
        assert_eq!(undecoded.unwrap(), 0, "run {n}: nothing here is damaged");
    }
    let bytes = track
        .segments
        .iter()
        .flat_map(|s| std::fs::read(scratch.join(&s.file_name)).unwrap());
    let bytes = bytes.collect();
    (track, bytes)
}

/// All runs of a track, joined and decoded to one channel.
async fn heard(bench: &Bench, source: &Path, audio: &AudioPlan) -> Vec<f32> {
    let (mut file, mut init, mut end) = (Vec::new(), None, 0);
    for (n, planned) in audio.runs.iter().enumerate() {
        let (mut track, mut bytes) = run(bench, source, audio, n, AudioReading::Planned).await;
        let frames = planned.end_frame.map(|end| end - planned.start_frame);
        if frames.is_some_and(|frames| track.frames < frames) {
            (track, bytes) = run(bench, source, audio, n, AudioReading::FromStart).await;
        }
        assert!(frames.is_none_or(|frames| track.frames == frames), "run {n}");
        for segment in &track.segments {
            assert_eq!(segment.start, end, "run {n}");
            end += segment.duration;
        }
        assert_eq!(*init.get_or_insert(track.init.clone()), track.init, "one init section");
        if file.is_empty() {
            file.extend(track.init);
        }
        file.extend(bytes);
    }
    bench.file("heard.mp4", &file);
    let heard = samples(bench, "-i heard.mp4", "");
    assert_eq!(heard.len() as i64, end, "every frame can be decoded");
    heard
}

/// What a plain ffmpeg hears in the first channel, at 48 kHz.
fn samples(bench: &Bench, input: &str, filters: &str) -> Vec<f32> {
    let raw = bench.ffmpeg(
        &format!("{input} -vn -af {filters}pan=mono|c0=c0 -f f32le -ar 48000"),
        "heard.raw",
    );
    let bytes = std::fs::read(raw).unwrap();
    bytes
        .chunks_exact(4)
        .map(|s| f32::from_le_bytes([s[0], s[1], s[2], s[3]]))
        .collect()
}

/// How like the window at `at` is to that of the reference, `shift` samples on: the noise in decibels below the sound.
fn likeness(reference: &[f32], heard: &[f32], at: usize, shift: i32) -> f64 {
    let Some(from) = at.checked_add_signed(shift as isize) else {
        return f64::NEG_INFINITY;
    };
    let (Some(a), Some(b)) = (reference.get(from..from + WINDOW), heard.get(at..at + WINDOW)) else {
        return f64::NEG_INFINITY;
    };
    let (mut sound, mut noise) = (1e-9, 1e-9);
    for (a, b) in a.iter().zip(b) {
        sound += f64::from(a * a);
        noise += f64::from((a - b) * (a - b));
    }
    10.0 * (sound / noise).log10()
}

/// Most windows are as far from the reference as its first time was rounded, and seams are as good as other places.
fn same(reference: &[f32], heard: &[f32], seams: &[usize], silent: std::ops::Range<usize>) {
    let is_loud = |at: usize| at + WINDOW < silent.start || at > silent.end + WINDOW;
    let end = reference.len().min(heard.len()) - 2 * WINDOW;
    let windows: Vec<usize> = (4 * WINDOW..end).step_by(WINDOW).filter(|at| is_loud(*at)).collect();
    let shift = |at: usize, near: i32, far: i32| {
        let like = |shift: i32| likeness(reference, heard, at, shift);
        (near - far..=near + far)
            .max_by(|a, b| like(*a).total_cmp(&like(*b)))
            .unwrap()
    };
    let mut some: Vec<i32> = windows
        .iter()
        .step_by(windows.len() / 5)
        .map(|at| shift(*at, 0, ROUNDED_MAX))
        .collect();
    some.sort_unstable();
    let all = some[some.len() / 2];
    let quality = |at: usize| {
        let shifts = all - 2 * SHIFT_MAX..=all + 2 * SHIFT_MAX;
        shifts
            .map(|s| likeness(reference, heard, at, s))
            .fold(f64::MIN, f64::max)
    };
    let mut all: Vec<f64> = windows.iter().map(|at| quality(*at)).collect();
    all.sort_by(f64::total_cmp);
    let worst = all[all.len() / 20];
    for seam in seams.iter().filter(|at| is_loud(**at) && **at < end) {
        for at in [seam - WINDOW, seam - WINDOW / 2, *seam] {
            let found = quality(at);
            assert!(
                found >= worst - SEAM_LOSS_MAX,
                "the seam at {seam} has {found} dB, other places {worst} dB"
            );
        }
    }
}

/// Every sound of the runs is where one run has it.
fn in_place(whole: &[f32], runs: &[f32]) {
    for at in (4 * WINDOW..whole.len().min(runs.len()) - 2 * WINDOW).step_by(8 * WINDOW) {
        let like = |shift: i32| likeness(whole, runs, at, shift);
        let own = (-4..=4).max_by(|a, b| like(*a).total_cmp(&like(*b))).unwrap();
        let is_silent = whole[at..at + WINDOW].iter().filter(|s| s.abs() < 0.001).count() > WINDOW / 8;
        assert!(
            is_silent || own.abs() <= SHIFT_MAX,
            "at sample {at} it is {own} samples off"
        );
    }
}

/// Makes runs of 3 s and holds them against the source and against one run.
/// Nothing is compared where it is `silent`.
async fn exact(bench: &Bench, source: &Path, silent: std::ops::Range<usize>) -> AudioPlan {
    let (plan, read) = bench.plan(source, &one_rung()).await.unwrap();
    let audio = &plan.audios[0];
    let cut = in_runs(audio, 141);
    let one = in_runs(audio, i64::MAX / 2048);
    let (runs, whole) = (heard(bench, &read, &cut).await, heard(bench, &read, &one).await);
    assert!(cut.runs.len() > 7 && one.runs.len() == 1);
    assert_eq!(runs.len(), whole.len(), "as many frames");
    let seams: Vec<usize> = cut
        .runs
        .iter()
        .skip(1)
        .map(|run| usize::try_from(run.start_frame * FRAME_SAMPLES).unwrap())
        .collect();
    let input = format!("-copyts -i {} -map 0:a:0", read.display());
    let base = seconds(audio.base_us);
    let filters = format!("{KEEP_TIME},asetpts=PTS-{base}/TB,aresample=async=1:first_pts=0,");
    let reference = samples(bench, &input, &filters);
    in_place(&whole, &runs);
    same(&reference, &runs, &seams, silent.clone());
    same(&reference, &whole, &[], silent);
    audio.clone()
}

#[tokio::test]
async fn runs_join_without_a_seam_in_mp4() {
    let bench = Bench::new().await;
    let source = source(&bench, 62, (44_100, "stereo"), "-c:a aac -b:a 256k", "clip.mp4");
    assert_eq!(exact(&bench, &source, 0..0).await.seek, AudioSeek::ByClock);
}

#[tokio::test]
async fn runs_of_ac3_join_without_a_seam_in_mp4() {
    let bench = Bench::new().await;
    let source = source(&bench, 27, (48_000, "stereo"), "-c:a ac3 -b:a 448k", "clip.mp4");
    assert_eq!(exact(&bench, &source, 0..0).await.seek, AudioSeek::ByClock);
}

#[tokio::test]
async fn runs_join_without_a_seam_where_times_are_rounded() {
    for (format, options, name) in [
        ((44_100, "stereo"), "-c:a aac -b:a 256k", "aac.mkv"),
        ((48_000, "mono"), "-c:a libopus -b:a 128k", "opus.mkv"),
        ((44_100, "stereo"), "-c:a libmp3lame -b:a 256k", "mp3.mkv"),
        (
            (48_000, "stereo"),
            "-c:v libvpx -deadline realtime -c:a libopus -b:a 128k",
            "opus.webm",
        ),
    ] {
        let bench = Bench::new().await;
        let source = source(&bench, 27, format, options, name);
        let seek = exact(&bench, &source, 0..0).await.seek;
        assert_eq!(seek, AudioSeek::FromStart, "{name}");
    }
}

#[tokio::test]
async fn runs_join_without_a_seam_where_no_seek_is_exact() {
    let bench = Bench::new().await;
    let source = source(&bench, 27, (44_100, "stereo"), "-c:a libvorbis -q:a 8", "clip.mkv");
    assert_eq!(exact(&bench, &source, 0..0).await.seek, AudioSeek::FromStart);
}

#[tokio::test]
async fn gaps_stay_silent_across_runs() {
    let bench = Bench::new().await;
    let gap = "-af aselect='not(between(t\\,10.4\\,17.3))' -c:a aac -b:a 256k";
    let source = source(&bench, 27, (48_000, "mono"), gap, "clip.mp4");
    exact(&bench, &source, 480_000..840_000).await;
}

#[tokio::test]
async fn sound_that_begins_late_is_on_time() {
    let bench = Bench::new().await;
    source(&bench, 27, (48_000, "stereo"), "-c:a aac -b:a 256k", "whole.mp4");
    let late = bench.ffmpeg(
        "-i whole.mp4 -itsoffset 7.25 -i whole.mp4 -map 0:v -map 1:a -c copy",
        "late.mp4",
    );
    exact(&bench, &late, 0..350_000).await;
}

#[tokio::test]
async fn surround_sound_is_mixed_down_and_never_too_loud() {
    let bench = Bench::new().await;
    for (layout, codec, name) in [
        ("5.1", "ac3 -b:a 448k", "six.mkv"),
        ("7.1", "flac", "eight.mkv"),
        ("mono", "aac", "one.mp4"),
    ] {
        let loud = format!("-f lavfi -i aevalsrc=0.95*sin(2*PI*500*t):d=4,aformat=channel_layouts=mono,pan={layout}");
        let all: String = (0..8).map(|c| format!("|c{c}=c0")).collect();
        let count = match layout {
            "5.1" => 6,
            "7.1" => 8,
            _ => 1,
        };
        let pan: String = all
            .split('|')
            .filter(|c| !c.is_empty())
            .take(count)
            .collect::<Vec<_>>()
            .join("|");
        let source = bench.ffmpeg(&format!("{loud}|{pan} -c:a {codec}"), name);
        let (plan, read) = bench.plan(&source, &one_rung()).await.unwrap();
        let audio = &plan.audios[0];
        assert_eq!(audio.channels, if count == 1 { 1 } else { 2 });
        let heard = heard(&bench, &read, audio).await;
        let peak = heard
            .iter()
            .skip(4800)
            .take(48_000)
            .fold(0.0_f32, |peak, s| peak.max(s.abs()));
        assert!((0.85..=1.02).contains(&peak), "{name}: {peak}");
    }
}

#[tokio::test]
async fn a_run_without_sound_is_silence() {
    let bench = Bench::new().await;
    let source = source(&bench, 12, (48_000, "stereo"), "-c:a aac", "clip.mp4");
    let (plan, read) = bench.plan(&source, &one_rung()).await.unwrap();
    let audio = in_runs(&plan.audios[0], 141);
    let (made, _) = run(&bench, &read, &audio, 1, AudioReading::Planned).await;
    let (silent, _) = run(&bench, &read, &audio, 1, AudioReading::Silence).await;
    assert_eq!((silent.frames, silent.init), (141, made.init));
}

#[tokio::test]
async fn only_a_run_that_is_filled_up_hides_that_sound_is_missing() {
    let bench = Bench::new().await;
    for (name, seek) in [("clip.mp4", AudioSeek::ByClock), ("clip.mkv", AudioSeek::FromStart)] {
        let source = source(&bench, 4, (48_000, "stereo"), "-c:a aac", name);
        let (plan, read) = bench.plan(&source, &one_rung()).await.unwrap();
        assert_eq!(plan.audios[0].seek, seek);
        // 6 s are planned, of which 4 s can be decoded.
        let mut audio = in_runs(&plan.audios[0], i64::MAX / 2048);
        audio.runs[0].end_frame = Some(282);
        for reading in [AudioReading::Planned, AudioReading::FromStart] {
            let (made, _) = run(&bench, &read, &audio, 0, reading).await;
            assert!((184..195).contains(&made.frames), "{name}: {}", made.frames);
        }
        let (made, _) = run(&bench, &read, &audio, 0, AudioReading::FilledUp).await;
        assert_eq!(made.frames, 282, "{name}");
    }
}

#[tokio::test]
async fn the_sound_of_a_file_alone_is_whole_and_on_time() {
    let bench = Bench::new().await;
    // Silence, then a tone from 1 s on; once in a file that hides its encoder's delay, once with a clock that begins at 3 s.
    let tone = "-f lavfi -i sine=d=4:r=44100 -af adelay=1000";
    let plain = bench.ffmpeg(&format!("{tone} -c:a aac"), "plain.m4a");
    let late = bench.ffmpeg(&format!("{tone} -output_ts_offset 3 -c:a pcm_s16le"), "late.mkv");
    for source in [plain, late] {
        let (plan, read) = bench.plan(&source, &one_rung()).await.unwrap();
        let audio = &plan.audios[0];
        assert_eq!((audio.channels, audio.bitrate, audio.runs.len()), (1, 64_000, 1));
        let heard = heard(&bench, &read, audio).await;
        assert!(
            (heard.len() as i64 / 48 - audio.duration_ms).abs() <= 45,
            "{}",
            heard.len()
        );
        let onset = heard.iter().position(|s| s.abs() > 0.03).unwrap() / 48;
        assert!(
            onset.abs_diff(1000) <= 5,
            "{}: the tone begins at {onset} ms",
            source.display()
        );
    }
}
