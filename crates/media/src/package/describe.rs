//! What is said about each rendition.

use reelway_domain::RenditionInfo;

use super::{
    Listing,
    joined::{Joined, Span},
    lists,
    rates::measure,
};
use crate::playlist::PlaylistKind;

/// The codec string of WebVTT (ISO/IEC 14496-30 names it so).
const TEXT_CODEC: &str = "wvtt";

/// All that the plan has, video largest first, then audio, then text. What is not listed yet has a name and no playlist.
pub(super) fn all(listing: &Listing<'_>) -> Vec<RenditionInfo> {
    let rungs = listing.plan.video.iter().flat_map(|video| &video.rungs);
    let video = rungs.map(|rung| {
        let own = listing.video.iter().find(|(listed, _)| listed.name == rung.name);
        let planned = RenditionInfo {
            name: rung.name.clone(),
            width: rung.width,
            height: rung.height,
            ..RenditionInfo::default()
        };
        own.map_or(planned, |(_, joined)| segments(joined, listing.target_s))
    });
    let audio = listing.audio.iter().map(|(planned, joined)| RenditionInfo {
        language: planned.language.clone(),
        ..segments(joined, listing.target_s)
    });
    let planned_text = listing.plan.subtitles.iter().filter_map(|planned| {
        let is_listed = listing.subtitles.iter().any(|(listed, _)| listed.name == planned.name);
        let described = RenditionInfo {
            name: planned.name.clone(),
            language: planned.language.clone(),
            ..RenditionInfo::default()
        };
        match listing.kind {
            _ if is_listed => Some(RenditionInfo {
                codecs: TEXT_CODEC.to_owned(),
                playlist: lists::segments_name(&planned.name),
                ..described
            }),
            PlaylistKind::Event => Some(described),
            // All is made, and it turned out to say nothing.
            PlaylistKind::Vod => None,
        }
    });
    video.chain(audio).chain(planned_text).collect()
}

fn segments(joined: &Joined<'_>, target_s: u64) -> RenditionInfo {
    let bandwidth = measure(&joined.spans, target_s, bytes);
    let signed = |rate: u64| i64::try_from(rate).unwrap_or(i64::MAX);
    RenditionInfo {
        name: joined.set.rendition.clone(),
        width: joined.set.width,
        height: joined.set.height,
        codecs: joined.set.codec.clone(),
        bitrate_average: signed(bandwidth.average),
        bitrate_peak: signed(bandwidth.peak),
        playlist: lists::segments_name(&joined.set.rendition),
        ..RenditionInfo::default()
    }
}

/// The size of a segment; gaps have none.
pub(super) fn bytes(span: &Span<'_>) -> u64 {
    span.piece.map_or(0, |piece| piece.bytes)
}
