//! The playlists of a package and what is said about each rendition.

use reelway_domain::RenditionInfo;

use super::{
    MASTER_PLAYLIST, PlaylistFile,
    joined::{Joined, Span},
    rates::measure,
};
use crate::{
    AudioPlan, Plan, TICKS_PER_SECOND, VideoPlan,
    playlist::{
        AudioGroup, Bandwidth, ByteSize, Entry, IFrames, MediaPlaylist, MultivariantPlaylist, Picture, PlaylistKind,
        Variant,
    },
};

/// A player starts with the variant nearest to this, in bits a second (HLS authoring specification, 1.32).
const FIRST_VARIANT_BITRATE: u64 = 2_000_000;

type Audio<'p, 'a> = (&'p AudioPlan, Joined<'a>);

/// Writes all playlists, the multivariant one last, and describes the renditions.
pub(super) fn write(
    plan: &Plan,
    video: &[Joined<'_>],
    audio: Option<&Audio<'_, '_>>,
) -> (Vec<PlaylistFile>, Vec<RenditionInfo>) {
    let all = || video.iter().chain(audio.map(|(_, joined)| joined));
    let target_s = MediaPlaylist::target_s(all().flat_map(|joined| &joined.spans).map(|span| span.duration));
    let mut playlists: Vec<PlaylistFile> = all().map(|joined| segments(joined, target_s)).collect();
    playlists.extend(video.iter().map(|joined| keyframes(joined, target_s)));
    let renditions: Vec<RenditionInfo> = all().map(|joined| describe(joined, target_s)).collect();

    let audio_info = renditions.get(video.len());
    let rate = |info: &RenditionInfo| Bandwidth {
        peak: info.bitrate_peak.unsigned_abs(),
        average: info.bitrate_average.unsigned_abs(),
    };
    let variant = |(info, joined): (&RenditionInfo, &Joined<'_>)| Variant {
        uri: info.playlist.clone(),
        bandwidth: audio_info.map_or(rate(info), |audio| rate(info) + rate(audio)),
        codecs: audio_info.map_or(info.codecs.clone(), |audio| format!("{},{}", info.codecs, audio.codecs)),
        picture: plan.video.as_ref().map(|video| picture(info, video)),
        iframes: Some(IFrames {
            uri: keyframes_name(joined),
            codecs: info.codecs.clone(),
            bandwidth: measure(&joined.spans, target_s, keyframe_bytes),
        }),
    };
    let mut variants: Vec<Variant> = renditions.iter().zip(video).map(variant).collect();
    begin_in_the_middle(&mut variants);
    let mut group = audio_info.zip(audio).map(|(info, (planned, _))| AudioGroup {
        uri: info.playlist.clone(),
        channels: planned.channels,
    });
    if video.is_empty() {
        group = None;
        variants.extend(audio_info.map(|info| Variant {
            uri: info.playlist.clone(),
            bandwidth: rate(info),
            codecs: info.codecs.clone(),
            picture: None,
            iframes: None,
        }));
    }
    let master = MultivariantPlaylist { audio: group, variants };
    playlists.push(PlaylistFile {
        name: MASTER_PLAYLIST.to_owned(),
        text: master.to_string(),
    });
    (playlists, renditions)
}

/// Moves the variant that a player should start with to the front; the rest stays in descending order.
fn begin_in_the_middle(variants: &mut [Variant]) {
    let distance = |v: &Variant| v.bandwidth.average.abs_diff(FIRST_VARIANT_BITRATE);
    if let Some((first, _)) = variants.iter().enumerate().min_by_key(|(_, v)| distance(v)) {
        variants[..=first].rotate_right(1);
    }
}

fn segments(joined: &Joined<'_>, target_s: u64) -> PlaylistFile {
    let name = segments_name(joined);
    media_playlist(name, joined, target_s, false, |_| ByteSize::Whole)
}

fn keyframes(joined: &Joined<'_>, target_s: u64) -> PlaylistFile {
    let name = keyframes_name(joined);
    media_playlist(name, joined, target_s, true, |span| match span.piece {
        Some(_) => ByteSize::First(keyframe_bytes(span)),
        None => ByteSize::Whole,
    })
}

fn segments_name(joined: &Joined<'_>) -> String {
    format!("{}.m3u8", joined.set.rendition)
}

fn keyframes_name(joined: &Joined<'_>) -> String {
    format!("{}-iframes.m3u8", joined.set.rendition)
}

fn media_playlist(
    name: String,
    joined: &Joined<'_>,
    target_s: u64,
    keyframes_only: bool,
    size: impl Fn(&Span<'_>) -> ByteSize,
) -> PlaylistFile {
    let entry = |span: &Span<'_>| Entry {
        uri: span.piece.map(|piece| uri(&piece.key)),
        duration: span.duration,
        size: size(span),
    };
    let playlist = MediaPlaylist {
        kind: PlaylistKind::Vod,
        target_s,
        init_uri: uri(&joined.set.init_key),
        keyframes_only,
        entries: joined.spans.iter().map(entry).collect(),
    };
    PlaylistFile {
        name,
        text: playlist.to_string(),
    }
}

/// Where the edge serves a piece, relative to the playlists.
fn uri(key: &str) -> String {
    format!("c/{key}")
}

fn bytes(span: &Span<'_>) -> u64 {
    span.piece.map_or(0, |piece| piece.bytes)
}

fn keyframe_bytes(span: &Span<'_>) -> u64 {
    span.piece
        .map_or(0, |piece| piece.keyframe_bytes.unwrap_or(piece.bytes))
}

fn describe(joined: &Joined<'_>, target_s: u64) -> RenditionInfo {
    let bandwidth = measure(&joined.spans, target_s, bytes);
    let signed = |rate: u64| i64::try_from(rate).unwrap_or(i64::MAX);
    RenditionInfo {
        name: joined.set.rendition.clone(),
        width: joined.set.width,
        height: joined.set.height,
        codecs: joined.set.codec.clone(),
        bitrate_average: signed(bandwidth.average),
        bitrate_peak: signed(bandwidth.peak),
        playlist: segments_name(joined),
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "counts of frames and ticks stay far below 2^52"
)]
fn picture(info: &RenditionInfo, plan: &VideoPlan) -> Picture {
    let segments = || plan.chunks.iter().flat_map(|chunk| &chunk.segments);
    let frames: i64 = segments().map(|s| s.frames).sum();
    let ticks: i64 = segments().map(|s| s.duration_ticks).sum();
    let frame_rate = frames as f64 * TICKS_PER_SECOND as f64 / ticks.max(1) as f64;
    Picture {
        width: info.width,
        height: info.height,
        frame_rate,
    }
}
