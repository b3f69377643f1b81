//! The sources.

use super::{
    check::{LIKENESS_MIN, Seen, faithful, same_sound, transcode},
    clip::Clip,
    opinion, pictures, source,
};

/// The clip is whole, from its first frame on.
fn is_whole(seen: &Seen, frames: u32) {
    assert_eq!(seen.codes, (0..frames).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread")]
async fn thirty_frames_a_second() {
    // Five chunks, one of which has two segments.
    let clip = Clip {
        seconds: 21.5,
        ..Clip::default()
    };
    let seen = faithful(&clip, &[180, 120]).await;
    is_whole(&seen, 645);
    assert_eq!(seen.sizes, [(320, 180), (214, 120)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn ntsc_rate() {
    let clip = Clip {
        rate: "30000/1001",
        ..Clip::default()
    };
    let seen = faithful(&clip, &[180]).await;
    is_whole(&seen, 405);
    assert!((seen.times[404] - 404.0 * 1001.0 / 30_000.0).abs() < 1e-4);
}

/// Film in Matroska, whose times are milliseconds, with a picture that begins later than the sound.
#[tokio::test(flavor = "multi_thread")]
async fn film_rate_and_a_late_picture_in_matroska() {
    let clip = Clip {
        name: "clip.mkv",
        rate: "24000/1001",
        retimed: ",setpts=PTS+0.7/TB",
        ..Clip::default()
    };
    is_whole(&faithful(&clip, &[180]).await, 324);
}

/// Times that tremble, frames that are missing here and there, and 1.5 s without any.
#[tokio::test(flavor = "multi_thread")]
async fn variable_frame_rate() {
    for name in ["clip.mp4", "clip.mkv"] {
        let clip = Clip {
            name,
            seconds: 21.5,
            retimed: ",select='gt(mod(n\\,7)\\,0)*not(between(n\\,290\\,335))',settb=1/90000,\
                      setpts=PTS+900*(mod(N*N\\,7)-1)",
            video: "-c:v libx264 -preset superfast -crf 14 -bf 3 -g 75 -pix_fmt yuv420p -enc_time_base 1:90000",
            ..Clip::default()
        };
        let seen = faithful(&clip, &[180]).await;
        let kept = |n: &u32| !n.is_multiple_of(7) && !(290..=335).contains(n);
        assert_eq!(seen.codes, (0..645).filter(kept).collect::<Vec<_>>());
        let pauses = seen.times.windows(2).map(|pair| pair[1] - pair[0]);
        let (shortest, longest) = pauses.fold((1.0, 0.0), |(a, b): (f64, f64), pause| (a.min(pause), b.max(pause)));
        assert!(shortest < 0.02 && longest > 1.0, "{shortest} {longest}");
    }
}

/// Pictures that lie on their side in the file, and a flag that says so.
#[tokio::test(flavor = "multi_thread")]
async fn portrait_by_rotation_flag() {
    let clip = Clip {
        size: (180, 320),
        retimed: ",transpose=clock",
        copied: Some("-i first.mp4 -c copy -metadata:s:v rotate=90"),
        ..Clip::default()
    };
    // A code that is read in portrait proves that it stands upright.
    let seen = faithful(&clip, &[180, 120]).await;
    is_whole(&seen, 405);
    assert_eq!(seen.sizes, [(180, 320), (120, 214)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn odd_size() {
    let clip = Clip {
        size: (161, 121),
        video: "-c:v libx264 -preset superfast -crf 14 -bf 3 -g 75 -pix_fmt yuv444p",
        ..Clip::default()
    };
    let seen = faithful(&clip, &[121, 90]).await;
    is_whole(&seen, 405);
    assert_eq!(seen.sizes, [(162, 122), (120, 90)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn no_audio() {
    let clip = Clip {
        audio: "",
        ..Clip::default()
    };
    is_whole(&faithful(&clip, &[180]).await, 405);
}

/// One keyframe at the start and none after it.
#[tokio::test(flavor = "multi_thread")]
async fn b_frames_and_one_long_gop() {
    let clip = Clip {
        video: "-c:v libx264 -preset superfast -crf 14 -bf 5 -g 1000 -sc_threshold 0 -b_strategy 0 -pix_fmt yuv420p",
        ..Clip::default()
    };
    is_whole(&faithful(&clip, &[180]).await, 405);
}

/// Frames that are shown before a keyframe, but need it.
#[tokio::test(flavor = "multi_thread")]
async fn open_gops() {
    let video = "-c:v libx264 -preset superfast -crf 14 -bf 3 -b_strategy 0 -pix_fmt yuv420p \
                 -x264-params open-gop=1:keyint=70:min-keyint=70:scenecut=0";
    for name in ["clip.mp4", "clip.mkv"] {
        let clip = Clip {
            name,
            video,
            ..Clip::default()
        };
        is_whole(&faithful(&clip, &[180]).await, 405);
    }
}

/// A clock that begins at 7.31 s, and sound that begins even later.
#[tokio::test(flavor = "multi_thread")]
async fn start_time_in_mp4() {
    let clip = Clip {
        sound: ",atrim=start=1.6",
        container: "-output_ts_offset 7.31",
        ..Clip::default()
    };
    is_whole(&faithful(&clip, &[180]).await, 405);
}

/// Cut with an edit list in the middle of a group of pictures: what is before the cut is in the file, and not shown.
#[tokio::test(flavor = "multi_thread")]
async fn start_by_edit_list() {
    let clip = Clip {
        seconds: 15.7,
        copied: Some("-ss 2.2 -i first.mp4 -c copy"),
        ..Clip::default()
    };
    let seen = faithful(&clip, &[180]).await;
    let first = seen.codes[0];
    assert!((50..=70).contains(&first), "{first}");
    assert_eq!(seen.codes, (first..471).collect::<Vec<_>>());
}

/// A transport stream, whose clock begins at 1.4 s, and which has no index.
#[tokio::test(flavor = "multi_thread")]
async fn transport_stream() {
    let clip = Clip {
        name: "clip.ts",
        ..Clip::default()
    };
    is_whole(&faithful(&clip, &[180, 120]).await, 405);
}

/// Ten bits, open groups of pictures, another codec.
#[tokio::test(flavor = "multi_thread")]
async fn hevc_with_ten_bits() {
    let clip = Clip {
        video: "-c:v libx265 -preset ultrafast -crf 16 -pix_fmt yuv420p10le \
                -x265-params log-level=error:keyint=60:open-gop=1:bframes=3:b-adapt=0",
        ..Clip::default()
    };
    is_whole(&faithful(&clip, &[180]).await, 405);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_frame_and_few() {
    for (seconds, frames) in [(0.03, 1), (0.1, 3), (0.4, 12)] {
        let clip = Clip {
            seconds,
            audio: "",
            ..Clip::default()
        };
        is_whole(&faithful(&clip, &[180]).await, frames);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn audio_only() {
    let clip = Clip {
        name: "clip.m4a",
        video: "",
        container: "-output_ts_offset 3.5",
        ..Clip::default()
    };
    let outcome = transcode(&clip, &[180]).await;
    assert_eq!((outcome.chunks, outcome.played.videos.len()), (0, 0));
    assert_eq!(outcome.played.complaints(), "");
    opinion::asked(&outcome.played);
    let start = source::times(&outcome.source, "a:0")[0];
    let (last, _) = same_sound(&outcome.source, outcome.played.audio().unwrap(), start);
    assert!(last > 12.0, "{last}");
}

/// The bound of likeness can tell a frame from its neighbour.
#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_frame_is_not_like_the_right_one() {
    let clip = Clip {
        seconds: 5.0,
        audio: "",
        ..Clip::default()
    };
    let outcome = transcode(&clip, &[180]).await;
    let video = &outcome.played.videos[0];
    let shifted = pictures::compare(&outcome.source, &video.file, video.size.unwrap(), 1, pictures::FIRST);
    let most = shifted.likeness.iter().copied().fold(0.0, f64::max);
    assert!(most < LIKENESS_MIN, "{most}");
}
