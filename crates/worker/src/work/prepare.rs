//! Finding out what the source is, and laying out the rest of the graph.

use std::path::Path;

use reelway_catalog::Effect;
use reelway_domain::{NewTask, RenditionInfo, SourceInfo, TaskKind};
use reelway_media::{self as media, Plan, Probe, Workspace};
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

use super::{
    Done, Ended, Job, StoredPlan, graph, growing, internal, json,
    results::{all_tasks, result},
    view::View,
};

/// A probe as it is stored.
#[derive(Debug, Serialize, Deserialize)]
struct StoredProbe {
    probe: Probe,
    /// The digest of the index that it was made from; `None` if it was made from the whole file.
    #[serde(default)]
    index_digest: Option<String>,
}

/// A plan with all that the catalog records of it.
pub(super) struct Laid {
    pub(super) plan: String,
    pub(super) source: SourceInfo,
    pub(super) renditions: Vec<RenditionInfo>,
    pub(super) tasks: Vec<NewTask>,
}

pub(super) async fn probe(job: &Job, scratch: &Path, cancel: &CancellationToken) -> Result<Done, media::Error> {
    let view = job.view()?;
    let probe = look(&job.workspace(&view.path, scratch, cancel), view).await?;
    let effect = Effect::Probed(probe.source_info());
    let index_digest = view.index.as_ref().map(|index| index.digest.clone());
    growing::keep_seen(job).await?;
    Ok(Done {
        result: json(&StoredProbe { probe, index_digest })?,
        effect,
    })
}

pub(super) async fn look(work: &Workspace<'_>, view: &View) -> Result<Probe, media::Error> {
    if view.is_beginning {
        media::probe_beginning(work).await
    } else {
        media::probe(work).await
    }
}

/// Plans as much as can be planned by now.
pub(super) async fn plan(job: &Job, scratch: &Path, cancel: &CancellationToken) -> Result<Ended, media::Error> {
    let ended = plan_what_is_seen(job, scratch, cancel).await?;
    growing::keep_seen(job).await?;
    Ok(ended)
}

async fn plan_what_is_seen(job: &Job, scratch: &Path, cancel: &CancellationToken) -> Result<Ended, media::Error> {
    if job.claim.task.index > 0 {
        return growing::plan(job, scratch, cancel).await;
    }
    let stored: Option<StoredProbe> = result(&all_tasks(job).await?, TaskKind::Probe)?;
    let stored = stored.ok_or_else(|| internal(&"the probe has no result"))?;
    let view = job.view()?;
    let work = job.workspace(&view.path, scratch, cancel);
    let digest = view.index.as_ref().map(|index| &index.digest);
    let probe = if stored.index_digest.as_ref() == digest {
        stored.probe
    } else {
        // It saw something else, or less.
        look(&work, view).await?
    };
    let laid = match &view.index {
        None => whole(job, &probe, scratch, cancel).await?,
        Some(_) if view.is_beginning => match growing::first(job, &work, &probe).await? {
            Ok(laid) => laid,
            Err(ready_at) => return Ok(Ended::Postponed(ready_at)),
        },
        Some(index) => {
            let plan = media::make_early_plan(&work, &probe, &job.claim.job.ladder, index.ranges.clone()).await?;
            laid(job, plan, None, Some(index.digest.clone()))?
        }
    };
    Ok(Ended::Done(Done {
        result: "{}".to_owned(),
        effect: Effect::Planned {
            plan: laid.plan,
            source: laid.source,
            renditions: laid.renditions,
            tasks: laid.tasks,
        },
    }))
}

/// The plan of a whole file.
pub(super) async fn whole(
    job: &Job,
    probe: &Probe,
    scratch: &Path,
    cancel: &CancellationToken,
) -> Result<Laid, media::Error> {
    let ladder = &job.claim.job.ladder;
    if let View {
        path,
        windows: Some(windows),
        ..
    } = job.view()?
    {
        let work = job.workspace(path, scratch, cancel);
        if let Some(plan) = media::make_windowed_plan(&work, probe, ladder, &windows.ranges).await? {
            return laid(job, plan, None, None);
        }
        job.see_all(scratch).await?;
        let source = job.source_path()?;
        let probe = media::probe(&job.workspace(&source, scratch, cancel)).await?;
        return whole_of(job, &probe, scratch, cancel).await;
    }
    whole_of(job, probe, scratch, cancel).await
}

/// The same of one of which every byte can be read.
async fn whole_of(job: &Job, probe: &Probe, scratch: &Path, cancel: &CancellationToken) -> Result<Laid, media::Error> {
    let source = job.source_path()?;
    let work = job.workspace(&source, scratch, cancel);
    let (plan, mezzanine) = media::make_plan(&work, probe, &job.claim.job.ladder).await?;
    let mezzanine = match mezzanine {
        Some(file) => Some(job.keep("source.mkv", &file).await?.to_string()),
        None => None,
    };
    laid(job, plan, mezzanine, None)
}

pub(super) fn laid(
    job: &Job,
    plan: Plan,
    mezzanine: Option<String>,
    index_digest: Option<String>,
) -> Result<Laid, media::Error> {
    Ok(Laid {
        source: plan.source.clone(),
        renditions: renditions(&plan),
        tasks: graph::tasks(&plan, &job.claim.job.ladder)?,
        plan: json(&StoredPlan {
            plan,
            mezzanine,
            index_digest,
        })?,
    })
}

/// The renditions as they are known before anything is measured.
fn renditions(plan: &Plan) -> Vec<RenditionInfo> {
    let rungs = plan
        .video
        .iter()
        .flat_map(|video| &video.rungs)
        .map(|rung| RenditionInfo {
            name: rung.name.clone(),
            width: rung.width,
            height: rung.height,
            ..RenditionInfo::default()
        });
    let audio = plan.audios.iter().map(|audio| RenditionInfo {
        name: audio.name.clone(),
        language: audio.language.clone(),
        ..RenditionInfo::default()
    });
    let subtitles = plan.subtitles.iter().map(|subtitles| RenditionInfo {
        name: subtitles.name.clone(),
        language: subtitles.language.clone(),
        ..RenditionInfo::default()
    });
    rungs.chain(audio).chain(subtitles).collect()
}
