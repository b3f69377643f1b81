//! Tells what happens: JSON lines, or bars and lines for people.

use std::{
    cell::{Cell, RefCell},
    fmt,
    path::Path,
};

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
    /// A reporter for this file.
    pub(crate) fn new(out: Output, path: &Path) -> Self {
        let summary = Summary {
            event: "result",
            file: path.to_string_lossy().into_owned(),
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
        let mut summary = self.summary.borrow_mut();
        if let Some(error) = error {
            let is_job_end = matches!(&*summary.state, "failed" | "cancelled");
            match error.exit {
                Exit::TryAgain => "interrupted".clone_into(&mut summary.state),
                _ if is_job_end => {}
                _ => "failed".clone_into(&mut summary.state),
            }
            summary.error = Some(Cause {
                reason: error.reason.clone(),
                message: error.message.clone(),
            });
        }
        if self.out.is_json {
            self.out.json(&*summary);
        } else if error.is_none() {
            // What a script would want of it: where to play, or what to ask for later.
            let result = if summary.playback_url.is_empty() {
                &summary.upload_id
            } else {
                &summary.playback_url
            };
            self.out.line(result);
        }
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
