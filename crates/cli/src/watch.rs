//! `reelway watch`: follow an upload or a job to its end.

use std::pin::pin;

use futures_util::StreamExt as _;
use reelway::v1::{self, job_event::Change, watch_progress_response::Message};
use reelway_client::Client;

use crate::{
    args::WatchArgs,
    bars::Bars,
    error::{CliError, recorded},
    exit::Exit,
    ids::WatchId,
    json,
    output::Output,
    waiting,
};

/// Prints what happens until the end, and ends with how it ended.
pub(crate) async fn run(args: &WatchArgs, out: Output) -> Result<Exit, CliError> {
    let client = args.client.connect()?;
    let watched = waiting::or_interrupt(follow(&client, args.id, out)).await;
    watched.map_err(|error| match error.exit {
        Exit::TryAgain => error.hint(format!(
            "to continue: reelway watch {} --server {}",
            args.id, args.client.server
        )),
        Exit::Done | Exit::Failed | Exit::Usage => error,
    })
}

async fn follow(client: &Client, id: WatchId, out: Output) -> Result<Exit, CliError> {
    let bars = out.has_bars().then(Bars::new);
    let mut messages = pin!(client.watch(id.into()));
    while let Some(message) = messages.next().await {
        let message = message?;
        if out.is_json {
            out.json(&json::object(&message));
        } else if let Some(bars) = &bars {
            bars.around(|| print(&message, out));
            draw(&message, bars);
        } else {
            print(&message, out);
        }
    }
    if let Some(bars) = &bars {
        bars.clear();
    }
    end(client, id, out).await
}

/// How it is when nothing more happens.
async fn end(client: &Client, id: WatchId, out: Output) -> Result<Exit, CliError> {
    let job_id = match id {
        WatchId::Job(id) => id.to_string(),
        WatchId::Upload(id) => {
            let upload = client
                .get_upload(v1::GetUploadRequest {
                    upload_id: id.to_string(),
                    end_writer: false,
                })
                .await?;
            if upload.job_id.is_empty() {
                let is_complete = upload.state() == v1::UploadState::Complete;
                return Ok(if is_complete { Exit::Done } else { Exit::Failed });
            }
            upload.job_id
        }
    };
    let job = client.get_job(v1::GetJobRequest { job_id }).await?;
    match job.state() {
        v1::JobState::Succeeded => {
            if !out.is_json {
                out.line(&job.playback_url);
            }
            Ok(Exit::Done)
        }
        _ => Ok(Exit::Failed),
    }
}

/// One line for each thing that happened, none for what only moved.
fn print(message: &v1::WatchProgressResponse, out: Output) {
    match &message.message {
        Some(Message::Snapshot(snapshot)) => {
            for job in snapshot.entries.iter().filter_map(|entry| entry.job.as_ref()) {
                out.line(format_args!("{} is {}", job.id, json::job_state(job.state())));
            }
        }
        Some(Message::Event(event)) => out.line(describe(event)),
        Some(Message::Sample(_) | Message::Bookmark(_)) | None => {}
    }
}

fn draw(message: &v1::WatchProgressResponse, bars: &Bars) {
    let progress = match &message.message {
        Some(Message::Snapshot(snapshot)) => snapshot.entries.first(),
        Some(Message::Sample(sample)) => Some(sample),
        Some(Message::Event(_) | Message::Bookmark(_)) | None => None,
    };
    if let Some(progress) = progress {
        let (durable, size) = (
            progress.durable_offset.unsigned_abs(),
            progress.size_bytes().unsigned_abs(),
        );
        if durable < size {
            bars.stored_bytes(durable, size);
        } else {
            bars.stored();
        }
        bars.percent(progress.percent, progress.speed);
    }
}

fn describe(event: &v1::JobEvent) -> String {
    let time = event.event_time.map(|time| time.to_string()).unwrap_or_default();
    let (what, error) = match &event.change {
        Some(Change::JobState(change)) => (
            format!("job {}", json::job_state(change.state())),
            change.error.as_ref(),
        ),
        Some(Change::UploadState(change)) => (
            format!("upload {}", json::upload_state(change.state())),
            change.error.as_ref(),
        ),
        Some(Change::Planned(planned)) => {
            let names: Vec<&str> = planned.renditions.iter().map(|rendition| &*rendition.name).collect();
            (
                format!("planned {} tasks for {}", planned.task_count, names.join(" ")),
                None,
            )
        }
        Some(Change::TaskState(change)) => {
            let kind = json::word(change.kind().as_str_name(), "TASK_KIND_");
            let state = json::word(change.state().as_str_name(), "TASK_STATE_");
            (
                format!("{kind} {} {state}, attempt {}", change.index, change.attempt),
                change.error.as_ref(),
            )
        }
        Some(Change::Playable(playable)) => (format!("playable at {}", playable.playback_url), None),
        // Of a newer release.
        None => ("something happened that this release doesn't know".to_owned(), None),
    };
    let error = error.map(|error| format!(": {}", recorded(error))).unwrap_or_default();
    format!("{time} {what}{error}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_a_line() {
        let error = v1::Error {
            reason: "SOURCE_EMPTY".to_owned(),
            message: "no bytes".to_owned(),
            ..Default::default()
        };
        let change = v1::JobStateChange {
            state: v1::JobState::Failed.into(),
            error: Some(error),
        };
        let event_time = Some(prost_types::Timestamp { seconds: 1, nanos: 0 });
        let event = v1::JobEvent {
            event_time,
            change: Some(Change::JobState(change)),
            ..Default::default()
        };
        assert_eq!(
            describe(&event),
            "1970-01-01T00:00:01Z job failed: SOURCE_EMPTY: no bytes"
        );
    }
}
