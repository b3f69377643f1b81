//! Following a job to its end.

use std::{pin::pin, time::Duration};

use futures_util::StreamExt as _;
use reelway::v1::{self, job_event::Change, watch_progress_response::Message};
use reelway_client::{Client, Target};
use tokio::time::Instant;

use super::{event::Event, reporter::Reporter};
use crate::{error::CliError, json};

/// Samples come oftener than anybody reads.
const PROGRESS_EVERY: Duration = Duration::from_millis(500);

/// Tells what happens to the job until it has ended, and gives it as it is then.
pub(crate) async fn run(client: &Client, job_id: &str, reporter: &Reporter) -> Result<v1::Job, CliError> {
    let id = job_id
        .parse()
        .map_err(|error| CliError::failed("CONTRACT_BROKEN", error))?;
    let mut told = Told {
        job_id,
        reporter,
        is_playable: false,
        state: String::new(),
        progress_at: None,
    };
    let mut messages = pin!(client.watch(Target::Job(id)));
    while let Some(message) = messages.next().await {
        match message?.message {
            Some(Message::Snapshot(snapshot)) => snapshot.entries.iter().for_each(|entry| told.entry(entry)),
            Some(Message::Event(event)) => told.change(event.change),
            Some(Message::Sample(sample)) => told.progress(&sample),
            Some(Message::Bookmark(_)) | None => {}
        }
    }
    // Events tell that something changed, the job tells what it is: with its error and every rendition.
    let job = client
        .get_job(v1::GetJobRequest {
            job_id: job_id.to_owned(),
        })
        .await?;
    told.job(&job);
    Ok(job)
}

/// What the job's end means for the command.
pub(crate) fn verdict(job: &v1::Job) -> Result<(), CliError> {
    match job.state() {
        v1::JobState::Succeeded => Ok(()),
        v1::JobState::Failed => {
            let error = job.error.clone().unwrap_or_default();
            Err(CliError::failed(&error.reason, error.message))
        }
        v1::JobState::Cancelled => Err(CliError::failed("JOB_CANCELLED", "somebody cancelled the job")),
        v1::JobState::Unspecified | v1::JobState::Queued | v1::JobState::Running => Err(CliError::try_again(
            "WATCH_ENDED",
            "the server ended the watch before the job",
        )),
    }
}

/// As exact as anybody wants to read it.
fn tenths(number: f64) -> f64 {
    (number * 10.0).round() / 10.0
}

/// What was told of the job, so that nothing is told twice.
struct Told<'a> {
    job_id: &'a str,
    reporter: &'a Reporter,
    is_playable: bool,
    state: String,
    progress_at: Option<Instant>,
}

impl Told<'_> {
    fn entry(&mut self, entry: &v1::Progress) {
        if let Some(job) = &entry.job {
            self.job(job);
        }
        self.progress(entry);
    }

    fn job(&mut self, job: &v1::Job) {
        self.playable(&job.playback_url);
        self.state(job.state());
    }

    fn change(&mut self, change: Option<Change>) {
        match change {
            Some(Change::JobState(change)) => self.state(change.state()),
            Some(Change::Playable(playable)) => self.playable(&playable.playback_url),
            Some(Change::UploadState(_) | Change::Planned(_) | Change::TaskState(_)) | None => {}
        }
    }

    fn state(&mut self, state: v1::JobState) {
        let state = json::job_state(state);
        if state != self.state {
            self.reporter.tell(&Event::JobState {
                job_id: self.job_id.to_owned(),
                state: state.clone(),
            });
            self.state = state;
        }
    }

    fn playable(&mut self, playback_url: &str) {
        if !self.is_playable && !playback_url.is_empty() {
            self.is_playable = true;
            let playback_url = playback_url.to_owned();
            self.reporter.tell(&Event::Playable {
                job_id: self.job_id.to_owned(),
                playback_url,
            });
        }
    }

    fn progress(&mut self, progress: &v1::Progress) {
        if self.progress_at.is_none_or(|at| at.elapsed() >= PROGRESS_EVERY) {
            self.progress_at = Some(Instant::now());
            let (percent, speed) = (tenths(progress.percent), tenths(progress.speed));
            self.reporter.tell(&Event::JobProgress {
                job_id: self.job_id.to_owned(),
                percent,
                speed,
            });
        }
    }
}
