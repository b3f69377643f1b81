//! The DASH manifest (ISO/IEC 23009-1) over the same pieces as the playlists.

use std::fmt::Write as _;

use reelway_domain::{RungSize, VideoCodec};

use super::{
    Listing, MANIFEST, PlaylistFile,
    describe::bytes,
    joined::{Joined, Span},
    lists::{frame_rate, language, range, track_name, uri},
    rates::measure,
};
use crate::{VideoPlan, playlist::VideoRange};

const HEAD: &str = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<MPD xmlns=\"urn:mpeg:dash:schema:mpd:2011\" \
                    profiles=\"urn:mpeg:dash:profile:isoff-main:2011\" type=\"static\"";
const ROLE: &str = "urn:mpeg:dash:role:2011";
const CHANNELS: &str = "urn:mpeg:dash:23003:3:audio_channel_configuration:2011";
/// What a text track may take, in bits a second. The attribute must be there; nobody chooses by it.
const TEXT_BITRATE: u32 = 1000;

/// The manifest of what is whole: one period, an adaptation set for all rungs that a player may switch between, one for
/// each audio track, one for each text track. Every word in it is a number, a code or a key, so that nothing needs escaping.
pub(super) fn write(listing: &Listing<'_>) -> PlaylistFile {
    let mut out = HEAD.to_owned();
    let (duration, segment) = (listing.duration().as_secs_f64(), listing.target_s);
    out += &format!(
        " mediaPresentationDuration=\"PT{duration:.3}S\" minBufferTime=\"PT{segment}S\">\n<Period start=\"PT0S\">\n"
    );
    if let Some(plan) = &listing.plan.video {
        video(&mut out, listing, plan);
    }
    audio(&mut out, listing);
    text(&mut out, listing);
    out += "</Period>\n</MPD>\n";
    PlaylistFile {
        name: MANIFEST.to_owned(),
        text: out,
    }
}

/// A player switches within a set, so what needs another decoder or another screen has one of its own.
fn video(out: &mut String, listing: &Listing<'_>, plan: &VideoPlan) {
    let mut kinds: Vec<(VideoCodec, VideoRange)> = Vec::new();
    let kind = |rung: &RungSize| (rung.codec, range(rung, plan));
    for (rung, _) in &listing.video {
        if !kinds.contains(&kind(rung)) {
            kinds.push(kind(rung));
        }
    }
    for wanted in kinds {
        *out += "<AdaptationSet contentType=\"video\" mimeType=\"video/mp4\" segmentAlignment=\"true\" startWithSAP=\"1\">\n";
        *out += colour(wanted.1);
        for (rung, joined) in listing.video.iter().filter(|(rung, _)| kind(rung) == wanted) {
            let size = format!(
                "width=\"{}\" height=\"{}\" sar=\"1:1\" frameRate=\"{}\"",
                rung.width,
                rung.height,
                rate(frame_rate(plan))
            );
            representation(out, listing, joined, &size);
        }
        *out += "</AdaptationSet>\n";
    }
}

/// What a player must know to show a high range (ISO/IEC 23091-2); one that does not know it leaves the set alone.
fn colour(range: VideoRange) -> &'static str {
    match range {
        VideoRange::Sdr => "",
        VideoRange::Pq => {
            "<EssentialProperty schemeIdUri=\"urn:mpeg:mpegB:cicp:TransferCharacteristics\" value=\"16\"/>\n"
        }
        VideoRange::Hlg => {
            "<EssentialProperty schemeIdUri=\"urn:mpeg:mpegB:cicp:TransferCharacteristics\" value=\"18\"/>\n"
        }
    }
}

/// Frames a second as the schema has it: a whole number or a fraction.
#[expect(clippy::cast_possible_truncation, reason = "frame rates are small and not negative")]
fn rate(per_second: f64) -> String {
    let rounded = per_second.round();
    if (per_second - rounded).abs() < 0.0005 {
        format!("{rounded:.0}")
    } else {
        format!("{}/1000", (per_second * 1000.0).round() as i64)
    }
}

fn audio(out: &mut String, listing: &Listing<'_>) {
    let languages: Vec<&str> = listing.audio.iter().map(|(plan, _)| plan.language.as_str()).collect();
    for (place, (plan, joined)) in listing.audio.iter().enumerate() {
        let (code, name) = (language(&plan.language), track_name(&languages, place));
        let role = if place == 0 { "main" } else { "alternate" };
        *out += &format!(
            "<AdaptationSet contentType=\"audio\" mimeType=\"audio/mp4\" lang=\"{code}\" segmentAlignment=\"true\" \
             startWithSAP=\"1\">\n<AudioChannelConfiguration schemeIdUri=\"{CHANNELS}\" value=\"{}\"/>\n\
             <Label>{name}</Label>\n<Role schemeIdUri=\"{ROLE}\" value=\"{role}\"/>\n",
            plan.channels
        );
        let sampling = format!("audioSamplingRate=\"{}\"", joined.set.timescale);
        representation(out, listing, joined, &sampling);
        *out += "</AdaptationSet>\n";
    }
}

fn text(out: &mut String, listing: &Listing<'_>) {
    for (plan, made) in &listing.subtitles {
        let role = if plan.forced { "forced-subtitle" } else { "subtitle" };
        *out += &format!(
            "<AdaptationSet contentType=\"text\" mimeType=\"text/vtt\" lang=\"{}\">\n\
             <Role schemeIdUri=\"{ROLE}\" value=\"{role}\"/>\n\
             <Representation id=\"{}\" bandwidth=\"{TEXT_BITRATE}\"><BaseURL>{}</BaseURL></Representation>\n\
             </AdaptationSet>\n",
            language(&plan.language),
            plan.name,
            uri(&made.key)
        );
    }
}

fn representation(out: &mut String, listing: &Listing<'_>, joined: &Joined<'_>, attributes: &str) {
    let (set, bandwidth) = (joined.set, measure(&joined.spans, listing.target_s, bytes).peak);
    *out += &format!(
        "<Representation id=\"{}\" codecs=\"{}\" bandwidth=\"{bandwidth}\" {attributes}>\n\
         <SegmentList timescale=\"{}\">\n<Initialization sourceURL=\"{}\"/>\n",
        set.rendition,
        set.codec,
        set.timescale,
        uri(&set.init_key)
    );
    timeline(out, &joined.spans);
    for piece in joined.spans.iter().filter_map(|span| span.piece) {
        // Writing to a string can't fail.
        let _ = writeln!(out, "<SegmentURL media=\"{}\"/>", uri(&piece.key));
    }
    *out += "</SegmentList>\n</Representation>\n";
}

/// When each segment starts and how long it is, equal ones together. A gap is a jump to the next start.
fn timeline(out: &mut String, spans: &[Span<'_>]) {
    *out += "<SegmentTimeline>\n";
    let pieces: Vec<(i64, i64)> = spans
        .iter()
        .filter_map(|span| span.piece)
        .map(|piece| (piece.start, piece.duration))
        .collect();
    let like = |a: &(i64, i64), b: &(i64, i64)| a.1 == b.1 && a.0 + a.1 == b.0;
    for run in pieces.chunk_by(like) {
        let (start, duration) = run[0];
        let _ = match run.len() - 1 {
            0 => writeln!(out, "<S t=\"{start}\" d=\"{duration}\"/>"),
            more => writeln!(out, "<S t=\"{start}\" d=\"{duration}\" r=\"{more}\"/>"),
        };
    }
    *out += "</SegmentTimeline>\n";
}
