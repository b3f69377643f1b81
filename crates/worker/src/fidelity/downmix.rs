//! Eight channels, each with a tone of its own: how loud each of them is in the two that come out.

use std::path::Path;

use super::{
    check::{ladder, through},
    run,
};
use crate::testing::Bench;

/// The tones of the channels, in Hz, in ffmpeg's order: front left and right, centre, low frequencies, back left and right, side
/// left and right.
const TONES_HZ: [u16; 8] = [300, 500, 700, 100, 1100, 1300, 1700, 1900];
/// How loud each of them is in its channel.
const LOUDNESS: f64 = 0.5;
/// What is measured: a second, in which each tone is whole periods long, some time from the start.
const SAMPLE_RATE: u16 = 48_000;
const FROM_SAMPLE: usize = 48_000;
/// How far the loudness of a tone may be from what it should be: an encoder changes it a little.
const LOUDNESS_ERROR_MAX: f64 = 0.004;

#[tokio::test(flavor = "multi_thread")]
async fn eight_channels_come_out_as_loud_as_in_a_plain_downmix() {
    let bench = Bench::new().await;
    let tone = |hz: &u16| format!("{LOUDNESS}*sin(2*PI*{hz}*t)");
    let channels = TONES_HZ.iter().map(tone).collect::<Vec<_>>().join("|");
    let sound = format!("-f lavfi -i aevalsrc={channels}:c=7.1:s={SAMPLE_RATE}:d=3 -c:a flac eight.mka");
    ffmpeg(bench.dir.path(), &sound);
    let source = bench.dir.path().join("eight.mka");
    let outcome = through(bench, source, ladder(&[180])).await;
    let (expected, found) = (heard(&outcome.source), heard(&outcome.played.audio().unwrap().file));
    // The reference tells left from right, and the loud from the soft.
    let (left, right) = expected[0];
    assert!(left > 0.1 && right < 0.001, "{expected:?}");
    assert!(expected[2].0 < 0.8 * left, "{expected:?}");
    for (n, (found, expected)) in found.iter().zip(&expected).enumerate() {
        let error = (found.0 - expected.0).abs().max((found.1 - expected.1).abs());
        assert!(
            error <= LOUDNESS_ERROR_MAX,
            "the tone of channel {n} is {found:?} on the left and the right, not {expected:?}"
        );
    }
}

/// How loud each tone is on the left and on the right of a file as ffmpeg plays it to two loudspeakers: the whole of it so much
/// softer that nothing is too loud, because samples are whole numbers.
fn heard(file: &Path) -> Vec<(f64, f64)> {
    let name = file.file_name().unwrap().to_str().unwrap();
    let bytes = ffmpeg(
        file.parent().unwrap(),
        &format!("-i {name} -ac 2 -c:a pcm_s16le -f s16le -"),
    );
    let (samples, _) = bytes.as_chunks::<2>();
    let samples: Vec<f64> = samples
        .iter()
        .map(|&bytes| f64::from(i16::from_le_bytes(bytes)) / f64::from(i16::MAX))
        .collect();
    let of = |channel: usize| -> Vec<f64> {
        let of_channel = samples.iter().copied().skip(channel).step_by(2);
        of_channel.skip(FROM_SAMPLE).take(SAMPLE_RATE.into()).collect()
    };
    let (left, right) = (of(0), of(1));
    assert_eq!(right.len(), usize::from(SAMPLE_RATE), "samples of {name}");
    TONES_HZ
        .iter()
        .map(|&hz| (loudness(&left, hz), loudness(&right, hz)))
        .collect()
}

/// What ffmpeg writes.
fn ffmpeg(dir: &Path, words: &str) -> Vec<u8> {
    let words: Vec<&str> = ["-nostdin", "-v", "error"]
        .into_iter()
        .chain(words.split_whitespace())
        .collect();
    run("ffmpeg", dir, &words).stdout
}

/// How loud a tone is in a second of samples: its Fourier coefficient.
fn loudness(samples: &[f64], hz: u16) -> f64 {
    let step = std::f64::consts::TAU * f64::from(hz) / f64::from(SAMPLE_RATE);
    let (mut re, mut im) = (0.0, 0.0);
    for (n, sample) in (0_u32..).zip(samples) {
        let (sin, cos) = (step * f64::from(n)).sin_cos();
        re += sample * cos;
        im += sample * sin;
    }
    re.hypot(im) * 2.0 / f64::from(SAMPLE_RATE)
}
