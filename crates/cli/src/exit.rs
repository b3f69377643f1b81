//! How the command ends, for scripts.

use std::process::ExitCode;

/// The exit codes. The worst of several is the greatest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub(crate) enum Exit {
    /// Everything that was asked for is done.
    Done = 0,
    /// It can't be done, or the job did not succeed.
    Failed = 1,
    /// The command line or the configuration is wrong.
    Usage = 2,
    /// The same command may succeed later; an upload goes on where it was.
    TryAgain = 75,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}
