//! Finding out what the source is, and laying out the rest of the graph.

use std::path::Path;

use reelway_catalog::Effect;
use reelway_domain::{NewTask, RenditionInfo, TaskKind, TaskRef};
use reelway_media::{self as media, AUDIO_RENDITION, Plan, Probe};
use tokio_util::sync::CancellationToken;

use super::{Done, Job, StoredPlan, internal, json};

pub(super) async fn probe(job: &Job, scratch: &Path, cancel: &CancellationToken) -> Result<Done, media::Error> {
    let probe = media::probe(&job.workspace(&job.upload_path(), scratch, cancel)).await?;
    Ok(Done {
        result: json(&probe)?,
        effect: Effect::Probed(probe.source_info()),
    })
}

pub(super) async fn plan(job: &Job, scratch: &Path, cancel: &CancellationToken) -> Result<Done, media::Error> {
    let tasks = job.worker.catalog.tasks(&job.claim.job.tenant, job.claim.job.id).await;
    let tasks = tasks.map_err(reelway_domain::Failure::from)?;
    let probed = tasks
        .iter()
        .find(|task| task.kind == TaskKind::Probe)
        .and_then(|task| task.result.as_deref());
    let probe: Probe = serde_json::from_str(probed.ok_or_else(|| internal(&"the probe has no result"))?)
        .map_err(|error| internal(&error))?;

    let upload = job.upload_path();
    let (plan, mezzanine) =
        media::make_plan(&job.workspace(&upload, scratch, cancel), &probe, &job.claim.job.ladder).await?;
    let mezzanine = match mezzanine {
        Some(file) => Some(job.keep("source.mkv", &file).await?.to_string()),
        None => None,
    };
    let (source, renditions, tasks) = (plan.source.clone(), renditions(&plan), graph(&plan)?);
    let plan = json(&StoredPlan { plan, mezzanine })?;
    Ok(Done {
        result: "{}".to_owned(),
        effect: Effect::Planned {
            plan,
            source,
            renditions,
            tasks,
        },
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
    let audio = plan.audio.iter().map(|_| RenditionInfo {
        name: AUDIO_RENDITION.to_owned(),
        ..RenditionInfo::default()
    });
    rungs.chain(audio).collect()
}

/// The tasks that make what the plan says: chunks, audio and poster side by side, then the playlists, then the count.
fn graph(plan: &Plan) -> Result<Vec<NewTask>, media::Error> {
    let planned = TaskRef::only(TaskKind::Plan);
    let mut making = Vec::new();
    if let Some(video) = &plan.video {
        for (index, chunk) in video.chunks.iter().enumerate() {
            let index = i32::try_from(index).map_err(|error| internal(&error))?;
            let ticks: i64 = chunk.segments.iter().map(|segment| segment.duration_ticks).sum();
            making.push(NewTask {
                weight_ms: ticks * 1000 / media::TICKS_PER_SECOND,
                ..NewTask::new(
                    TaskRef {
                        kind: TaskKind::Video,
                        index,
                    },
                    vec![planned],
                )
            });
        }
        // After the chunks, so that the cores which are free first get the small tasks.
        making.push(NewTask::new(TaskRef::only(TaskKind::Poster), vec![planned]));
    }
    if let Some(audio) = &plan.audio {
        making.push(NewTask {
            weight_ms: audio.duration_ms,
            ..NewTask::new(TaskRef::only(TaskKind::Audio), vec![planned])
        });
    }
    let made = making.iter().map(|task| task.task).collect();
    let package = TaskRef::only(TaskKind::Package);
    making.push(NewTask::new(package, made));
    making.push(NewTask::new(TaskRef::only(TaskKind::Finish), vec![package]));
    Ok(making)
}
