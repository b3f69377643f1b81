//! One rendition, joined from the pieces of all its tasks.

use std::{iter, time::Duration};

use reelway_domain::{Failure, RungSize};

use super::{ChunkPieces, Piece, PieceSet, RunPieces, inconsistent};
use crate::{AudioPlan, ChunkPlan, SegmentPlan, TICKS_PER_SECOND, VideoPlan};

/// The pieces of a rendition, without holes in time.
#[derive(Debug)]
pub(super) struct Joined<'a> {
    /// What describes every piece of the rendition; its own pieces are those of one task.
    pub(super) set: &'a PieceSet,
    pub(super) spans: Vec<Span<'a>>,
}

/// A stretch of time.
#[derive(Debug, Clone, Copy)]
pub(super) struct Span<'a> {
    /// From time 0 on, rounded to microseconds, so that the durations add up without drift.
    pub(super) start: Duration,
    pub(super) duration: Duration,
    /// What is shown; `None` if it could not be decoded.
    pub(super) piece: Option<&'a Piece>,
}

/// What there is of each rung: by the rung's place, then by the chunk's.
pub(super) struct ByRung<'a>(Vec<Vec<Option<&'a PieceSet>>>);

impl<'a> ByRung<'a> {
    /// Puts the pieces of chunks in order, whichever tasks made them.
    ///
    /// # Errors
    /// [`reelway_domain::Reason::Internal`] if there are pieces that the plan doesn't know, or the same twice.
    pub(super) fn of(plan: &VideoPlan, chunks: impl IntoIterator<Item = &'a ChunkPieces>) -> Result<Self, Failure> {
        let mut rungs = vec![vec![None; plan.chunks.len()]; plan.rungs.len()];
        for made in chunks {
            for set in &made.renditions {
                let (name, chunk) = (&set.rendition, made.chunk);
                let rung = plan.rungs.iter().position(|rung| rung.name == *name);
                let slot = rung.and_then(|rung| rungs[rung].get_mut(chunk as usize));
                let unplanned = || inconsistent(format!("{name} of chunk {chunk} was not planned"));
                if slot.ok_or_else(unplanned)?.replace(set).is_some() {
                    return Err(inconsistent(format!("{name} of chunk {chunk} is there twice")));
                }
            }
        }
        Ok(Self(rungs))
    }

    /// The pieces of a rung from the first chunk on, as far as none is missing.
    pub(super) fn prefix(&self, rung: usize) -> Vec<&'a PieceSet> {
        self.0
            .get(rung)
            .map_or_else(Vec::new, |chunks| chunks.iter().map_while(|set| *set).collect())
    }

    /// Joins all chunks of each rung, in the plan's order.
    ///
    /// # Errors
    /// [`reelway_domain::Reason::Internal`] if one is missing, or if they don't fit.
    pub(super) fn join(&self, plan: &VideoPlan) -> Result<Vec<Joined<'a>>, Failure> {
        let joined = plan.rungs.iter().enumerate().map(|(place, rung)| {
            let sets = self.prefix(place);
            if sets.len() < plan.chunks.len() {
                return Err(inconsistent(format!("{} lacks chunk {}", rung.name, sets.len())));
            }
            self::rung(plan, rung, &sets)
        });
        let joined = joined.collect::<Result<Vec<_>, _>>()?;
        check_aligned(&joined.iter().collect::<Vec<_>>())?;
        Ok(joined)
    }
}

/// Joins the first chunks of a rung.
///
/// # Errors
/// [`reelway_domain::Reason::Internal`] if they don't fit.
pub(super) fn rung<'a>(plan: &VideoPlan, rung: &RungSize, sets: &[&'a PieceSet]) -> Result<Joined<'a>, Failure> {
    // A chunk of which nothing could be decoded has nothing to say about the others.
    let Some(first) = sets.iter().find(|set| !set.pieces.is_empty()).or(sets.first()) else {
        return Err(inconsistent("the plan has no chunks"));
    };
    if (first.width, first.height) != (rung.width, rung.height) {
        return Err(inconsistent(format!(
            "{} is {}x{} pixels large",
            rung.name, first.width, first.height
        )));
    }
    let mut spans = Vec::new();
    for (set, chunk) in sets.iter().zip(&plan.chunks) {
        check_set(set, first)?;
        spans.extend(chunk_spans(set, chunk)?);
    }
    Ok(Joined { set: first, spans })
}

/// Players switch between rungs at segment starts. What one rung has more than another at the end doesn't matter here.
///
/// # Errors
/// [`reelway_domain::Reason::Internal`] if segments start at different times.
pub(super) fn check_aligned(rungs: &[&Joined<'_>]) -> Result<(), Failure> {
    let same = |(a, b): (&Span<'_>, &Span<'_>)| (a.start, a.duration) == (b.start, b.duration);
    let aligned = |pair: &[&Joined<'_>]| pair[0].spans.iter().zip(&pair[1].spans).all(same);
    if rungs.windows(2).all(aligned) {
        Ok(())
    } else {
        Err(inconsistent("segments start at different times in different rungs"))
    }
}

/// The runs of a track from the first one on, as far as none is missing.
///
/// # Errors
/// [`reelway_domain::Reason::Internal`] if there are pieces that the plan doesn't know, or the same twice.
pub(super) fn run_prefix<'a>(
    plan: &AudioPlan,
    track: usize,
    made: impl IntoIterator<Item = &'a RunPieces>,
) -> Result<Vec<&'a PieceSet>, Failure> {
    let mut runs = vec![None; plan.runs.len()];
    for made in made.into_iter().filter(|made| made.track == track) {
        let (name, run) = (&plan.name, made.run);
        let unplanned = || inconsistent(format!("run {run} of {name} was not planned"));
        let slot = runs.get_mut(run).filter(|_| made.pieces.rendition == *name);
        if slot.ok_or_else(unplanned)?.replace(&made.pieces).is_some() {
            return Err(inconsistent(format!("run {run} of {name} is there twice")));
        }
    }
    Ok(runs.into_iter().map_while(|set| set).collect())
}

/// Joins runs of an audio track; `None` if there is no sound in them. What a run lacks is a gap.
///
/// # Errors
/// [`reelway_domain::Reason::Internal`] if they don't fit.
pub(super) fn audio<'a>(sets: &[&'a PieceSet]) -> Result<Option<Joined<'a>>, Failure> {
    let Some(&first) = sets.iter().find(|set| !set.pieces.is_empty()) else {
        return Ok(None);
    };
    if first.timescale == 0 {
        return Err(inconsistent(format!("{} has no timescale", first.rendition)));
    }
    let (mut spans, mut end) = (Vec::new(), 0);
    for set in sets {
        check_set(set, first)?;
        let start = set.pieces.first().map_or(end, |piece| piece.start);
        if start > end {
            spans.push(span(end, start - end, first.timescale, None));
        }
        let (run, run_end) = contiguous(set, start.max(end))?;
        spans.extend(run);
        end = run_end;
    }
    Ok(Some(Joined { set: first, spans }))
}

/// Checks that a set can share the init section of the rendition's first.
fn check_set(set: &PieceSet, first: &PieceSet) -> Result<(), Failure> {
    let shared = |set: &PieceSet| (set.init_sha256.clone(), set.codec.clone(), set.timescale);
    if !set.pieces.is_empty() && shared(set) != shared(first) {
        return Err(inconsistent(format!(
            "the init sections of {} differ between its parts",
            set.rendition
        )));
    }
    let keys = iter::once(&set.init_key).chain(set.pieces.iter().map(|piece| &piece.key));
    match keys.into_iter().find(|key| !is_plain(key)) {
        None => Ok(()),
        Some(key) => Err(inconsistent(format!("{key:?} can't be the name of a piece"))),
    }
}

/// Whether a key can stand in a playlist and a URL as it is.
pub(super) fn is_plain(key: &str) -> bool {
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-' | b'/');
    !key.is_empty() && key.bytes().all(plain) && !key.contains("..")
}

fn chunk_spans<'a>(set: &'a PieceSet, chunk: &ChunkPlan) -> Result<Vec<Span<'a>>, Failure> {
    if i64::from(set.timescale) != TICKS_PER_SECOND {
        return Err(inconsistent(format!(
            "{} has another timescale than planned",
            set.rendition
        )));
    }
    let (Some(first), Some(last)) = (chunk.segments.first(), chunk.segments.last()) else {
        return Err(inconsistent("the plan has a chunk without segments"));
    };
    if set.pieces.is_empty() {
        let gap = |s: &SegmentPlan| span(s.start_ticks, s.duration_ticks, set.timescale, None);
        return Ok(chunk.segments.iter().map(gap).collect());
    }
    let (spans, end) = contiguous(set, first.start_ticks)?;
    if end != last.start_ticks + last.duration_ticks {
        let (name, place) = (&set.rendition, first.number);
        return Err(inconsistent(format!(
            "the chunk of {name} from segment {place} on ends at {end}"
        )));
    }
    Ok(spans)
}

/// The pieces as spans, and where they end; if each starts where the one before it ends.
fn contiguous(set: &PieceSet, start: i64) -> Result<(Vec<Span<'_>>, i64), Failure> {
    let mut end = start;
    for piece in &set.pieces {
        if piece.start != end || piece.start < 0 || piece.duration <= 0 {
            return Err(inconsistent(format!(
                "{} starts at {} instead of {end}",
                piece.key, piece.start
            )));
        }
        end = end.saturating_add(piece.duration);
    }
    let spans = set
        .pieces
        .iter()
        .map(|piece| span(piece.start, piece.duration, set.timescale, Some(piece)));
    Ok((spans.collect(), end))
}

fn span<'a>(start: i64, duration: i64, timescale: u32, piece: Option<&'a Piece>) -> Span<'a> {
    let (start, end) = (
        micros(start, timescale),
        micros(start.saturating_add(duration), timescale),
    );
    Span {
        start,
        duration: end.saturating_sub(start),
        piece,
    }
}

/// Ticks from 0 on as a time in whole microseconds.
fn micros(ticks: i64, timescale: u32) -> Duration {
    let micros = u128::from(ticks.unsigned_abs()) * 1_000_000 / u128::from(timescale);
    Duration::from_micros(u64::try_from(micros).unwrap_or(u64::MAX))
}
