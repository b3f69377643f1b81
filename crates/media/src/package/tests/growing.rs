//! What is published while it grows.

use super::*;

/// The video of [`made`], of which the first chunk is led, and the audio in two runs of 3 s.
fn led() -> (Plan, Vec<ChunkPieces>, Vec<RunPieces>) {
    let (mut plan, chunks, AudioPieces(audio)) = made();
    plan.video.as_mut().unwrap().lead_chunks = 1;
    let run = |start_frame, end_frame| AudioRun {
        start_frame,
        end_frame,
        bytes: None,
    };
    plan.audios[0].runs = vec![run(0, Some(141)), run(141, None)];
    let only = |chunk: &ChunkPieces, rungs: std::ops::Range<usize>| ChunkPieces {
        chunk: chunk.chunk,
        renditions: chunk.renditions[rungs].to_vec(),
    };
    // In the order in which two workers might make them.
    let chunks = vec![only(&chunks[0], 1..2), chunks[1].clone(), only(&chunks[0], 0..1)];
    let part = |run, pieces: std::ops::Range<usize>| RunPieces {
        track: 0,
        run,
        pieces: PieceSet {
            pieces: audio.pieces[pieces].to_vec(),
            ..audio.clone()
        },
    };
    (plan, chunks, vec![part(0, 0..3), part(1, 3..6)])
}

/// What each media playlist lists.
fn listed(files: &[PlaylistFile]) -> Vec<(String, String)> {
    let media = files
        .iter()
        .filter(|file| file.name.ends_with(".m3u8") && file.name != MASTER_PLAYLIST);
    let entries = |text: &str| {
        let (_, entries) = text.split_once("#EXT-X-MAP").unwrap();
        entries.replace("#EXT-X-ENDLIST\n", "")
    };
    media.map(|file| (file.name.clone(), entries(&file.text))).collect()
}

fn target(files: &[PlaylistFile]) -> String {
    let line = |text: &str| {
        text.lines()
            .find(|l| l.starts_with("#EXT-X-TARGETDURATION"))
            .unwrap()
            .to_owned()
    };
    let mut targets: Vec<String> = files
        .iter()
        .filter(|file| file.name.ends_with(".m3u8") && file.name != MASTER_PLAYLIST)
        .map(|file| line(&file.text))
        .collect();
    targets.dedup();
    assert_eq!(targets.len(), 1);
    targets.remove(0)
}

#[test]
fn what_was_ever_published_is_the_beginning_of_what_comes_next() {
    let (plan, chunks, audio) = led();
    let all = Made {
        chunks: chunks.clone(),
        audio: audio.clone(),
        subtitles: Vec::new(),
    };
    let mut versions = Vec::new();
    for (pieces, runs) in [(1, 1), (2, 1), (2, 2), (3, 2)] {
        let made = Made {
            chunks: chunks[..pieces].to_vec(),
            audio: audio[..runs].to_vec(),
            subtitles: Vec::new(),
        };
        let growing = package_growing(&plan, &made).unwrap().unwrap();
        versions.push((growing.segments, growing.playlists));
    }
    let whole = package(&plan, &all).unwrap().playlists;
    assert_eq!(
        listed(&versions[3].1),
        listed(&whole),
        "nothing is missing from the last one"
    );
    versions.push((i64::MAX, whole));
    for pair in versions.windows(2) {
        assert!(pair[0].0 < pair[1].0, "more segments");
        assert_eq!(target(&pair[0].1), target(&pair[1].1));
        let next = listed(&pair[1].1);
        for (name, entries) in listed(&pair[0].1) {
            let (_, more) = next.iter().find(|(other, _)| *other == name).unwrap();
            assert!(
                more.starts_with(&entries),
                "{name}: {entries} is not the beginning of {more}"
            );
        }
    }
}

#[test]
fn a_rung_is_listed_once_it_has_caught_up() {
    let (plan, chunks, audio) = led();
    let playlists = |chunks: &[ChunkPieces]| {
        let made = Made {
            chunks: chunks.to_vec(),
            audio: audio.clone(),
            subtitles: Vec::new(),
        };
        let growing = package_growing(&plan, &made).unwrap().unwrap();
        let playable = growing.renditions.iter().filter(|info| !info.playlist.is_empty());
        assert_eq!(growing.renditions.len(), 3);
        playable.map(|info| info.name.clone()).collect::<Vec<_>>()
    };
    assert_eq!(playlists(&chunks[..1]), ["90p", "audio"]);
    assert_eq!(
        playlists(&chunks[..2]),
        ["90p", "audio"],
        "of 180p the first chunk is missing"
    );
    assert_eq!(playlists(&chunks), ["180p", "90p", "audio"]);
}

#[test]
fn nothing_is_published_before_picture_and_sound_begin() {
    let (mut plan, chunks, audio) = led();
    let growing = |plan: &Plan, chunks: &[ChunkPieces], audio: &[RunPieces]| {
        let made = Made {
            chunks: chunks.to_vec(),
            audio: audio.to_vec(),
            subtitles: Vec::new(),
        };
        package_growing(plan, &made).unwrap()
    };
    assert_eq!(growing(&plan, &chunks, &audio[1..]), None, "the first run is missing");
    assert_eq!(
        growing(&plan, &chunks[1..], &audio),
        None,
        "the first chunk of the smallest rung is missing"
    );
    assert_eq!(growing(&plan, &[], &audio), None);
    plan.audios.clear();
    let silent = growing(&plan, &chunks[..1], &[]).unwrap();
    assert_eq!(silent.segments, 2);
    let (mut plan, _, audio) = led();
    plan.video = None;
    assert_eq!(growing(&plan, &[], &audio[..1]).unwrap().segments, 3, "sound alone");
}

/// Somebody's plan may be older than what others made since it grew.
#[test]
fn what_an_older_plan_does_not_know_waits() {
    let (mut plan, chunks, audio) = led();
    let made = Made {
        chunks: chunks.clone(),
        audio: audio.clone(),
        subtitles: Vec::new(),
    };
    plan.video.as_mut().unwrap().chunks.pop();
    plan.audios[0].runs.pop();
    assert_eq!(package_growing(&plan, &made).unwrap().unwrap().segments, 2 + 2 + 3);
}
