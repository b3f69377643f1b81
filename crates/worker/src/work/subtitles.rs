//! One text track.

use std::path::Path;

use reelway_catalog::Effect;
use reelway_media::{self as media, SubtitlePieces};
use tokio_util::sync::CancellationToken;

use super::{Done, Job, internal, json};

pub(super) async fn subtitles(job: &Job, scratch: &Path, cancel: &CancellationToken) -> Result<Done, media::Error> {
    let stored = job.plan()?;
    let plan = &stored.plan;
    let index = usize::try_from(job.claim.task.index).map_err(|error| internal(&error))?;
    let subtitles = plan.subtitles.get(index);
    let subtitles = subtitles.ok_or_else(|| internal(&"the plan has no such text track"))?;
    let source = job.source(&stored, scratch).await?;
    let work = job.workspace(&source, scratch, cancel);
    let duration_ms = plan.source.duration_ms;
    let text = media::read_subtitles(&work, subtitles, plan.base_us(), duration_ms).await?;
    let key = job.keep("subtitles.vtt", &text.file).await?;
    Ok(Done {
        result: json(&SubtitlePieces {
            rendition: subtitles.name.clone(),
            key: key.to_string(),
            bytes: text.bytes,
            duration_ms: text.duration_ms,
            cues: text.cues,
        })?,
        effect: Effect::None,
    })
}
