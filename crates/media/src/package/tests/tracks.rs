//! Several tracks, text, high range, and the manifest.

use super::*;
use crate::SubtitlePlan;

fn subtitle(name: &str, language: &str, forced: bool) -> (SubtitlePlan, SubtitlePieces) {
    let planned = SubtitlePlan {
        name: name.into(),
        language: language.into(),
        stream_index: 3,
        forced,
        default: false,
    };
    let made = SubtitlePieces {
        rendition: name.into(),
        key: format!("subtitles-0000-e1/{name}.vtt"),
        bytes: 100,
        duration_ms: 5000,
        cues: 2,
    };
    (planned, made)
}

/// [`made`] with a second track of sound and two of text.
fn with_tracks() -> (Plan, Made) {
    let (mut plan, chunks, audio) = made();
    let mut made = of(&chunks, Some(&audio));
    plan.audios[0].language = "en".into();
    plan.audios.push(AudioPlan {
        name: "audio-2".into(),
        language: "en".into(),
        channels: 1,
        ..plan.audios[0].clone()
    });
    let AudioPieces(pieces) = audio;
    let rendition = "audio-2".into();
    made.audio.push(RunPieces {
        track: 1,
        run: 0,
        pieces: PieceSet { rendition, ..pieces },
    });
    for (planned, text) in [subtitle("subtitles", "de", false), subtitle("subtitles-2", "", true)] {
        plan.subtitles.push(planned);
        made.subtitles.push(text);
    }
    (plan, made)
}

#[test]
fn alternatives_are_told_apart() {
    let (plan, made) = with_tracks();
    let package = package(&plan, &made).unwrap();
    let master = text(&package, MASTER_PLAYLIST);
    let media: Vec<&str> = master.lines().filter_map(|l| l.strip_prefix("#EXT-X-MEDIA:")).collect();
    assert_eq!(
        media,
        [
            "TYPE=AUDIO,GROUP-ID=\"audio\",NAME=\"en\",LANGUAGE=\"en\",DEFAULT=YES,AUTOSELECT=YES,CHANNELS=\"2\",URI=\"audio.m3u8\"",
            "TYPE=AUDIO,GROUP-ID=\"audio\",NAME=\"en 2\",LANGUAGE=\"en\",DEFAULT=NO,AUTOSELECT=NO,CHANNELS=\"1\",URI=\"audio-2.m3u8\"",
            "TYPE=SUBTITLES,GROUP-ID=\"subtitles\",NAME=\"de\",LANGUAGE=\"de\",DEFAULT=NO,AUTOSELECT=YES,FORCED=NO,URI=\"subtitles.m3u8\"",
            "TYPE=SUBTITLES,GROUP-ID=\"subtitles\",NAME=\"und\",LANGUAGE=\"und\",DEFAULT=NO,AUTOSELECT=YES,FORCED=YES,URI=\"subtitles-2.m3u8\"",
        ]
    );
    assert!(text(&package, "subtitles.m3u8").contains("#EXTINF:6.000000,\nc/subtitles-0000-e1/subtitles.vtt\n"));
    let names: Vec<(&str, &str)> = package
        .renditions
        .iter()
        .map(|info| (info.name.as_str(), info.language.as_str()))
        .collect();
    assert_eq!(
        names[2..],
        [
            ("audio", "en"),
            ("audio-2", "en"),
            ("subtitles", "de"),
            ("subtitles-2", "")
        ]
    );
}

#[test]
fn one_text_at_most_is_shown_to_those_who_chose_none() {
    let (mut plan, mut made) = with_tracks();
    let (planned, text_made) = subtitle("subtitles-3", "de", false);
    plan.subtitles.push(planned);
    made.subtitles.push(text_made);
    let flags = |plan: &Plan| -> Vec<(bool, bool)> {
        let package = package(plan, &made).unwrap();
        assert_eq!(violations(MASTER_PLAYLIST, &texts(&package)), [""; 0]);
        let master = text(&package, MASTER_PLAYLIST);
        let lines = master.lines().filter(|line| line.contains("TYPE=SUBTITLES"));
        lines
            .map(|line| (line.contains("DEFAULT=YES"), line.contains("AUTOSELECT=YES")))
            .collect()
    };
    assert_eq!(flags(&plan), [(false, true), (false, true), (false, false)]);
    // The forced one is chosen by its language alone, and of two that are meant to be shown the first is.
    plan.subtitles[1].default = true;
    assert_eq!(flags(&plan), [(false, true), (false, true), (false, false)]);
    plan.subtitles[2].default = true;
    assert_eq!(flags(&plan), [(false, false), (false, true), (true, true)]);
    plan.subtitles[0].default = true;
    assert_eq!(flags(&plan), [(true, true), (false, true), (false, false)]);
}

#[test]
fn text_that_says_nothing_is_not_listed_and_text_that_is_missing_is_a_defect() {
    let (plan, mut made) = with_tracks();
    made.subtitles[0].cues = 0;
    let listed = package(&plan, &made).unwrap();
    assert!(!text(&listed, MASTER_PLAYLIST).contains("subtitles.m3u8"));
    made.subtitles.remove(0);
    assert_eq!(package(&plan, &made).unwrap_err().reason, Reason::Internal);
}

#[test]
fn text_is_announced_while_it_grows() {
    let (plan, mut made) = with_tracks();
    made.subtitles.clear();
    let growing = package_growing(&plan, &made).unwrap().unwrap();
    let last = growing.renditions.last().unwrap();
    assert_eq!((last.name.as_str(), last.playlist.as_str()), ("subtitles-2", ""));
}

#[test]
fn a_rung_that_keeps_the_range_says_so_and_is_not_begun_with() {
    let (mut plan, chunks, audio) = made();
    let video = plan.video.as_mut().unwrap();
    video.rungs[0].hdr = true;
    video.rungs[0].codec = reelway_domain::VideoCodec::Hevc;
    for (transfer, range, code) in [("smpte2084", "PQ", "16"), ("arib-std-b67", "HLG", "18")] {
        plan.video.as_mut().unwrap().colour.transfer = transfer.into();
        let mut made = of(&chunks, Some(&audio));
        for chunk in &mut made.chunks {
            chunk.renditions[0].codec = "hvc1.2.4.L93.b0".into();
        }
        let package = package(&plan, &made).unwrap();
        let master = text(&package, MASTER_PLAYLIST);
        let streams: Vec<&str> = master
            .lines()
            .filter(|l| l.contains("STREAM-INF") && l.contains("AUDIO="))
            .collect();
        assert!(
            streams[0].contains("VIDEO-RANGE=SDR") && streams[1].contains(&format!("VIDEO-RANGE={range}")),
            "{master}"
        );
        assert_eq!(
            master.matches(&format!("VIDEO-RANGE={range}")).count(),
            2,
            "the keyframes too"
        );
        let manifest = manifest(&package);
        assert!(
            manifest.contains(&format!("TransferCharacteristics\" value=\"{code}\"")),
            "{manifest}"
        );
        assert_eq!(
            manifest.matches("contentType=\"video\"").count(),
            2,
            "nobody switches between the two"
        );
    }
}

fn manifest(package: &Package) -> &str {
    let file = package.playlists.iter().find(|file| file.name == MANIFEST);
    &file.unwrap().text
}

#[test]
fn the_manifest_names_the_same_pieces() {
    let (mut plan, mut made) = with_tracks();
    plan.video.as_mut().unwrap().missing_percent_max = 50.0;
    for set in &mut made.chunks[0].renditions {
        set.pieces.clear();
    }
    let package = package(&plan, &made).unwrap();
    let manifest = manifest(&package);
    assert!(manifest.contains("mediaPresentationDuration=\"PT6.000S\""));
    // The first chunk is a gap, so time begins with the second.
    assert!(manifest.contains("<S t=\"180000\" d=\"90000\" r=\"1\"/>"), "{manifest}");
    assert!(manifest.contains("<S t=\"0\" d=\"48000\" r=\"5\"/>"));
    assert_eq!(manifest.matches("<AdaptationSet").count(), 5);
    let named = |text: &str, before: &str, after: &str| {
        let mut names: Vec<String> = text
            .split(before)
            .skip(1)
            .map(|rest| rest.split(after).next().unwrap().to_owned())
            .collect();
        names.sort();
        names
    };
    let segments = named(manifest, "SegmentURL media=\"", "\"");
    let mut listed: Vec<String> = ["180p.m3u8", "90p.m3u8", "audio.m3u8", "audio-2.m3u8"]
        .iter()
        .flat_map(|name| text(&package, name).lines())
        .filter(|line| line.starts_with("c/"))
        .map(str::to_owned)
        .collect();
    listed.sort();
    assert_eq!(segments, listed);
    for (element, count) in [
        ("Representation", 6),
        ("SegmentList", 4),
        ("SegmentTimeline", 4),
        ("Period", 1),
        ("MPD", 1),
    ] {
        assert_eq!(manifest.matches(&format!("</{element}>")).count(), count, "{element}");
    }
}
