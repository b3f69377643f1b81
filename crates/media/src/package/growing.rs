//! Publishing while the rest is still being made.

use reelway_domain::{Failure, RenditionInfo};

use super::{
    Listing, Made, PlaylistFile, check, describe,
    joined::{self, ByRung, Joined},
    lists, planned_target_s,
};
use crate::{AudioPlan, Plan, VideoPlan, playlist::PlaylistKind};

/// What players may see already.
#[derive(Debug, Clone, PartialEq)]
pub struct Growing {
    /// The playlists, of which the media playlists will grow (`EVENT`); the multivariant one last.
    pub playlists: Vec<PlaylistFile>,
    /// What will be made, in the order of the plan. What can be played already has the name of its playlist, and what was
    /// measured so far.
    pub renditions: Vec<RenditionInfo>,
    /// How many segments all media playlists hold together. More is made of more: of two such packages of one plan, the one
    /// with more segments has everything that is in the other.
    pub segments: i64,
}

/// Joins what is there from the start on, without a hole, to playlists. `None` if that is not enough to begin to play: the
/// first chunk of the smallest rung, and the first run of each audio track. No I/O.
///
/// The other rungs are listed once they have caught up with what was encoded ahead. What is listed stays listed, because it
/// depends on nothing but on what was made.
///
/// # Errors
/// [`reelway_domain::Reason::Internal`] if pieces don't fit together or a playlist breaks a rule.
pub fn package_growing(plan: &Plan, made: &Made) -> Result<Option<Growing>, Failure> {
    let video = match &plan.video {
        Some(planned) => caught_up(planned, made)?,
        None => Vec::new(),
    };
    let Some(audio) = begun(plan, made)? else {
        return Ok(None);
    };
    if if plan.video.is_some() {
        video.is_empty()
    } else {
        audio.is_empty()
    } {
        return Ok(None);
    }
    let rungs = plan.video.iter().flat_map(|video| &video.rungs);
    let mut listing = Listing {
        plan,
        kind: PlaylistKind::Event,
        target_s: 0,
        video: rungs
            .zip(video)
            .filter_map(|(rung, joined)| Some((rung, joined?)))
            .collect(),
        audio,
        subtitles: Vec::new(),
    };
    listing.target_s = planned_target_s(plan).max(listing.longest_s());
    let playlists = lists::write(&listing);
    check(&playlists)?;
    let segments: usize = listing.joined().map(|joined| joined.spans.len()).sum();
    Ok(Some(Growing {
        playlists,
        renditions: describe::all(&listing),
        segments: i64::try_from(segments).unwrap_or(i64::MAX),
    }))
}

/// Each rung that can be listed, by its place; empty if the smallest can't.
fn caught_up<'a>(plan: &'a VideoPlan, made: &'a Made) -> Result<Vec<Option<Joined<'a>>>, Failure> {
    // The plan may have grown since somebody read it; what was made of the rest counts the next time.
    let known = made
        .chunks
        .iter()
        .filter(|made| (made.chunk as usize) < plan.chunks.len());
    let rungs = ByRung::of(plan, known)?;
    let mut listed = Vec::new();
    for (place, rung) in plan.rungs.iter().enumerate() {
        let sets = rungs.prefix(place);
        let is_smallest = place + 1 == plan.rungs.len();
        let enough = if is_smallest { 1 } else { plan.lead_chunks.max(1) };
        let can_play = sets.len() >= enough && sets.iter().any(|set| !set.pieces.is_empty());
        listed.push(if can_play {
            Some(joined::rung(plan, rung, &sets)?)
        } else {
            None
        });
    }
    if listed.last().is_none_or(Option::is_none) {
        return Ok(Vec::new());
    }
    let pairs: Vec<&Joined<'_>> = listed.iter().flatten().collect();
    joined::check_aligned(&pairs)?;
    Ok(listed)
}

/// The tracks that have sound so far; `None` if one has not even been begun: players learn only once which tracks there are.
fn begun<'a>(plan: &'a Plan, made: &'a Made) -> Result<Option<Vec<(&'a AudioPlan, Joined<'a>)>>, Failure> {
    let mut tracks = Vec::new();
    for (track, planned) in plan.audios.iter().enumerate() {
        let known = made.audio.iter().filter(|made| made.run < planned.runs.len());
        let sets = joined::run_prefix(planned, track, known)?;
        if sets.is_empty() {
            return Ok(None);
        }
        tracks.extend(joined::audio(&sets)?.map(|joined| (planned, joined)));
    }
    Ok(Some(tracks))
}
