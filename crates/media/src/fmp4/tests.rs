use std::{fs, io};

use super::{
    testing::{CONSTANT, Clip, ONE_RUN, VARIABLE, decoded_frames, fragments, glued},
    *,
};
use crate::{SegmentPlan, TICKS_PER_SECOND, hostile::mutate::Random};

fn name(number: u32) -> String {
    format!("s-{number:05}.m4s")
}

/// Two chunks of a clip come out frame by frame as they went in.
fn two_chunks(clip: &Clip) {
    let segments = clip.segments(TICKS_PER_SECOND);
    let (one, two) = segments.split_at(segments.len() / 2);
    let dir = clip.out_dir("out");
    let recut = |part: &[SegmentPlan], file| recut_video(&clip.encode(part, "null", file), part, &dir, name).unwrap();
    let tracks = [recut(one, "one.mp4"), recut(two, "two.mp4")];
    assert_eq!(tracks[0].init, tracks[1].init, "the init section is shared");
    assert_eq!(
        (tracks[0].codec.as_str(), tracks[0].width, tracks[0].height),
        ("avc1.640028", 320, 180)
    );

    let bytes = glued(&tracks[0].init, &dir, &[&tracks[0], &tracks[1]]);
    let whole = dir.join("whole.mp4");
    fs::write(&whole, &bytes).unwrap();
    let made = fragments(bytes);
    assert_eq!(made.len(), segments.len());
    let mut shown = Vec::new();
    let mut expected_decode = 0;
    let recorded = tracks.iter().flat_map(|track| &track.segments);
    for ((fragment, segment), piece) in made.iter().zip(&segments).zip(recorded) {
        assert!(fragment[0].is_sync());
        assert_eq!(fragment[0].decode_time, segment.start_ticks);
        assert_eq!(fragment[0].composition_offset, 0);
        assert_eq!(fragment.len() as i64, segment.frames);
        let facts = (piece.number, piece.start, piece.duration, piece.frames);
        assert_eq!(
            facts,
            (
                segment.number,
                segment.start_ticks,
                segment.duration_ticks,
                segment.frames
            )
        );
        for sample in fragment {
            assert_eq!(sample.decode_time, expected_decode, "decode times have no gaps");
            expected_decode += i64::from(sample.duration);
            shown.push(sample.shown().unwrap());
        }
    }
    assert_eq!(expected_decode, clip.end);
    assert!(!shown.is_sorted(), "there are B-frames");
    shown.sort_unstable();
    assert_eq!(shown, clip.shown);
    assert_eq!(decoded_frames(&whole, "v:0"), clip.shown.len() as i64);
}

#[test]
fn constant_frame_rate() {
    two_chunks(&Clip::new("30000/1001", CONSTANT));
}

#[test]
fn variable_frame_rate() {
    two_chunks(&Clip::new("30", VARIABLE));
}

#[test]
fn a_keyframe_can_be_shown_by_itself() {
    let clip = Clip::new("30", CONSTANT);
    let segments = &clip.segments(TICKS_PER_SECOND)[..1];
    let dir = clip.out_dir("out");
    let track = recut_video(&clip.encode(segments, "null", "chunk.mp4"), segments, &dir, name).unwrap();
    let mut bytes = fs::read(dir.join(name(0))).unwrap();
    bytes.truncate(usize::try_from(track.segments[0].keyframe_bytes.unwrap()).unwrap());
    // What follows the first frame is missing, so the data end early; that is what an I-frame playlist serves.
    let file = dir.join("keyframe.mp4");
    fs::write(&file, [track.init, bytes].concat()).unwrap();
    let decoded = std::process::Command::new("ffmpeg")
        .args([
            "-nostdin",
            "-v",
            "quiet",
            "-i",
            file.to_str().unwrap(),
            "-frames:v",
            "1",
            "-f",
            "framecrc",
            "-",
        ])
        .output()
        .unwrap();
    let frames = String::from_utf8(decoded.stdout).unwrap();
    assert_eq!(
        frames.lines().filter(|line| line.starts_with("0,")).count(),
        1,
        "{frames}"
    );
}

#[test]
fn missing_frames_are_bridged() {
    let clip = Clip::new("30", CONSTANT);
    let segments = clip.segments(TICKS_PER_SECOND);
    // Frames 0 to 4 are the start of the first segment, 30 to 59 the whole second, 95 to 97 from the fourth.
    let lossy = "select='not(lt(n,5))*not(between(n,30,59))*not(between(n,95,97))'";
    let dir = clip.out_dir("out");
    let track = recut_video(&clip.encode(&segments, lossy, "lossy.mp4"), &segments, &dir, name).unwrap();
    let facts: Vec<_> = track
        .segments
        .iter()
        .map(|s| (s.number, s.start, s.duration, s.frames))
        .collect();
    assert_eq!(
        facts,
        [
            (0, 0, 180_000, 25),
            (2, 180_000, 90_000, 30),
            (3, 270_000, 90_000, 27),
            (4, 360_000, 90_000, 30),
            (5, 450_000, 90_000, 30),
        ]
    );
    assert_eq!(track.frames, clip.shown.len() as i64 - 38);
    let made: Vec<_> = fragments(glued(&track.init, &dir, &[&track])).concat();
    let mut shown: Vec<i64> = made.iter().map(|s| s.shown().unwrap()).collect();
    shown.sort_unstable();
    let lost = |n: i64| n < 6 || (30..60).contains(&n) || (95..98).contains(&n);
    let expected: Vec<i64> = [0]
        .into_iter()
        .chain((0..180).filter(|n| !lost(*n)).map(|n| n * 3000))
        .collect();
    assert_eq!(shown, expected, "the first frame that is left is shown from the start");

    let nothing = recut_video(&clip.encode(&segments, "select=0", "empty.mp4"), &segments, &dir, name).unwrap();
    assert_eq!((nothing.segments.len(), nothing.frames), (0, 0));
    assert_eq!(nothing.init, track.init);
}

#[test]
fn frames_that_break_the_plan_are_errors() {
    let clip = Clip::new("30", CONSTANT);
    let segments = clip.segments(TICKS_PER_SECOND);
    let chunk = clip.encode(&segments[1..3], "null", "chunk.mp4");
    let dir = clip.out_dir("out");
    let recut = |change: &dyn Fn(&mut Vec<SegmentPlan>)| {
        let mut plan = segments[1..3].to_vec();
        change(&mut plan);
        recut_video(&chunk, &plan, &dir, name).unwrap_err()
    };
    let surplus = recut(&|plan| plan[1].frames = 29);
    assert!(
        matches!(
            surplus,
            Fmp4Error::SurplusFrames {
                number: 2,
                frames: 30,
                planned: 29
            }
        ),
        "{surplus}"
    );
    let late = recut(&|plan| plan[1].duration_ticks -= 3000);
    assert!(
        matches!(
            late,
            Fmp4Error::FrameOutside {
                shown_ticks: 267_000,
                ..
            }
        ),
        "{late}"
    );
    let early = recut(&|plan| plan[0].start_ticks += 3000);
    assert!(
        matches!(
            early,
            Fmp4Error::FrameOutside {
                shown_ticks: 90_000,
                ..
            }
        ),
        "{early}"
    );
    let uncut = recut(&|plan| plan[1].start_ticks -= 30_000);
    assert!(
        matches!(uncut, Fmp4Error::NoKeyframe(2) | Fmp4Error::Order(_)),
        "{uncut}"
    );
    assert_eq!(
        fs::read_dir(&dir).unwrap().count(),
        0,
        "nothing is written before the plan is met"
    );

    recut_video(&chunk, &segments[1..3], &dir, name).unwrap();
    let again = recut_video(&chunk, &segments[1..3], &dir, name).unwrap_err();
    assert!(
        matches!(&again, Fmp4Error::Io(e) if e.kind() == io::ErrorKind::AlreadyExists),
        "{again}"
    );
    let wrong_kind = recut_video(&clip.encode_audio(), &segments, &dir, name).unwrap_err();
    assert!(matches!(wrong_kind, Fmp4Error::Unsupported(_)), "{wrong_kind}");
}

#[test]
fn audio_is_cut_at_the_frame_nearest_to_each_start() {
    let clip = Clip::new("30", CONSTANT);
    let dir = clip.out_dir("out");
    let starts = (0..).map(|n| n * TICKS_PER_SECOND);
    let track = recut_audio(&clip.encode_audio(), &ONE_RUN, starts, &dir, name).unwrap();
    assert_eq!(
        (track.codec.as_str(), track.timescale, track.width),
        ("mp4a.40.2", 48_000, 0)
    );
    // 46.875 frames a second: the nearest to each second is at most half a frame away, of two the earlier.
    let frames = |seconds: i64| (seconds * 48_000 + 511) / 1024;
    let mut end = 0;
    for (segment, second) in track.segments.iter().zip(0..) {
        assert_eq!(
            (segment.number, segment.start),
            (u32::try_from(second).unwrap(), frames(second) * 1024)
        );
        assert_eq!(segment.start, end, "segments have no gaps");
        end = segment.start + segment.duration;
    }
    assert_eq!(track.segments.len(), 6);
    assert_eq!(track.frames * 1024, end);
    assert!((end - 6 * 48_000).abs() <= 1024, "{end} samples");
    let bytes = glued(&track.init, &dir, &[&track]);
    let whole = dir.join("whole.mp4");
    fs::write(&whole, &bytes).unwrap();
    assert_eq!(fragments(bytes).concat().len() as i64, track.frames);
    assert_eq!(decoded_frames(&whole, "a:0"), track.frames);
}

#[test]
fn damaged_files_are_errors_and_nothing_worse() {
    let clip = Clip::new("30", CONSTANT);
    let segments = clip.segments(TICKS_PER_SECOND);
    let video = fs::read(clip.encode(&segments, "null", "chunk.mp4")).unwrap();
    let audio = fs::read(clip.encode_audio()).unwrap();
    let mut random = Random::new(42);
    let mut refused = 0;
    for round in 0..400 {
        let source = if round % 2 == 0 { &video } else { &audio };
        let mut bytes = source.clone();
        match round % 3 {
            0 => bytes.truncate(random.below(source.len())),
            // The tables are at the beginning and damage to them is what matters; some of it goes elsewhere.
            1 => (0..4).for_each(|_| bytes[random.below(1600)] = u8::try_from(random.below(256)).unwrap()),
            _ => (0..40).for_each(|_| bytes[random.below(source.len())] ^= 1 << random.below(8)),
        }
        let dir = clip.out_dir(&format!("round-{round}"));
        let damaged = dir.join("damaged.mp4");
        fs::write(&damaged, &bytes).unwrap();
        let starts = (0..).map(|n| n * TICKS_PER_SECOND);
        let result = if round % 2 == 0 {
            recut_video(&damaged, &segments, &dir, name)
        } else {
            recut_audio(&damaged, &ONE_RUN, starts, &dir, name)
        };
        refused += usize::from(result.is_err());
        let made: u64 = result.iter().flat_map(|track| &track.segments).map(|s| s.bytes).sum();
        assert!(made < 2 * source.len() as u64, "round {round} made {made} bytes");
    }
    assert!(refused > 150, "only {refused} of 400 were refused");
}

#[test]
fn numbers_that_promise_too_much_are_refused_unread() {
    let clip = Clip::new("30", CONSTANT);
    let segments = &clip.segments(TICKS_PER_SECOND)[..1];
    let whole = fs::read(clip.encode(segments, "null", "chunk.mp4")).unwrap();
    let dir = clip.out_dir("out");
    let find = |kind: &[u8; 4]| whole.windows(4).position(|w| w == kind).unwrap();
    let recut = |at: usize, value: u32| {
        let mut bytes = whole.clone();
        bytes[at..at + 4].copy_from_slice(&value.to_be_bytes());
        let path = dir.join("changed.mp4");
        fs::write(&path, bytes).unwrap();
        recut_video(&path, segments, &dir, name).unwrap_err()
    };
    let samples = recut(find(b"trun") + 8, u32::MAX);
    assert!(
        matches!(
            samples,
            Fmp4Error::TooMuch {
                value: 4_294_967_295,
                ..
            }
        ),
        "{samples}"
    );
    let moof = recut(find(b"moof") - 4, u32::MAX);
    assert!(
        matches!(moof, Fmp4Error::CutOff(FourCc(kind)) if kind == *b"moof"),
        "{moof}"
    );
    let data = recut(find(b"trun") + 12, 8);
    assert!(
        matches!(data, Fmp4Error::Malformed { inside: FourCc(kind), .. } if kind == *b"mdat"),
        "{data}"
    );
    let track = recut(find(b"tfhd") + 8, 9);
    assert!(matches!(track, Fmp4Error::Malformed { .. }), "{track}");
}
