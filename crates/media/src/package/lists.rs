//! The HLS playlists of a package.

use std::{collections::BTreeSet, time::Duration};

use reelway_domain::RungSize;

use super::{
    Listing, MASTER_PLAYLIST, PlaylistFile,
    describe::bytes,
    joined::{Joined, Span},
    rates::measure,
};
use crate::{
    AudioPlan, TICKS_PER_SECOND, VideoPlan,
    playlist::{
        Alternative, Bandwidth, ByteSize, Entry, Group, IFrames, MediaPlaylist, MultivariantPlaylist, Picture,
        PlaylistKind, Variant, VideoRange,
    },
};

/// A player starts with the variant nearest to this, in bits a second (HLS authoring specification, 1.32).
const FIRST_VARIANT_BITRATE: u64 = 2_000_000;

/// Writes all playlists, the multivariant one last.
pub(super) fn write(listing: &Listing<'_>) -> Vec<PlaylistFile> {
    let mut playlists: Vec<PlaylistFile> = listing.joined().map(|joined| segments(listing, joined)).collect();
    playlists.extend(listing.video.iter().map(|(_, joined)| keyframes(listing, joined)));
    playlists.extend(texts(listing));
    playlists.push(PlaylistFile {
        name: MASTER_PLAYLIST.to_owned(),
        text: multivariant(listing).to_string(),
    });
    playlists
}

/// The name of a rendition's media playlist.
pub(super) fn segments_name(rendition: &str) -> String {
    format!("{rendition}.m3u8")
}

fn keyframes_name(rendition: &str) -> String {
    format!("{rendition}-iframes.m3u8")
}

/// Where the edge serves a piece, relative to the playlists.
pub(super) fn uri(key: &str) -> String {
    format!("c/{key}")
}

fn multivariant(listing: &Listing<'_>) -> MultivariantPlaylist {
    // Of the audio, whichever track a player takes must fit (RFC 8216, 4.3.4.2).
    let mut loudest = Bandwidth::default();
    for (_, joined) in &listing.audio {
        let own = measure(&joined.spans, listing.target_s, bytes);
        loudest.peak = loudest.peak.max(own.peak);
        loudest.average = loudest.average.max(own.average);
    }
    let codecs: BTreeSet<&str> = listing
        .audio
        .iter()
        .map(|(_, joined)| joined.set.codec.as_str())
        .collect();
    let codecs: String = codecs.iter().map(|codec| format!(",{codec}")).collect();
    let mut variants: Vec<Variant> = Vec::new();
    if let Some(planned) = &listing.plan.video {
        let with_audio = listing.video.iter().map(|(rung, joined)| {
            let own = video_variant(listing, planned, rung, joined);
            Variant {
                bandwidth: own.bandwidth + loudest,
                codecs: format!("{}{codecs}", own.codecs),
                ..own
            }
        });
        variants.extend(with_audio);
        begin_in_the_middle(&mut variants);
    } else if let Some((_, joined)) = listing.audio.first() {
        variants.push(Variant {
            uri: segments_name(&joined.set.rendition),
            bandwidth: loudest,
            codecs: joined.set.codec.clone(),
            picture: None,
            iframes: None,
        });
    }
    // Sound alone with one track is a variant; more tracks make a group, of which the first is the variant too.
    let is_group = listing.plan.video.is_some() || listing.audio.len() > 1;
    MultivariantPlaylist {
        audio: if is_group { audio_group(listing) } else { Vec::new() },
        subtitles: subtitle_group(listing),
        variants,
    }
}

fn video_variant(listing: &Listing<'_>, planned: &VideoPlan, rung: &RungSize, joined: &Joined<'_>) -> Variant {
    let mut bandwidth = measure(&joined.spans, listing.target_s, bytes);
    if listing.kind == PlaylistKind::Event {
        // What will come may be larger than what was measured so far.
        bandwidth.peak = bandwidth.peak.max(rung.bitrate_max.into());
    }
    Variant {
        uri: segments_name(&rung.name),
        bandwidth,
        codecs: joined.set.codec.clone(),
        picture: Some(picture(rung, planned)),
        iframes: Some(IFrames {
            uri: keyframes_name(&rung.name),
            codecs: joined.set.codec.clone(),
            bandwidth: measure(&joined.spans, listing.target_s, keyframe_bytes),
        }),
    }
}

/// Moves the variant that a player should start with to the front; the rest stays in descending order.
fn begin_in_the_middle(variants: &mut [Variant]) {
    // What only some screens show is nothing to begin with.
    let is_sdr = |v: &Variant| v.picture.is_none_or(|picture| picture.range == VideoRange::Sdr);
    let distance = |v: &Variant| (!is_sdr(v), v.bandwidth.average.abs_diff(FIRST_VARIANT_BITRATE));
    if let Some((first, _)) = variants.iter().enumerate().min_by_key(|(_, v)| distance(v)) {
        variants[..=first].rotate_right(1);
    }
}

fn audio_group(listing: &Listing<'_>) -> Vec<Alternative> {
    let tracks = listing.audio.iter().map(|(planned, _)| *planned);
    let languages: Vec<&str> = tracks.clone().map(|planned| planned.language.as_str()).collect();
    let alternative = |(place, planned): (usize, &AudioPlan)| Alternative {
        group: Group::Audio {
            channels: planned.channels,
        },
        name: track_name(&languages, place),
        language: language(&planned.language).to_owned(),
        is_default: place == 0,
        auto_select: !languages[..place].contains(&languages[place]),
        uri: segments_name(&planned.name),
    };
    tracks.enumerate().map(alternative).collect()
}

fn subtitle_group(listing: &Listing<'_>) -> Vec<Alternative> {
    let tracks = || listing.subtitles.iter().map(|(planned, _)| *planned);
    let languages: Vec<&str> = tracks().map(|planned| planned.language.as_str()).collect();
    // Two tracks of which a player could choose either must differ in what it chooses by (RFC 8216, 4.3.4.1.1).
    let choices: Vec<(&str, bool)> = tracks()
        .map(|planned| (planned.language.as_str(), planned.forced))
        .collect();
    // No more than one of a group (RFC 8216, 4.3.4.1). A forced one is chosen by its language, and is not what people read.
    let default = tracks().position(|planned| planned.default && !planned.forced);
    let chosen = |place: usize| match default {
        Some(default) if choices[default] == choices[place] => default == place,
        _ => !choices[..place].contains(&choices[place]),
    };
    let alternative = |(place, planned): (usize, &crate::SubtitlePlan)| Alternative {
        group: Group::Subtitles { forced: planned.forced },
        name: track_name(&languages, place),
        language: language(&planned.language).to_owned(),
        is_default: default == Some(place),
        auto_select: chosen(place),
        uri: segments_name(&planned.name),
    };
    tracks().enumerate().map(alternative).collect()
}

/// The language as BCP 47 names it, also where none is known.
pub(super) fn language(language: &str) -> &str {
    if language.is_empty() { "und" } else { language }
}

/// What a player shows of a track: its language, with a number from the second one of a language on.
pub(super) fn track_name(languages: &[&str], place: usize) -> String {
    let own = language(languages[place]);
    let before = languages[..place].iter().filter(|other| language(other) == own).count();
    if before == 0 {
        own.to_owned()
    } else {
        format!("{own} {}", before + 1)
    }
}

fn segments(listing: &Listing<'_>, joined: &Joined<'_>) -> PlaylistFile {
    let name = segments_name(&joined.set.rendition);
    media_playlist(name, listing, joined, false, |_| ByteSize::Whole)
}

fn keyframes(listing: &Listing<'_>, joined: &Joined<'_>) -> PlaylistFile {
    let name = keyframes_name(&joined.set.rendition);
    media_playlist(name, listing, joined, true, |span| match span.piece {
        Some(_) => ByteSize::First(keyframe_bytes(span)),
        None => ByteSize::Whole,
    })
}

fn media_playlist(
    name: String,
    listing: &Listing<'_>,
    joined: &Joined<'_>,
    keyframes_only: bool,
    size: impl Fn(&Span<'_>) -> ByteSize,
) -> PlaylistFile {
    let entry = |span: &Span<'_>| Entry {
        uri: span.piece.map(|piece| uri(&piece.key)),
        duration: span.duration,
        size: size(span),
    };
    let playlist = MediaPlaylist {
        kind: listing.kind,
        target_s: listing.target_s,
        init_uri: Some(uri(&joined.set.init_key)),
        keyframes_only,
        entries: joined.spans.iter().map(entry).collect(),
    };
    PlaylistFile {
        name,
        text: playlist.to_string(),
    }
}

/// Each text track is one file as long as everything else.
fn texts(listing: &Listing<'_>) -> impl Iterator<Item = PlaylistFile> {
    let duration = listing.duration();
    listing.subtitles.iter().map(move |(planned, made)| {
        let playlist = MediaPlaylist {
            kind: listing.kind,
            target_s: (duration + Duration::from_millis(999)).as_secs().max(1),
            init_uri: None,
            keyframes_only: false,
            entries: vec![Entry {
                uri: Some(uri(&made.key)),
                duration,
                size: ByteSize::Whole,
            }],
        };
        PlaylistFile {
            name: segments_name(&planned.name),
            text: playlist.to_string(),
        }
    })
}

fn keyframe_bytes(span: &Span<'_>) -> u64 {
    span.piece
        .map_or(0, |piece| piece.keyframe_bytes.unwrap_or(piece.bytes))
}

fn picture(rung: &RungSize, plan: &VideoPlan) -> Picture {
    Picture {
        width: rung.width,
        height: rung.height,
        frame_rate: frame_rate(plan),
        range: range(rung, plan),
    }
}

/// The average number of frames a second.
#[expect(
    clippy::cast_precision_loss,
    reason = "counts of frames and ticks stay far below 2^52"
)]
pub(super) fn frame_rate(plan: &VideoPlan) -> f64 {
    let segments = || plan.chunks.iter().flat_map(|chunk| &chunk.segments);
    let frames: i64 = segments().map(|s| s.frames).sum();
    let ticks: i64 = segments().map(|s| s.duration_ticks).sum();
    frames as f64 * TICKS_PER_SECOND as f64 / ticks.max(1) as f64
}

/// What a rung keeps of its source's range.
pub(super) fn range(rung: &RungSize, plan: &VideoPlan) -> VideoRange {
    match plan.colour.transfer.as_str() {
        "smpte2084" if rung.hdr => VideoRange::Pq,
        "arib-std-b67" if rung.hdr => VideoRange::Hlg,
        _ => VideoRange::Sdr,
    }
}
