//! Sources that nothing can be made of: each with its reason and a sentence that says what to do.

use reelway_domain::{JobState, Reason, Tenant};
use reelway_media::Limits;

use super::{check::ladder, patch, run};
use crate::testing::Bench;

/// A second of a small picture.
const PICTURE: &str = "-f lavfi -i testsrc2=s=64x64:r=10:d=1";
/// The same, encoded.
const VIDEO: &str = "-f lavfi -i testsrc2=s=64x64:r=10:d=1 -c:v libx264 -preset ultrafast -pix_fmt yuv420p";
const WORDS: &str = "data:text/plain;base64,MQowMDowMDowMSwwMDAgLS0+IDAwOjAwOjAyLDUwMApCb25qb3VyCgo=";

/// The bytes of a file that ffmpeg makes.
fn made(bench: &Bench, words: &str, name: &str) -> Vec<u8> {
    let words: Vec<&str> = words.split_whitespace().chain([name]).collect();
    run(
        "ffmpeg",
        bench.dir.path(),
        &[&["-nostdin", "-v", "error"], &words[..]].concat(),
    );
    std::fs::read(bench.dir.path().join(name)).unwrap()
}

/// Sends a file the way of every upload; it is refused at once, for this reason and with these words.
async fn refused(limits: Limits, make: impl Fn(&Bench) -> Vec<u8>, reason: Reason, words: &str) {
    let bench = Bench::with(limits).await;
    let job = bench.job_with(make(&bench), ladder(&[64])).await;
    let ended = bench.run_woken_to_end(job).await;
    assert_eq!(ended.state, JobState::Failed, "{words}");
    let error = ended.error.unwrap();
    assert_eq!((error.reason, error.message.as_str()), (reason, words));
    let tasks = bench.catalog.tasks(&Tenant::single(), job).await.unwrap();
    assert!(
        tasks.iter().all(|task| task.attempt <= 1),
        "the same bytes would fail again: {tasks:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_video() {
    let limits = Limits::default;
    let letter = |_: &Bench| b"Dear Sir or Madam, this is a letter, not a film".to_vec();
    refused(
        limits(),
        letter,
        Reason::SourceNotMedia,
        "The file is not a video or audio file that is known here. Upload an MP4, MOV, MKV, WebM, TS, AVI or audio file.",
    )
    .await;
    let words = |bench: &Bench| made(bench, &format!("-f srt -i {WORDS} -c:s mov_text"), "words.mp4");
    refused(
        limits(),
        words,
        Reason::SourceNoStreams,
        "The file holds neither moving pictures nor sound.",
    )
    .await;
    let still = |bench: &Bench| {
        let mut bytes = made(bench, VIDEO, "still.mp4");
        bytes[8..12].copy_from_slice(b"avif");
        bytes
    };
    refused(
        limits(),
        still,
        Reason::SourceNotMedia,
        "The file is a still picture. Upload a video or audio file.",
    )
    .await;
}

/// Programs here decode what is encrypted without a word, and show noise.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_encrypted() {
    let key = "76a6c65c5ea762046bd749a2e632ccbb";
    let with_key = format!("-encryption_scheme cenc-aes-ctr -encryption_key {key} -encryption_kid {key}");
    let as_it_is: fn(&mut Vec<u8>) = |_| ();
    for (name, options, patched) in [
        ("encrypted.mp4", with_key.as_str(), as_it_is),
        ("encrypted.ts", "", patch::scrambled),
        ("encrypted.ts", "", patch::scrambled_inside),
        ("encrypted.mkv", "", patch::encrypted_matroska),
    ] {
        let encrypted = |bench: &Bench| {
            let mut bytes = made(bench, &format!("{VIDEO} {options}"), name);
            patched(&mut bytes);
            bytes
        };
        refused(
            Limits::default(),
            encrypted,
            Reason::SourceCodecUnsupported,
            "The file is encrypted (DRM), so it can't be decoded here. Upload a copy that is not protected.",
        )
        .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_can_not_be_decoded() {
    let unknown = |bench: &Bench| made(bench, &format!("{PICTURE} -c:v qtrle"), "unknown.mov");
    refused(
        Limits::default(),
        unknown,
        Reason::SourceCodecUnsupported,
        "The codec \"qtrle\" can't be decoded here. Convert the file to H.264 video and AAC audio, or another common \
         codec, and upload it again.",
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_cut_short() {
    let cut = |bench: &Bench| {
        let mut bytes = made(bench, VIDEO, "cut.mp4");
        bytes.truncate(bytes.len() - 100);
        bytes
    };
    refused(
        Limits::default(),
        cut,
        Reason::SourceTruncated,
        "The file ends before its index (the moov box), so it can't be played. The recording or the copy was cut short: \
         copy it again from where it was made.",
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_more_than_the_operator_takes() {
    let clip = |bench: &Bench| made(bench, VIDEO, "clip.mp4");
    let usual = Limits::default;
    let second = std::time::Duration::from_secs(1);
    let long = |bench: &Bench| made(bench, &VIDEO.replace("d=1", "d=3"), "long.mp4");
    let several = |bench: &Bench| {
        made(
            bench,
            &format!("{PICTURE} -map 0 -map 0 -map 0 -c:v mpeg4"),
            "several.mp4",
        )
    };
    let small = Limits {
        pixels_max: 4095,
        ..usual()
    };
    let pixels = "The pictures are 64x64 pixels, which is more than the 4095 that are taken.";
    refused(small, clip, Reason::SourceLimitExceeded, pixels).await;
    let short = Limits {
        duration_max: second,
        ..usual()
    };
    let seconds = "The source is 3 s long; at most 1 s are taken.";
    refused(short, long, Reason::SourceLimitExceeded, seconds).await;
    let few = Limits {
        streams_max: 2,
        ..usual()
    };
    let streams = "The source has 3 streams; at most 2 are taken.";
    refused(few, several, Reason::SourceLimitExceeded, streams).await;
    let slow = Limits {
        frame_rate_max: 9,
        ..usual()
    };
    let rate = "The source has 10 frames a second; at most 9 are taken.";
    refused(slow, clip, Reason::SourceLimitExceeded, rate).await;
}
