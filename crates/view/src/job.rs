//! Jobs.

use reelway::v1;
use reelway_catalog::Job;
use reelway_rpc::{
    PlaybackUrls, ProtoEnum as _,
    convert::{error, ladder, rendition, source, timestamp},
};

/// A job as clients see it. It has playback URLs once something is published.
#[must_use]
pub fn job(row: &Job, urls: &PlaybackUrls) -> v1::Job {
    let published = row.published_prefix.is_some();
    let url = |there: bool, url: fn(&PlaybackUrls, _) -> String| {
        if there { url(urls, row.id) } else { String::new() }
    };
    let named = |name: Option<&str>| match name {
        Some(name) if published => urls.playlist(row.id, name),
        _ => String::new(),
    };
    v1::Job {
        id: row.id.to_string(),
        upload_id: row.upload.to_string(),
        state: row.state.to_proto().into(),
        preset: row.preset.clone(),
        ladder: Some(ladder(&row.ladder)),
        source: row.source.as_ref().map(source),
        renditions: row
            .renditions
            .iter()
            .map(|info| rendition(row.id, info, urls))
            .collect(),
        playback_url: url(published, PlaybackUrls::master),
        poster_url: url(published && row.poster_key.is_some(), PlaybackUrls::poster),
        error: row.error.as_ref().map(error),
        // At most a few for each of `limits::TASKS_PER_JOB_MAX`, but retries by hand have no limit.
        attempts: i32::try_from(row.attempts).unwrap_or(i32::MAX),
        missing_frames: row.missing_frames,
        event_seq: row.event_seq.0,
        create_time: Some(timestamp(row.created_at)),
        update_time: Some(timestamp(row.updated_at)),
        start_time: row.started_at.map(timestamp),
        playable_time: row.playable_at.map(timestamp),
        finish_time: row.finished_at.map(timestamp),
        manifest_url: named(row.manifest_name.as_deref()),
        storyboard_url: named(row.storyboard_name.as_deref()),
        download_url: url(published && row.download_key.is_some(), PlaybackUrls::download),
        priority: row.priority,
        source_action: row.source_action.to_proto().into(),
    }
}

#[cfg(test)]
mod tests {
    use reelway_domain::{EventSeq, JobId, JobState, RenditionInfo, SourceAction, Tenant, Timestamp, UploadId, preset};

    use super::*;

    fn row() -> Job {
        Job {
            id: JobId::new(),
            tenant: Tenant::single(),
            upload: UploadId::new(),
            state: JobState::Running,
            preset: "fast".into(),
            ladder: preset("fast").unwrap(),
            source: None,
            renditions: vec![RenditionInfo {
                name: "720p".into(),
                ..RenditionInfo::default()
            }],
            published_prefix: None,
            poster_key: Some("poster".into()),
            download_key: None,
            manifest_name: None,
            storyboard_name: None,
            priority: 0,
            source_action: SourceAction::Keep,
            published_segments: 0,
            error: None,
            attempts: i64::MAX,
            missing_frames: 3,
            event_seq: EventSeq(4),
            trace: None,
            created_at: Timestamp(1_000),
            updated_at: Timestamp(2_000),
            started_at: Some(Timestamp(3_000)),
            playable_at: None,
            finished_at: None,
        }
    }

    #[test]
    fn nothing_to_play_before_it_is_published() {
        let row = row();
        let told = job(&row, &PlaybackUrls::new("http://h"));
        assert_eq!(
            (told.id.clone(), told.state()),
            (row.id.to_string(), v1::JobState::Running)
        );
        assert_eq!((told.playback_url.as_str(), told.poster_url.as_str()), ("", ""));
        assert_eq!(told.renditions[0].name, "720p");
        assert_eq!((told.attempts, told.missing_frames, told.event_seq), (i32::MAX, 3, 4));
        assert_eq!(told.ladder.unwrap().crf, 25);
        assert_eq!((told.start_time.unwrap().seconds, told.finish_time), (3, None));
    }

    #[test]
    fn a_published_job_says_where() {
        let urls = PlaybackUrls::new("http://h");
        let published = Job {
            published_prefix: Some("package/1".into()),
            ..row()
        };
        let told = job(&published, &urls);
        assert_eq!(told.playback_url, urls.master(published.id));
        assert_eq!(told.poster_url, urls.poster(published.id));
        let no_video = Job {
            poster_key: None,
            ..published
        };
        assert_eq!(job(&no_video, &urls).poster_url, "");
    }
}
