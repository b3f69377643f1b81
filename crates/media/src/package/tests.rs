mod growing;
mod tracks;

use std::{fs, path::Path};

use reelway_domain::{EncoderSpeed, Failure, Reason, RungSize, SourceInfo};

use super::*;
use crate::{
    AudioPlan, AudioRun, ChunkPlan, Colour, PlanView, Rational, SegmentPlan, TICKS_PER_SECOND, VideoPlan,
    fmp4::{
        audio_starts, recut_audio, recut_video,
        testing::{CONSTANT, Clip, ONE_RUN, decoded_frames},
    },
    playlist::violations,
};

fn rung(name: &str, width: u32, height: u32) -> RungSize {
    RungSize {
        name: name.into(),
        width,
        height,
        bitrate_max: 800_000,
        codec: reelway_domain::VideoCodec::H264,
        hdr: false,
    }
}

/// A plan of these chunks with two rungs and 6 s of stereo.
fn plan(chunks: &[&[SegmentPlan]]) -> Plan {
    let chunk = |segments: &&[SegmentPlan]| ChunkPlan {
        start_pts: 0,
        end_pts: 0,
        seek_pts: None,
        bytes: None,
        segments: segments.to_vec(),
    };
    let video = VideoPlan {
        lead_chunks: 0,
        codec: reelway_domain::VideoCodec::H264,
        mastering: None,
        stream_index: 0,
        time_base: Rational { num: 1, den: 90_000 },
        base_pts: 0,
        container_start_us: 0,
        seek_slack_us: 0,
        rungs: vec![rung("180p", 320, 180), rung("90p", 160, 90)],
        speed: EncoderSpeed::Standard,
        crf: 23,
        missing_percent_max: 10.0,
        frame_rate_max: 60,
        deinterlace: false,
        tone_map: false,
        colour: Colour::default(),
        chunks: chunks.iter().map(chunk).collect(),
    };
    let audio = AudioPlan {
        seek: crate::AudioSeek::FromStart,
        sample_rate: 48_000,
        name: AUDIO_RENDITION.into(),
        language: String::new(),
        runs: vec![AudioRun {
            start_frame: 0,
            end_frame: None,
            bytes: None,
        }],
        stream_index: 1,
        base_us: 0,
        duration_ms: 6000,
        channels: 2,
        bitrate: 128_000,
    };
    Plan {
        source: SourceInfo::default(),
        segment_ms: 1000,
        video: Some(video),
        audios: vec![audio],
        subtitles: Vec::new(),
        view: PlanView::Whole,
        index_bytes: Vec::new(),
        reads_mezzanine: false,
    }
}

/// What the tasks made, if each track is one run.
fn of(chunks: &[ChunkPieces], audio: Option<&AudioPieces>) -> Made {
    let run = |(track, AudioPieces(pieces)): (usize, &AudioPieces)| RunPieces {
        track,
        run: 0,
        pieces: pieces.clone(),
    };
    Made {
        chunks: chunks.to_vec(),
        audio: audio.into_iter().enumerate().map(run).collect(),
        subtitles: Vec::new(),
    }
}

/// The playlists, without the manifest.
fn texts(package: &Package) -> Vec<(&str, &str)> {
    package
        .playlists
        .iter()
        .filter(|p| p.name != MANIFEST)
        .map(|p| (p.name.as_str(), p.text.as_str()))
        .collect()
}

/// Encodes, cuts and packages a clip, and writes everything as the edge serves it.
fn published(clip: &Clip, root: &Path) -> Package {
    let segments = clip.segments(TICKS_PER_SECOND);
    let halves = segments.split_at(segments.len() / 2);
    let plan = plan(&[halves.0, halves.1]);
    let store = root.join("c");
    fs::create_dir(&store).unwrap();
    let kept = |track: &crate::fmp4::RecutTrack, name: &str, prefix: &str| {
        let init_key = format!("{prefix}/init.mp4");
        fs::write(store.join(&init_key), &track.init).unwrap();
        track.pieces(name, init_key, |file| format!("{prefix}/{file}"))
    };
    let mut chunks = Vec::new();
    for (chunk, part) in (0..).zip([halves.0, halves.1]) {
        let make = |rung: &RungSize| {
            let prefix = format!("video-{chunk}-{}", rung.name);
            let dir = store.join(&prefix);
            fs::create_dir(&dir).unwrap();
            let filter = format!("scale={}:{}", rung.width, rung.height);
            let file = clip.encode(part, &filter, &format!("{prefix}.mp4"));
            let track = recut_video(&file, part, &dir, |n| format!("{n}.m4s")).unwrap();
            kept(&track, &rung.name, &prefix)
        };
        chunks.push(ChunkPieces {
            chunk,
            renditions: plan.video.as_ref().unwrap().rungs.iter().map(make).collect(),
        });
    }
    let dir = store.join("audio");
    fs::create_dir(&dir).unwrap();
    let track = recut_audio(&clip.encode_audio(), &ONE_RUN, audio_starts(&plan), &dir, |n| {
        format!("{n}.m4s")
    })
    .unwrap();
    let audio = AudioPieces(kept(&track, AUDIO_RENDITION, "audio"));
    // What the catalog stores is read back the same, in any order.
    let json = serde_json::to_string(&(&chunks, &audio)).unwrap();
    let (mut chunks, audio): (Vec<ChunkPieces>, AudioPieces) = serde_json::from_str(&json).unwrap();
    chunks.reverse();
    let package = package(&plan, &of(&chunks, Some(&audio))).unwrap();
    for file in &package.playlists {
        fs::write(root.join(&file.name), &file.text).unwrap();
    }
    package
}

#[test]
fn what_is_published_plays_and_keeps_the_rules() {
    let clip = Clip::new("30", CONSTANT);
    let root = tempfile::tempdir().unwrap();
    let package = published(&clip, root.path());
    let names: Vec<&str> = texts(&package).into_iter().map(|(name, _)| name).collect();
    assert_eq!(
        names,
        [
            "180p.m3u8",
            "90p.m3u8",
            "audio.m3u8",
            "180p-iframes.m3u8",
            "90p-iframes.m3u8",
            MASTER_PLAYLIST
        ]
    );
    assert_eq!(violations(MASTER_PLAYLIST, &texts(&package)), [""; 0]);
    assert_eq!((package.frames_planned, package.frames_missing), (180, 0));
    for info in &package.renditions {
        assert!(
            info.bitrate_average > 0 && info.bitrate_peak >= info.bitrate_average,
            "{info:?}"
        );
        assert!(!info.codecs.is_empty(), "{info:?}");
    }
    for (name, text) in texts(&package) {
        m3u8_rs::parse_playlist_res(text.as_bytes()).unwrap_or_else(|e| panic!("{name}: {e}"));
    }
    assert_eq!(decoded_frames(&root.path().join("180p.m3u8"), "v:0"), 180);
    let manifest = root.path().join(MANIFEST);
    assert_eq!(decoded_frames(&manifest, "v:0"), 180);
    assert_eq!(decoded_frames(&manifest, "v:1"), 180);
    assert!((281..=282).contains(&decoded_frames(&manifest, "a:0")));
    let master = root.path().join(MASTER_PLAYLIST);
    assert_eq!(decoded_frames(&master, "v:0"), 180);
    assert!((281..=282).contains(&decoded_frames(&master, "a:0")));
}

/// The pieces of two chunks of two segments of one second each, and of 6 s of audio, without media.
fn made() -> (Plan, Vec<ChunkPieces>, AudioPieces) {
    let segment = |number: u32| SegmentPlan {
        number,
        start_ticks: i64::from(number) * 90_000,
        duration_ticks: 90_000,
        frames: 30,
    };
    let segments: Vec<SegmentPlan> = (0..4).map(segment).collect();
    let plan = plan(&[&segments[..2], &segments[2..]]);
    let set = |name: &str, width, height, timescale: u32, numbers: std::ops::Range<u32>, frames| {
        let piece = |number: u32| Piece {
            number,
            key: format!("{name}-{number}.m4s"),
            bytes: 1000,
            start: i64::from(number) * i64::from(timescale),
            duration: timescale.into(),
            frames,
            keyframe_bytes: None,
        };
        PieceSet {
            rendition: name.into(),
            init_key: format!("{name}.mp4"),
            init_sha256: name.into(),
            codec: if width > 0 { "avc1.640028" } else { "mp4a.40.2" }.into(),
            width,
            height,
            timescale,
            pieces: numbers.map(piece).collect(),
            silenced_ms: 0,
        }
    };
    let chunk = |chunk: u32| {
        let numbers = chunk * 2..chunk * 2 + 2;
        let both = [("180p", 320, 180), ("90p", 160, 90)];
        let renditions = both
            .map(|(name, w, h)| set(name, w, h, 90_000, numbers.clone(), 30))
            .into();
        ChunkPieces { chunk, renditions }
    };
    let audio = AudioPieces(set(AUDIO_RENDITION, 0, 0, 48_000, 0..6, 47));
    (plan, vec![chunk(0), chunk(1)], audio)
}

fn text<'a>(package: &'a Package, name: &str) -> &'a str {
    texts(package).into_iter().find(|(n, _)| *n == name).unwrap().1
}

#[test]
fn audio_alone_is_its_own_variant() {
    let (mut plan, _, audio) = made();
    plan.video = None;
    let package = package(&plan, &of(&[], Some(&audio))).unwrap();
    assert_eq!(violations(MASTER_PLAYLIST, &texts(&package)), [""; 0]);
    assert!(!text(&package, MASTER_PLAYLIST).contains("EXT-X-MEDIA:"));
    assert_eq!(package.renditions.len(), 1);
}

#[test]
fn silent_video_and_the_first_variant() {
    let (mut plan, mut chunks, _) = made();
    plan.audios.clear();
    // 2.4 Mb/s and 8 kb/s: the player starts with the first.
    chunks
        .iter_mut()
        .for_each(|c| c.renditions[0].pieces.iter_mut().for_each(|p| p.bytes = 300_000));
    let order = |plan: &Plan, chunks: &[ChunkPieces]| {
        let package = package(plan, &of(chunks, None)).unwrap();
        assert_eq!(violations(MASTER_PLAYLIST, &texts(&package)), [""; 0]);
        assert!(!text(&package, MASTER_PLAYLIST).contains("AUDIO"));
        let master = text(&package, MASTER_PLAYLIST).to_owned();
        let uris: Vec<String> = master
            .lines()
            .filter(|l| !l.starts_with('#'))
            .map(str::to_owned)
            .collect();
        uris
    };
    assert_eq!(order(&plan, &chunks), ["180p.m3u8", "90p.m3u8"]);
    chunks
        .iter_mut()
        .for_each(|c| c.renditions[0].pieces.iter_mut().for_each(|p| p.bytes = 3_000_000));
    assert_eq!(order(&plan, &chunks), ["90p.m3u8", "180p.m3u8"]);
}

#[test]
fn damage_within_the_bound_is_published_and_counted() {
    let (mut plan, mut chunks, audio) = made();
    for set in &mut chunks[1].renditions {
        set.pieces[0].frames = 18;
    }
    let package_of = |plan: &Plan, chunks: &[ChunkPieces]| package(plan, &of(chunks, Some(&audio)));
    let package = package_of(&plan, &chunks).unwrap();
    assert_eq!((package.frames_planned, package.frames_missing), (120, 12));

    for set in &mut chunks[1].renditions {
        set.pieces[0].frames = 17;
    }
    let failure = package_of(&plan, &chunks).unwrap_err();
    assert_eq!(failure.reason, Reason::SourceDamaged);
    let metadata: Vec<_> = failure.metadata.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
    assert_eq!(
        metadata,
        [
            ("firstMissingSeconds", "2.000"),
            ("frames", "120"),
            ("missingFrames", "13")
        ]
    );

    // A chunk of which nothing is left is a gap in time, in every playlist.
    plan.video.as_mut().unwrap().missing_percent_max = 50.0;
    for set in &mut chunks[0].renditions {
        set.pieces.clear();
        set.init_sha256 = "of an encoder that saw no frame".into();
    }
    chunks[1]
        .renditions
        .iter_mut()
        .for_each(|set| set.pieces[0].frames = 30);
    let package = package_of(&plan, &chunks).unwrap();
    assert_eq!(package.frames_missing, 60);
    assert_eq!(text(&package, "90p.m3u8").matches("#EXT-X-GAP\n").count(), 2);
    assert_eq!(violations(MASTER_PLAYLIST, &texts(&package)), [""; 0]);

    plan.video.as_mut().unwrap().missing_percent_max = 100.0;
    chunks[1].renditions.iter_mut().for_each(|set| set.pieces.clear());
    assert_eq!(
        package_of(&plan, &chunks).unwrap_err().reason,
        Reason::SourceDamaged,
        "nothing is left"
    );
}

#[test]
fn audio_may_lack_what_rounding_explains_or_the_plan_allows() {
    let (mut plan, chunks, audio) = made();
    let lasting = |plan: &mut Plan, ms| plan.audios[0].duration_ms = ms;
    lasting(&mut plan, 6100);
    plan.video.as_mut().unwrap().missing_percent_max = 0.0;
    package(&plan, &of(&chunks, Some(&audio))).unwrap();
    lasting(&mut plan, 6600);
    let failure = package(&plan, &of(&chunks, Some(&audio))).unwrap_err();
    assert_eq!(
        (failure.reason, failure.metadata["missingMs"].as_str()),
        (Reason::SourceDamaged, "600")
    );
    plan.video.as_mut().unwrap().missing_percent_max = 10.0;
    package(&plan, &of(&chunks, Some(&audio))).unwrap();
}

#[test]
fn silence_in_place_of_what_can_not_be_decoded_is_missing() {
    let (mut plan, chunks, AudioPieces(mut audio)) = made();
    plan.audios[0].duration_ms = 6000;
    plan.video.as_mut().unwrap().missing_percent_max = 10.0;
    audio.silenced_ms = 540;
    package(&plan, &of(&chunks, Some(&AudioPieces(audio.clone())))).unwrap();
    audio.silenced_ms = 2000;
    let failure = package(&plan, &of(&chunks, Some(&AudioPieces(audio)))).unwrap_err();
    assert_eq!(
        (failure.reason, failure.metadata["missingMs"].as_str()),
        (Reason::SourceDamaged, "2000")
    );
}

#[test]
fn pieces_that_do_not_fit_are_not_published() {
    let (plan, chunks, audio) = made();
    let failed = |change: &dyn Fn(&mut Vec<ChunkPieces>, &mut AudioPieces)| {
        let (mut chunks, mut audio) = (chunks.clone(), audio.clone());
        change(&mut chunks, &mut audio);
        let failure: Failure = package(&plan, &of(&chunks, Some(&audio))).unwrap_err();
        assert_eq!(failure.reason, Reason::Internal, "{failure}");
        failure.message
    };
    package(&plan, &of(&chunks, Some(&audio))).unwrap();
    assert!(failed(&|c, _| drop(c.pop())).contains("180p lacks chunk 1"));
    assert!(failed(&|c, _| c[1].chunk = 0).contains("there twice"));
    assert!(failed(&|c, _| drop(c[1].renditions.pop())).contains("90p lacks chunk 1"));
    assert!(failed(&|c, _| c[1].renditions[1].rendition = "x".into()).contains("was not planned"));
    assert!(failed(&|c, _| c[0].renditions[0].width = 322).contains("pixels large"));
    assert!(failed(&|c, _| c[1].renditions[0].init_sha256 = "other".into()).contains("init sections"));
    assert!(failed(&|c, _| c[0].renditions[0].pieces[1].start += 1).contains("instead of 90000"));
    assert!(failed(&|c, _| c[0].renditions[0].pieces[0].duration -= 1).contains("instead of 89999"));
    assert!(failed(&|c, _| c[0].renditions[0].pieces[1].duration -= 1).contains("on ends at 179999"));
    assert!(failed(&|c, _| c[0].renditions[0].pieces[0].frames = 31).contains("more than the planned"));
    assert!(failed(&|c, _| c[0].renditions[0].pieces[0].key = "../x".into()).contains("name of a piece"));
    assert!(failed(&|c, _| c[0].renditions[0].init_key = "a\"b".into()).contains("name of a piece"));
    assert!(failed(&|_, a| a.0.pieces[3].start += 1).contains("instead of"));
    let merged = failed(&|c, _| {
        let pieces = &mut c[0].renditions[0].pieces;
        pieces.pop();
        pieces[0].duration = 180_000;
    });
    assert!(merged.contains("different rungs"), "{merged}");
    assert_eq!(package(&plan, &of(&chunks, None)).unwrap_err().reason, Reason::Internal);
}

#[test]
fn audio_is_cut_with_the_video_and_goes_on_after_it() {
    let (mut plan, _, _) = made();
    let seconds = |plan: &Plan| {
        audio_starts(plan)
            .take(6)
            .map(|ticks| ticks / 9_000)
            .collect::<Vec<_>>()
    };
    plan.video.as_mut().unwrap().chunks[1].segments[1].start_ticks += 9_000;
    assert_eq!(seconds(&plan), [0, 10, 20, 31, 41, 51], "tenths of a second");
    plan.video = None;
    plan.segment_ms = 4000;
    assert_eq!(seconds(&plan), [0, 40, 80, 120, 160, 200]);
}
