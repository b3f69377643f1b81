//! Making the file for those who want to keep the video.

use std::path::Path;

use reelway_catalog::Effect;
use reelway_domain::{Failure, Reason};
use reelway_media::{self as media, DownloadTracks, PieceSet};
use tokio_util::sync::CancellationToken;

use super::{
    Done, Job, json, pieces,
    results::{all_tasks, made},
};

/// Puts the largest usual rung and the default sound into one file.
pub(super) async fn download(job: &Job, scratch: &Path, cancel: &CancellationToken) -> Result<Done, media::Error> {
    let plan = job.plan()?.plan;
    let made = made(&all_tasks(job).await?)?;
    let rungs = plan
        .video
        .as_ref()
        .map(|video| video.rungs.as_slice())
        .unwrap_or_default();
    let mut video = Vec::new();
    if let Some(rung) = media::download_rung(rungs) {
        video = pieces::of_rung(&made, &rung.name);
    }
    let own = made.audio.iter().filter(|run| run.track == 0);
    let audio: Vec<&PieceSet> = own.map(|run| &run.pieces).collect();

    let (video_file, audio_file) = (scratch.join("video.mp4"), scratch.join("audio.mp4"));
    let video_start = pieces::join(job, &video, |_| true, &video_file).await?;
    let audio_start = pieces::join(job, &audio, |_| true, &audio_file).await?;
    let tracks = DownloadTracks {
        video: video_start.map(|start| (video_file.as_path(), start)),
        audio: audio_start.map(|_| audio_file.as_path()),
    };
    if tracks.video.is_none() && tracks.audio.is_none() {
        return Err(Failure::new(Reason::OutputShort, "nothing was made that could be put into a file").into());
    }
    // The sandbox opens what it is given, so that must be a file which is there.
    let source = tracks.video.map_or(audio_file.as_path(), |(file, _)| file);
    let file = media::make_download(&job.workspace(source, scratch, cancel), tracks).await?;
    let key = job.keep("download.mp4", &file).await?;
    Ok(Done {
        result: json(&key.to_string())?,
        effect: Effect::None,
    })
}
