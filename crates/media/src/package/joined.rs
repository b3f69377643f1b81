//! One rendition, joined from the pieces of all chunks.

use std::{iter, time::Duration};

use reelway_domain::Failure;

use super::{AUDIO_RENDITION, ChunkPieces, Piece, PieceSet, inconsistent};
use crate::{ChunkPlan, SegmentPlan, TICKS_PER_SECOND, VideoPlan};

/// All pieces of a rendition, without holes in time.
#[derive(Debug)]
pub(super) struct Joined<'a> {
    /// What describes every piece of the rendition; its own pieces are those of one chunk.
    pub(super) set: &'a PieceSet,
    pub(super) spans: Vec<Span<'a>>,
}

/// A stretch of time.
#[derive(Debug, Clone, Copy)]
pub(super) struct Span<'a> {
    /// From the first piece's start on, rounded to microseconds, so that the durations add up without drift.
    pub(super) start: Duration,
    pub(super) duration: Duration,
    /// What is shown; `None` if it could not be decoded.
    pub(super) piece: Option<&'a Piece>,
}

/// Joins the chunks of each rung; one entry per rung, in the plan's order.
pub(super) fn video<'a>(plan: &VideoPlan, chunks: &'a [ChunkPieces]) -> Result<Vec<Joined<'a>>, Failure> {
    let in_order = in_order(plan, chunks)?;
    let mut rungs = Vec::new();
    for (place, rung) in plan.rungs.iter().enumerate() {
        let sets = in_order.iter().map(|chunk| match chunk.renditions.get(place) {
            Some(set) if set.rendition == rung.name && chunk.renditions.len() == plan.rungs.len() => Ok(set),
            _ => Err(inconsistent(format!(
                "chunk {} does not have the rungs of the plan",
                chunk.chunk
            ))),
        });
        let sets = sets.collect::<Result<Vec<_>, _>>()?;
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
        rungs.push(Joined { set: first, spans });
    }
    let times = |joined: &Joined<'_>| joined.spans.iter().map(|s| (s.start, s.duration)).collect::<Vec<_>>();
    if rungs.windows(2).any(|pair| times(&pair[0]) != times(&pair[1])) {
        // Players switch between rungs at segment starts.
        return Err(inconsistent("segments start at different times in different rungs"));
    }
    Ok(rungs)
}

/// Joins the audio, which one task made.
pub(super) fn audio(set: &PieceSet) -> Result<Joined<'_>, Failure> {
    check_set(set, set)?;
    if set.rendition != AUDIO_RENDITION || set.timescale == 0 {
        return Err(inconsistent("the audio's pieces are not audio"));
    }
    let start = set.pieces.first().map_or(0, |piece| piece.start);
    let (spans, _) = contiguous(set, start)?;
    Ok(Joined { set, spans })
}

/// Every chunk once, by its place.
fn in_order<'a>(plan: &VideoPlan, chunks: &'a [ChunkPieces]) -> Result<Vec<&'a ChunkPieces>, Failure> {
    let mut in_order: Vec<&ChunkPieces> = chunks.iter().collect();
    in_order.sort_by_key(|chunk| chunk.chunk);
    let complete = in_order
        .iter()
        .map(|chunk| chunk.chunk as usize)
        .eq(0..plan.chunks.len());
    if complete {
        Ok(in_order)
    } else {
        Err(inconsistent("not every planned chunk is there once"))
    }
}

/// Checks that a set can share the init section of the rendition's first.
fn check_set(set: &PieceSet, first: &PieceSet) -> Result<(), Failure> {
    let shared = |set: &PieceSet| (set.init_sha256.clone(), set.codec.clone(), set.timescale);
    if !set.pieces.is_empty() && shared(set) != shared(first) {
        return Err(inconsistent(format!(
            "the init sections of {} differ between chunks",
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
fn is_plain(key: &str) -> bool {
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
