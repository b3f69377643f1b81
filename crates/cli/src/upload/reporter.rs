//! Tells what happens: JSON lines, or bars and lines for people.

use std::{
    cell::{Cell, RefCell},
    fmt,
    path::Path,
};

use reelway_domain::TraceContext;

use super::event::{Cause, Event, Summary};
use crate::{bars::Bars, error::CliError, exit::Exit, output::Output};

/// Tells about one file, and keeps what its last line will say.
pub(crate) struct Reporter {
    /// Where it is told.
    pub(crate) out: Output,
    bars: Option<Bars>,
    /// Shared by those who send and those who follow, on one thread; nobody holds it while waiting.
    summary: RefCell<Summary>,
    is_stored: Cell<bool>,
}

impl Reporter {
    /// A reporter for this file and its trace.
    pub(crate) fn new(out: Output, path: &Path, trace: &TraceContext) -> Self {
        let summary = Summary {
            event: "result",
            file: path.to_string_lossy().into_owned(),
            trace_id: trace.trace_id().to_owned(),
            ..Summary::default()
        };
        Self {
            out,
            bars: out.has_bars().then(Bars::new),
            summary: RefCell::new(summary),
            is_stored: Cell::new(false),
        }
    }

    /// Tells what happened.
    pub(crate) fn tell(&self, event: &Event) {
        self.remember(event);
        if self.out.is_json {
            self.out.json(event);
        } else {
            self.draw(event);
        }
    }

    /// A line for people, around the bars.
    pub(crate) fn note(&self, text: impl fmt::Display) {
        match &self.bars {
            Some(bars) => bars.around(|| self.out.note(&text)),
            None => self.out.note(&text),
        }
    }

    /// Tells the end.
    pub(crate) fn finish(&self, error: Option<&CliError>) {
        if let Some(bars) = &self.bars {
            bars.clear();
        }
        let summary = self.summary(error);
        if self.out.is_json {
            self.out.json(&summary);
        } else if error.is_none() {
            // What a script would want of it: where to play, or what to ask for later.
            let result = if summary.playback_url.is_empty() {
                summary.upload_id
            } else {
                summary.playback_url
            };
            self.out.line(result);
        }
    }

    fn summary(&self, error: Option<&CliError>) -> Summary {
        let mut summary = self.summary.borrow().clone();
        if let Some(error) = error {
            let has_job_ended = matches!(&*summary.state, "failed" | "cancelled");
            if error.exit == Exit::TryAgain {
                "interrupted".clone_into(&mut summary.state);
            } else if !has_job_ended {
                "failed".clone_into(&mut summary.state);
            }
            summary.error = Some(Cause {
                reason: error.reason.clone(),
                message: error.message.clone(),
            });
        }
        summary
    }

    /// Whether the whole file is stored.
    pub(crate) fn is_stored(&self) -> bool {
        self.is_stored.get()
    }

    fn remember(&self, event: &Event) {
        let mut summary = self.summary.borrow_mut();
        match event {
            Event::UploadCreated { upload_id, job_id, .. } | Event::UploadResumed { upload_id, job_id, .. } => {
                summary.upload_id.clone_from(upload_id);
                summary.job_id.clone_from(job_id);
                "receiving".clone_into(&mut summary.state);
            }
            Event::UploadComplete { .. } => {
                self.is_stored.set(true);
                // A job that somebody waits for has told its state already, or will.
                if summary.state == "receiving" {
                    "complete".clone_into(&mut summary.state);
                }
            }
            Event::JobState { state, .. } => summary.state.clone_from(state),
            Event::Playable { playback_url, .. } => summary.playback_url.clone_from(playback_url),
            Event::UploadProgress { .. } | Event::UploadWaiting { .. } | Event::JobProgress { .. } => {}
        }
    }

    fn draw(&self, event: &Event) {
        let file = self.summary.borrow().file.clone();
        match event {
            Event::UploadCreated {
                upload_id, size_bytes, ..
            } => {
                self.note(format_args!(
                    "{file}: {upload_id}, {}",
                    indicatif::BinaryBytes(size_bytes.unsigned_abs())
                ));
            }
            Event::UploadResumed {
                upload_id,
                durable_offset,
                ..
            } => {
                let durable = indicatif::BinaryBytes(durable_offset.unsigned_abs());
                self.note(format_args!("{file}: {upload_id} goes on after {durable}"));
            }
            Event::UploadWaiting { message, .. } => self.note(format_args!("{file}: trying again: {message}")),
            Event::UploadComplete { .. } => {
                if let Some(bars) = &self.bars {
                    bars.stored();
                }
                self.note(format_args!("{file}: stored"));
            }
            Event::JobState { job_id, state } => self.note(format_args!("{file}: {job_id} is {state}")),
            Event::Playable { playback_url, .. } => self.note(format_args!("{file}: playable at {playback_url}")),
            Event::UploadProgress {
                durable_offset,
                size_bytes,
                ..
            } => {
                if let Some(bars) = &self.bars {
                    bars.stored_bytes(*durable_offset, *size_bytes);
                }
            }
            Event::JobProgress { percent, speed, .. } => {
                if let Some(bars) = &self.bars {
                    bars.percent(*percent, *speed);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn reporter(events: &[Event]) -> Reporter {
        let trace = reelway_telemetry::new_trace();
        let reporter = Reporter::new(Output { is_json: true }, Path::new("a.mp4"), &trace);
        events.iter().for_each(|event| reporter.remember(event));
        reporter
    }

    fn created() -> Event {
        Event::UploadCreated {
            upload_id: "upl_1".to_owned(),
            job_id: "job_1".to_owned(),
            size_bytes: 1,
        }
    }

    fn entered(state: &str) -> Event {
        Event::JobState {
            job_id: "job_1".to_owned(),
            state: state.to_owned(),
        }
    }

    #[test]
    fn the_last_line_says_how_it_ended() {
        let playable = Event::Playable {
            job_id: "job_1".to_owned(),
            playback_url: "http://x".to_owned(),
        };
        let stored = Event::UploadComplete {
            upload_id: "upl_1".to_owned(),
        };
        let done = reporter(&[created(), entered("running"), playable, stored, entered("succeeded")]);
        let expected = json!({
            "event": "result", "file": "a.mp4", "upload_id": "upl_1", "job_id": "job_1", "state": "succeeded",
            "playback_url": "http://x", "trace_id": done.summary(None).trace_id,
        });
        assert_eq!(serde_json::to_value(done.summary(None)).expect("JSON"), expected);
        assert!(done.is_stored());
    }

    #[test]
    fn without_a_wait_the_last_line_has_the_uploads_state() {
        let stored = reporter(&[
            created(),
            Event::UploadComplete {
                upload_id: "upl_1".to_owned(),
            },
        ]);
        assert_eq!(stored.summary(None).state, "complete");
    }

    #[test]
    fn an_error_is_in_the_last_line_with_the_state_that_fits() {
        let (failed, away) = (
            CliError::failed("SOURCE_EMPTY", "no"),
            CliError::try_again("UNAVAILABLE", "no"),
        );
        let state = |events: &[Event], error| reporter(events).summary(Some(error)).state;
        assert_eq!(state(&[created(), entered("failed")], &failed), "failed");
        assert_eq!(state(&[created(), entered("cancelled")], &failed), "cancelled");
        assert_eq!(state(&[created()], &failed), "failed");
        assert_eq!(state(&[created(), entered("running")], &away), "interrupted");
        let cause = reporter(&[]).summary(Some(&failed)).error.expect("an error");
        assert_eq!((&*cause.reason, &*cause.message), ("SOURCE_EMPTY", "no"));
    }
}
