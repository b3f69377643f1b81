//! Making the pictures that stand for a video.

use std::path::Path;

use reelway_catalog::Effect;
use reelway_media::{self as media, Piece, PieceSet, Storyboard};
use tokio_util::sync::CancellationToken;

use super::{
    Done, Job, internal, json, pieces,
    results::{Storyboard as Recorded, all_tasks, made},
};

pub(super) async fn poster(job: &Job, scratch: &Path, cancel: &CancellationToken) -> Result<Done, media::Error> {
    let stored = job.plan()?;
    let video = stored.video()?;
    let source = job.source(&stored, scratch).await?;
    let file = media::take_poster(&job.workspace(&source, scratch, cancel), video).await?;
    let key = job.keep("poster.jpg", &file).await?;
    Ok(Done {
        result: json(&key.to_string())?,
        effect: Effect::None,
    })
}

/// Takes small pictures from the smallest rung, which is there by now.
pub(super) async fn storyboard(job: &Job, scratch: &Path, cancel: &CancellationToken) -> Result<Done, media::Error> {
    let stored = job.plan()?;
    let video = stored.video()?;
    let rung = video.rungs.last().ok_or_else(|| internal(&"the plan has no rung"))?;
    let ticks: i64 = video.chunks.iter().map(media::ChunkPlan::duration_ticks).sum();
    let board = Storyboard::new(ms(ticks), rung);

    let made = made(&all_tasks(job).await?)?;
    let sets: Vec<&PieceSet> = pieces::of_rung(&made, &rung.name);
    let file = scratch.join("smallest.mp4");
    let looks = |piece: &Piece| board.looks_between(ms(piece.start), ms(piece.start + piece.duration) + 1);
    let first = pieces::join(job, &sets, looks, &file).await?;
    let first = first.ok_or_else(|| internal(&"the smallest rung has no segment"))?;
    let sheets = media::draw_storyboard(&job.workspace(&file, scratch, cancel), &board, ms(first)).await?;
    let mut urls = Vec::with_capacity(sheets.len());
    for (n, sheet) in sheets.iter().enumerate() {
        urls.push(format!("c/{}", job.keep(&format!("storyboard-{n}.jpg"), sheet).await?));
    }
    Ok(Done {
        result: json(&Recorded { vtt: board.vtt(&urls) })?,
        effect: Effect::None,
    })
}

fn ms(ticks: i64) -> i64 {
    ticks * 1000 / media::TICKS_PER_SECOND
}
