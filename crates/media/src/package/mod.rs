//! Publishing: checks that the pieces of all tasks make one whole, and writes the playlists.

mod damage;
mod describe;
mod growing;
mod joined;
mod lists;
mod manifest;
mod pieces;
mod rates;
#[cfg(test)]
mod tests;

use std::time::Duration;

use reelway_domain::{Failure, Reason, RenditionInfo, RungSize};

pub use growing::{Growing, package_growing};
pub use pieces::{AudioPieces, ChunkPieces, Made, Piece, PieceSet, RunPieces, SubtitlePieces};

use self::joined::Joined;
use crate::{
    AudioPlan, Plan, SubtitlePlan,
    playlist::{self, MediaPlaylist, PlaylistKind},
};

/// The name of the playlist that players open.
pub const MASTER_PLAYLIST: &str = "master.m3u8";
/// The name of the DASH manifest.
pub const MANIFEST: &str = "manifest.mpd";
/// The name of the first audio rendition.
pub const AUDIO_RENDITION: &str = "audio";

/// A job that can be published whole.
#[derive(Debug, Clone, PartialEq)]
pub struct Package {
    /// The playlists and the manifest, the multivariant playlist last: whoever writes them in this order publishes nothing
    /// unfinished.
    pub playlists: Vec<PlaylistFile>,
    /// What a player can choose, video largest first, then audio, then text.
    pub renditions: Vec<RenditionInfo>,
    /// How many video frames the plan has.
    pub frames_planned: i64,
    /// How many of them could not be decoded, in the rendition that lacks most.
    pub frames_missing: i64,
}

/// The text of one playlist or manifest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlaylistFile {
    /// The name below `/play/{job}/`.
    pub name: String,
    /// What it holds.
    pub text: String,
}

/// What playlists are written of.
struct Listing<'a> {
    plan: &'a Plan,
    kind: PlaylistKind,
    /// The target duration of all media playlists, in seconds.
    target_s: u64,
    /// The rungs that can be played, largest first.
    video: Vec<(&'a RungSize, Joined<'a>)>,
    /// The audio tracks that can be played, the default one first.
    audio: Vec<(&'a AudioPlan, Joined<'a>)>,
    subtitles: Vec<(&'a SubtitlePlan, &'a SubtitlePieces)>,
}

/// Joins all that was made to playlists. Pieces are named `c/` and their key there. No I/O.
///
/// A chunk of which nothing could be decoded becomes a gap (`EXT-X-GAP`), as long as the plan allows so much to be
/// missing.
///
/// # Errors
/// - [`Reason::SourceDamaged`] if more is missing than the plan allows, with the numbers in the metadata:
///   `missingFrames`, `frames` and `firstMissingSeconds` for video, `missingMs` and `durationMs` for audio.
/// - [`Reason::Internal`] if the pieces are not those of the plan: a chunk, a rung or a run is not there or there twice, init
///   sections differ, segments are not contiguous or differ between rungs; or if a playlist breaks a rule.
pub fn package(plan: &Plan, made: &Made) -> Result<Package, Failure> {
    let video = match &plan.video {
        Some(video) => joined::ByRung::of(video, &made.chunks)?.join(video)?,
        None if made.chunks.is_empty() => Vec::new(),
        None => return Err(inconsistent("there are chunks of a video that was not planned")),
    };
    let damage = match &plan.video {
        Some(planned) => damage::of_video(planned, &video)?,
        None => damage::VideoDamage::default(),
    };
    let audio = whole_audio(plan, &made.audio)?;
    if video.is_empty() && audio.is_empty() {
        return Err(Failure::new(
            Reason::SourceDamaged,
            "nothing of the source could be decoded",
        ));
    }
    let rungs = plan.video.iter().flat_map(|video| &video.rungs);
    let mut listing = Listing {
        plan,
        kind: PlaylistKind::Vod,
        target_s: 0,
        video: rungs.zip(video).collect(),
        audio,
        subtitles: subtitles(plan, &made.subtitles)?,
    };
    listing.target_s = planned_target_s(plan).max(listing.longest_s());
    let mut playlists = lists::write(&listing);
    playlists.insert(0, manifest::write(&listing));
    check(&playlists)?;
    Ok(Package {
        playlists,
        renditions: describe::all(&listing),
        frames_planned: damage.planned,
        frames_missing: damage.missing,
    })
}

impl<'a> Listing<'a> {
    /// Everything that consists of segments.
    fn joined(&self) -> impl Iterator<Item = &Joined<'a>> {
        let video = self.video.iter().map(|(_, joined)| joined);
        video.chain(self.audio.iter().map(|(_, joined)| joined))
    }

    /// The target duration that these segments need, in seconds.
    fn longest_s(&self) -> u64 {
        MediaPlaylist::target_s(self.joined().flat_map(|joined| &joined.spans).map(|span| span.duration))
    }

    /// How long the longest rendition is.
    fn duration(&self) -> Duration {
        let end = |joined: &Joined<'_>| joined.spans.last().map(|span| span.start + span.duration);
        self.joined().filter_map(end).max().unwrap_or_default()
    }
}

/// Audio segments begin at the frame nearest to where the video's begin, and a last one may hold one frame more: so much
/// longer than planned they can be.
const AUDIO_LONGER: Duration = Duration::from_millis(50);

/// The target duration that the plan's segments need, in seconds. It is told before they are made, and may not change after
/// that (RFC 8216, 6.2.1).
fn planned_target_s(plan: &Plan) -> u64 {
    let ms = |ms: i64| Duration::from_millis(ms.unsigned_abs());
    let video = plan.video.iter().flat_map(|video| &video.chunks);
    let video = video
        .flat_map(|chunk| &chunk.segments)
        .map(|segment| ms(crate::plan::ticks_to_ms(segment.duration_ticks) + 1));
    // After the video's last segment audio goes on by itself.
    let audio = plan
        .audios
        .iter()
        .map(|audio| ms(audio.duration_ms.min(plan.segment_ms)));
    let longer = if plan.audios.is_empty() {
        Duration::ZERO
    } else {
        AUDIO_LONGER
    };
    MediaPlaylist::target_s(video.chain(audio).map(|duration| duration + longer))
}

/// Joins all runs of every track that has sound.
fn whole_audio<'a>(plan: &'a Plan, made: &'a [RunPieces]) -> Result<Vec<(&'a AudioPlan, Joined<'a>)>, Failure> {
    if made.iter().any(|made| made.track >= plan.audios.len()) {
        return Err(inconsistent("there is audio that was not planned"));
    }
    let mut tracks = Vec::new();
    for (track, planned) in plan.audios.iter().enumerate() {
        let sets = joined::run_prefix(planned, track, made)?;
        if sets.len() < planned.runs.len() {
            return Err(inconsistent(format!("{} lacks run {}", planned.name, sets.len())));
        }
        let joined = joined::audio(&sets)?;
        let silenced_ms = sets.iter().map(|set| set.silenced_ms).sum();
        damage::check_audio(planned, joined.as_ref(), silenced_ms, plan.video.as_ref())?;
        // A track that is over before its first frame is none.
        tracks.extend(joined.map(|joined| (planned, joined)));
    }
    Ok(tracks)
}

/// The text tracks that have cues.
fn subtitles<'a>(
    plan: &'a Plan,
    made: &'a [SubtitlePieces],
) -> Result<Vec<(&'a SubtitlePlan, &'a SubtitlePieces)>, Failure> {
    let mut tracks = Vec::new();
    for planned in &plan.subtitles {
        let mut own = made.iter().filter(|made| made.rendition == planned.name);
        let (Some(made), None) = (own.next(), own.next()) else {
            return Err(inconsistent(format!("{} is not there once", planned.name)));
        };
        if !joined::is_plain(&made.key) {
            return Err(inconsistent(format!("{:?} can't be the name of a file", made.key)));
        }
        if made.cues > 0 {
            tracks.push((planned, made));
        }
    }
    Ok(tracks)
}

/// Holds what will be published against the rules.
fn check(playlists: &[PlaylistFile]) -> Result<(), Failure> {
    let files = playlists.iter().filter(|file| file.name != MANIFEST);
    let files: Vec<(&str, &str)> = files.map(|file| (file.name.as_str(), file.text.as_str())).collect();
    let violations = playlist::violations(MASTER_PLAYLIST, &files);
    if violations.is_empty() {
        return Ok(());
    }
    Err(inconsistent(format!(
        "playlists break rules: {}",
        violations.join("; ")
    )))
}

/// Pieces that don't fit together: a defect, not the source's fault.
fn inconsistent(what: impl Into<String>) -> Failure {
    Failure::new(Reason::Internal, what)
}
