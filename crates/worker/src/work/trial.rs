//! Finding out how many bits a source needs, and telling those who come after.

use std::path::Path;

use reelway_catalog::{Effect, Task};
use reelway_domain::{Failure, RenditionInfo, TaskKind, TaskRef};
use reelway_media::{self as media, Caps, Trial};
use tokio_util::sync::CancellationToken;

use super::{Done, Job, internal, json, results::result};

/// Encodes a few excerpts. A trial that fails is no reason to fail a job: the ladder's caps hold then.
pub(super) async fn trial(job: &Job, scratch: &Path, cancel: &CancellationToken) -> Result<Done, media::Error> {
    let stored = job.plan()?;
    let source = job.source(&stored, scratch).await?;
    let work = job.workspace(&source, scratch, cancel);
    let trial = match media::try_out(&work, &stored.plan, |progress| job.tell(&progress)).await {
        Ok(trial) => trial,
        // What is not seen of the source may be what it failed by.
        Err(error) if job.may_see_more(&error) => return Err(error),
        Err(media::Error::Failed { failure, .. }) => {
            tracing::warn!(%failure, job.id = %job.claim.job.id, "trial failed, the ladder's caps are used");
            Trial::default()
        }
        Err(error) => return Err(error),
    };
    Ok(Done {
        result: json(&trial)?,
        effect: Effect::None,
    })
}

/// The caps that the job's trial found; the ladder's if it has none.
pub(super) async fn caps(job: &Job) -> Result<Caps, media::Error> {
    let result = job
        .worker
        .catalog
        .result(job.claim.job.id, TaskRef::only(TaskKind::Trial))
        .await;
    let Some(text) = result.map_err(Failure::from)? else {
        return Ok(Caps::default());
    };
    let trial: Trial = serde_json::from_str(&text).map_err(|error| internal(&error))?;
    Ok(trial.caps)
}

/// Adds the likeness to the source that the job's trial measured.
pub(super) fn describe(tasks: &[Task], renditions: &mut [RenditionInfo]) -> Result<(), media::Error> {
    if let Some(trial) = result::<Trial>(tasks, TaskKind::Trial)? {
        for rendition in renditions {
            rendition.quality = trial.quality_of(&rendition.name);
        }
    }
    Ok(())
}
