//! Holding the whole file against what was planned while it arrived.

use std::path::Path;

use reelway_catalog::Effect;
use reelway_media::{self as media, Probe};
use tokio_util::sync::CancellationToken;

use super::{Done, Job, StoredPlan, json, prepare, view};

/// Plans once more, from all of the file. If that gives the same plan from the same index, what was made is right; otherwise all
/// of it is thrown away, and made as the file really is.
pub(super) async fn verify(job: &Job, scratch: &Path, cancel: &CancellationToken) -> Result<Done, media::Error> {
    let (mut probe, mut is_right) = look(job, scratch, cancel).await?;
    if !is_right && job.sees_windows() {
        job.see_all(scratch).await?;
        (probe, is_right) = look(job, scratch, cancel).await?;
    }
    if is_right {
        return Ok(Done {
            result: "{}".to_owned(),
            effect: Effect::None,
        });
    }
    tracing::info!(job.id = %job.claim.job.id, "the file is not what its index said while it arrived, all is made anew");
    let laid = prepare::whole(job, &probe, scratch, cancel).await?;
    Ok(Done {
        result: "{}".to_owned(),
        effect: Effect::Replanned {
            plan: laid.plan,
            source: laid.source,
            renditions: laid.renditions,
            tasks: laid.tasks,
        },
    })
}

/// What the file is, and whether that is what was planned for.
async fn look(job: &Job, scratch: &Path, cancel: &CancellationToken) -> Result<(Probe, bool), media::Error> {
    let source = job.source_path()?;
    let work = job.workspace(&source, scratch, cancel);
    let probe = media::probe(&work).await?;
    let Some(seen) = view::whole_index(source.clone()).await? else {
        return Ok((probe, false));
    };
    let plan = media::make_early_plan(&work, &probe, &job.claim.job.ladder, seen.ranges).await?;
    let again = json(&StoredPlan {
        plan,
        mezzanine: None,
        index_digest: Some(seen.digest),
    })?;
    // As text, which is what both were stored as: numbers may not come back to the last bit.
    let is_right = job.claim.plan.as_deref() == Some(&again);
    Ok((probe, is_right))
}
