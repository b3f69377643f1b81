//! The two ways out: results on standard output, everything else on standard error.

use std::{
    fmt,
    io::{self, IsTerminal as _, Write as _},
};

use serde::Serialize;

use crate::error::CliError;

/// Writes what was asked for. A reader that went away is no error: `reelway jobs list | head -1` has got what it wanted, and
/// an upload goes on.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Output {
    /// Results are JSON lines, and nothing moves on the terminal.
    pub(crate) is_json: bool,
}

impl Output {
    /// One line of the result.
    pub(crate) fn line(self, text: impl fmt::Display) {
        let mut out = io::stdout().lock();
        // Nobody is left who could be told.
        let _ = writeln!(out, "{text}").and_then(|()| out.flush());
    }

    /// One object of the result, on a line of its own.
    pub(crate) fn json(self, value: &impl Serialize) {
        // Only maps with keys that aren't text can't be written, and there are none.
        if let Ok(text) = serde_json::to_string(value) {
            self.line(text);
        }
    }

    /// One line for the person who watches; not part of the result.
    pub(crate) fn note(self, text: impl fmt::Display) {
        let _ = writeln!(io::stderr().lock(), "{text}");
    }

    /// What went wrong, and what to do about it.
    pub(crate) fn error(self, error: &CliError) {
        self.note(format_args!("error: {error}"));
        for hint in &error.hints {
            self.note(format_args!("hint: {hint}"));
        }
    }

    /// Whether something may move on the terminal.
    pub(crate) fn has_bars(self) -> bool {
        !self.is_json && io::stderr().is_terminal()
    }
}
