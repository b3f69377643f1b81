//! Odd sources, one of each kind that is taken.

use super::{
    check::{Outcome, Seen, faithful, same_sound, transcode},
    clip::{CODE_BITS, Clip},
    patch, pictures,
};

/// Fast enough for all of these, and near enough to the painted pictures.
const H264: &str = "-c:v libx264 -preset superfast -crf 14 -bf 3 -g 75 -pix_fmt yuv420p";
/// Long enough for two chunks.
const SECONDS: f64 = 6.5;
/// How many numbers the bar code has.
const CODES: u32 = 1 << CODE_BITS;
/// How like its source a picture of 16 by 16 must be: the measure has few places to look at, so each weighs more.
const TINY_LIKENESS_MIN: f64 = 0.9;

/// Every frame that was painted.
fn is_whole(seen: &Seen, frames: u32) {
    assert_eq!(seen.codes, (0..frames).collect::<Vec<_>>());
}

fn short() -> Clip {
    Clip {
        seconds: SECONDS,
        ..Clip::default()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn upside_down_and_on_the_other_side() {
    for (size, retimed, copied) in [
        (
            (320, 180),
            ",hflip,vflip",
            "-i first.mp4 -c copy -metadata:s:v rotate=180",
        ),
        (
            (180, 320),
            ",transpose=cclock",
            "-i first.mp4 -c copy -metadata:s:v rotate=270",
        ),
    ] {
        let clip = Clip {
            size,
            retimed,
            copied: Some(copied),
            ..short()
        };
        let seen = faithful(&clip, &[180]).await;
        is_whole(&seen, 195);
        assert_eq!(seen.sizes, [size]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn mirrored() {
    let clip = Clip {
        retimed: ",hflip",
        patched: patch::mirrored,
        ..short()
    };
    let seen = faithful(&clip, &[180, 120]).await;
    is_whole(&seen, 195);
    assert_eq!(seen.sizes, [(320, 180), (214, 120)]);
}

/// Pixels that are twice as wide as high.
#[tokio::test(flavor = "multi_thread")]
async fn wide_pixels() {
    let clip = Clip {
        retimed: ",scale=160:180,setsar=2",
        ..short()
    };
    let seen = faithful(&clip, &[180, 120]).await;
    is_whole(&seen, 195);
    assert_eq!(seen.sizes, [(320, 180), (214, 120)]);
}

/// Two fields in each picture, taken at different times; each becomes one frame, that of its first field.
#[tokio::test(flavor = "multi_thread")]
async fn interlaced() {
    let h264 = "-c:v libx264 -preset superfast -crf 14 -g 75 -pix_fmt yuv420p -flags +ildct+ilme";
    let mpeg2 = "-c:v mpeg2video -q:v 2 -g 15 -bf 2 -pix_fmt yuv420p -flags +ildct+ilme";
    for (name, retimed, video) in [
        ("clip.mp4", ",tinterlace=interleave_top,setfield=tff", h264),
        ("clip.mov", ",tinterlace=interleave_bottom,setfield=bff", h264),
        ("clip.ts", ",tinterlace=interleave_top,setfield=tff", mpeg2),
    ] {
        let clip = Clip {
            name,
            size: (320, 192),
            rate: "50",
            retimed,
            video,
            fields: 2,
            corrected: "bwdif=mode=send_frame:deint=interlaced,",
            ..short()
        };
        let seen = faithful(&clip, &[192]).await;
        is_whole(&seen, 162);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn codecs_of_cameras_with_ten_bits() {
    for video in [
        "-c:v prores_ks -profile:v 2 -pix_fmt yuv422p10le",
        "-c:v dnxhd -profile:v dnxhr_hqx -pix_fmt yuv422p10le",
    ] {
        let clip = Clip {
            name: "clip.mov",
            seconds: 5.5,
            video,
            audio: "-c:a pcm_s16le",
            ..Clip::default()
        };
        is_whole(&faithful(&clip, &[180]).await, 165);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn several_pictures_and_a_cover() {
    let clip = Clip {
        copied: Some(
            "-i first.mp4 -f lavfi -i color=red:s=64x64:d=6 -f lavfi -i color=blue:s=64x64:d=1 -map 0 -map 1 -map 2 -c copy \
             -c:v:1 libx264 -c:v:2 png -frames:v:2 1 -disposition:v:2 attached_pic",
        ),
        ..short()
    };
    is_whole(&faithful(&clip, &[180]).await, 195);
}

/// The first picture is a small one that isn't to be shown, and begins earlier: the file says that the second one is.
#[tokio::test(flavor = "multi_thread")]
async fn the_picture_to_show_comes_second() {
    let clip = Clip {
        copied: Some(
            "-f lavfi -i color=red:s=64x64:r=10:d=6 -itsoffset 0.4 -i first.mp4 -map 0 -map 1 -c copy -c:v:0 libx264 \
             -disposition:v:0 0 -disposition:v:1 default",
        ),
        shown: "v:1",
        ..short()
    };
    let seen = faithful(&clip, &[180]).await;
    is_whole(&seen, 195);
    assert_eq!(seen.sizes, [(320, 180)]);
}

/// Fragmented files don't know how long they are when their header is written.
#[tokio::test(flavor = "multi_thread")]
async fn fragmented_without_a_duration_and_with_a_wrong_one() {
    for patched in [(|_: &mut Vec<u8>| ()) as fn(&mut Vec<u8>), patch::endless] {
        let clip = Clip {
            container: "-movflags +frag_keyframe+empty_moov",
            patched,
            ..short()
        };
        is_whole(&faithful(&clip, &[180]).await, 195);
    }
}

/// As browsers record a screen: no index, no length.
#[tokio::test(flavor = "multi_thread")]
async fn webm_of_unknown_length() {
    let clip = Clip {
        name: "clip.webm",
        video: "-c:v libvpx -deadline realtime -cpu-used 8 -b:v 3M -g 90 -pix_fmt yuv420p",
        audio: "-c:a libopus",
        sound: ",asetnsamples=960",
        container: "-live 1",
        ..short()
    };
    is_whole(&faithful(&clip, &[180]).await, 195);
}

/// A clock that starts again from 0 in the middle: it has 33 bits.
#[tokio::test(flavor = "multi_thread")]
async fn transport_stream_whose_clock_wraps() {
    let clip = Clip {
        name: "clip.ts",
        container: "-output_ts_offset 95437",
        ..short()
    };
    is_whole(&faithful(&clip, &[180]).await, 195);
}

/// What comes before 0 is in the file, and not shown.
#[tokio::test(flavor = "multi_thread")]
async fn negative_start() {
    let clip = Clip {
        container: "-output_ts_offset -0.7 -avoid_negative_ts disabled",
        ..short()
    };
    let seen = faithful(&clip, &[180]).await;
    assert_eq!(seen.codes, (21..195).collect::<Vec<_>>());
}

/// What comes before the first keyframe can't be decoded; from there on all is as it was, and the sound in its place.
#[tokio::test(flavor = "multi_thread")]
async fn transport_stream_that_begins_in_the_middle() {
    let clip = Clip {
        name: "clip.ts",
        video: "-c:v libx264 -preset superfast -crf 14 -bf 0 -g 50 -pix_fmt yuv420p",
        patched: patch::beheaded,
        ..short()
    };
    let seen = faithful(&clip, &[180]).await;
    assert_eq!(seen.codes, (50..195).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread")]
async fn many_frames_a_second() {
    let clip = Clip {
        // The encoder spends less on pictures that are seen for a shorter time.
        likeness_min: 0.94,
        size: (160, 96),
        rate: "120",
        ..short()
    };
    is_whole(&faithful(&clip, &[96]).await, 780);
}

/// Too small for a code that can be read, so each picture is only held against its own.
#[tokio::test(flavor = "multi_thread")]
async fn sixteen_pixels() {
    let clip = Clip {
        size: (16, 16),
        seconds: 1.0,
        audio: "",
        ..Clip::default()
    };
    let outcome = transcode(&clip, &[16]).await;
    assert_eq!(outcome.played.complaints(), "");
    let video = &outcome.played.videos[0];
    assert_eq!((video.size, video.shown().len()), (Some((16, 16)), 30));
    let likeness = pictures::likeness(&outcome.source, &video.file, (16, 16));
    let least = likeness.iter().copied().fold(1.0, f64::min);
    assert!(likeness.len() == 30 && least >= TINY_LIKENESS_MIN, "{likeness:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn sixteen_thousand_times_as_many() {
    let clip = Clip {
        size: (7680, 4320),
        seconds: 0.06,
        video: "-c:v libx264 -preset ultrafast -crf 30 -pix_fmt yuv420p",
        audio: "",
        ..Clip::default()
    };
    let seen = faithful(&clip, &[180]).await;
    is_whole(&seen, 2);
    assert_eq!(seen.sizes, [(320, 180)]);
}

/// One picture a second.
#[tokio::test(flavor = "multi_thread")]
async fn slides() {
    let clip = Clip {
        size: (64, 64),
        rate: "1",
        seconds: 300.0,
        video: H264,
        audio: "",
        ..Clip::default()
    };
    is_whole(&faithful(&clip, &[64]).await, 300);
}

/// Pictures that each stay for 20 s, longer than a segment usually is, and sound that ends with the first of them. What ffmpeg's own
/// player says of such is not asked.
#[tokio::test(flavor = "multi_thread")]
async fn two_hours() {
    let outcome = two_hours_at("1/20", 20, "-c:a aac").await;
    let (last, _) = same_sound(&outcome.source, outcome.played.audio().unwrap(), 0.0);
    assert!(last > 4.0, "{last}");
}

#[tokio::test(flavor = "multi_thread")]
async fn two_hours_of_a_picture_each_second() {
    let outcome = two_hours_at("1", 1, "").await;
    assert!(outcome.played.audio().is_none());
}

/// Two hours of pictures that each stay for so many seconds; if there is sound, it ends after a few.
async fn two_hours_at(rate: &'static str, seconds: u32, audio: &'static str) -> Outcome {
    let clip = Clip {
        size: (64, 64),
        rate,
        seconds: 7200.0,
        video: H264,
        audio,
        sound: ",atrim=end=5.5",
        ..Clip::default()
    };
    let outcome = transcode(&clip, &[64]).await;
    let video = &outcome.played.videos[0];
    let (shown, frames) = (video.shown(), 7200 / seconds);
    assert_eq!(shown.len(), usize::try_from(frames).unwrap());
    for (n, shown) in (0..frames).zip(&shown) {
        let expected = f64::from(n * seconds);
        assert!((shown - expected).abs() <= 1e-4, "frame {n}: {shown} s");
    }
    let compared = pictures::compare(&outcome.source, &video.file, (64, 64), 0, pictures::FIRST);
    let codes: Vec<u32> = compared.result.iter().map(|frame| frame.code).collect();
    assert_eq!(codes, (0..frames).map(|n| n % CODES).collect::<Vec<_>>());
    outcome
}
