//! The only place that starts ffmpeg and ffprobe: each as a process group of its own, with nothing in its environment, no
//! privileges to gain, limits on what it may use, no socket, and (where the kernel has Landlock) no file but its own.
//!
//! Whoever awaits [`run`] owns the process: cancelling the token or dropping the future kills the whole group at once.

mod confine;
mod confinement;
mod landlock;
mod level;
mod lines;
mod outcome;
mod spawner;
mod syscalls;
mod tail;

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use reelway_domain::Reason;
use tokio::{
    process::{ChildStdout, Command},
    time::{Instant, sleep, sleep_until},
};
use tokio_util::sync::CancellationToken;
use tracing::{Instrument as _, Span, field::Empty, info_span};

pub(crate) use self::outcome::Finished;
pub use self::{confinement::Confinement, level::SandboxLevel};
use self::{lines::Lines, spawner::Group, tail::Tail};
use crate::{Error, Limits, Urgency};

/// Counts processes of ffmpeg and ffprobe by how they ended.
const EXITS: &str = "reelway_ffmpeg_exits_total";

/// One start of one program.
pub(crate) struct Invocation<'a> {
    /// The program's absolute path.
    pub(crate) program: &'a Path,
    /// Its arguments; no shell sees them.
    pub(crate) args: Vec<OsString>,
    /// The only directory that it may write to, and its working directory.
    pub(crate) scratch: Option<&'a Path>,
    /// The only other file that it may read.
    pub(crate) source: Option<&'a Path>,
    /// The largest file that it may write, in bytes.
    pub(crate) file_bytes_max: u64,
    /// The longest that it may run.
    pub(crate) wall_max: Duration,
    /// How long it may go without getting further; `None` if its output doesn't tell.
    pub(crate) stall_max: Option<Duration>,
    /// How soon somebody waits for it.
    pub(crate) urgency: Urgency,
}

/// What a line of standard output says about the process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    /// It got further.
    Moved,
    /// It is alive, no more.
    Waiting,
}

/// Runs a program to its end and hands each line of its standard output to `on_line`; an error from there ends it.
///
/// # Errors
/// [`Error::Cancelled`]; `ENCODER_STALLED` if a time limit passed; `INTERNAL` if it can't be started; what `on_line` said.
pub(crate) async fn run(
    limits: &Limits,
    invocation: Invocation<'_>,
    cancel: &CancellationToken,
    on_line: impl FnMut(&str) -> Result<Step, Error> + Send,
) -> Result<Finished, Error> {
    let span = span(&invocation);
    let finished = supervise(limits, invocation, cancel, on_line)
        .instrument(span.clone())
        .await;
    match &finished {
        Ok(finished) => span.record("process.exit.code", finished.status.code()),
        Err(_) => span.record("otel.status_code", "ERROR"),
    };
    metrics::counter!(EXITS, "reason" => reason(&finished)).increment(1);
    finished
}

/// How a process ended, in one word: a reason of a failure, or what its status says.
fn reason(finished: &Result<Finished, Error>) -> &'static str {
    match finished {
        Ok(finished) if finished.status.success() => "success",
        Ok(finished) if finished.status.code().is_none() => "signal",
        Ok(_) => "error",
        Err(Error::Cancelled) => "cancelled",
        Err(error) => error.failure().map_or("unknown", |failure| failure.reason.as_str()),
    }
}

/// The span of a run that is a part of something larger.
fn span(invocation: &Invocation<'_>) -> Span {
    if Span::current().is_none() {
        return Span::none();
    }
    let program = invocation.program.file_name().unwrap_or_default().to_string_lossy();
    info_span!(
        "run",
        otel.name = format!("run {program}"),
        otel.status_code = Empty,
        process.executable.name = &*program,
        process.exit.code = Empty,
    )
}

async fn supervise(
    limits: &Limits,
    invocation: Invocation<'_>,
    cancel: &CancellationToken,
    mut on_line: impl FnMut(&str) -> Result<Step, Error> + Send,
) -> Result<Finished, Error> {
    let mut group = start(limits, &invocation).await?;
    let (stdout, stderr) = group.pipes();
    let mut tail = Tail::default();
    let ended = tokio::select! {
        biased;
        () = cancel.cancelled() => Err(Error::Cancelled),
        () = sleep(invocation.wall_max) => Err(timed_out("ran for", invocation.wall_max)),
        ended = async {
            let drained = async {
                tail.fill(stderr).await;
                Ok(())
            };
            tokio::try_join!(follow(stdout, invocation.stall_max, &mut on_line), drained)?;
            group.wait().await.map_err(|e| Error::io("waiting for ffmpeg", &e))
        } => ended,
    };
    match ended {
        Ok(status) => Ok(Finished {
            status,
            stderr: tail.text(),
        }),
        Err(error) => {
            group.kill_and_reap().await;
            Err(with_tail(error, &tail))
        }
    }
}

async fn start(limits: &Limits, invocation: &Invocation<'_>) -> Result<Group, Error> {
    let mut command = Command::new(invocation.program);
    command
        .args(&invocation.args)
        .env_clear()
        .current_dir(invocation.scratch.unwrap_or(Path::new("/")))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .kill_on_drop(true);
    confine::confine(&mut command, limits, invocation)?;
    let group = spawner::spawn(command)
        .await
        .map_err(|e| Error::io("starting ffmpeg", &e))?;
    tracing::debug!(program = %invocation.program.display(), pid = group.pid(), "process started");
    Ok(group)
}

/// Reads standard output to its end. The clock of the watchdog is only reset by lines that say that something moved.
async fn follow(
    stdout: Option<ChildStdout>,
    stall_max: Option<Duration>,
    on_line: &mut (impl FnMut(&str) -> Result<Step, Error> + Send),
) -> Result<(), Error> {
    let Some(stdout) = stdout else { return Ok(()) };
    let mut lines = Lines::new(stdout);
    let mut moved_at = Instant::now();
    loop {
        let line = tokio::select! {
            line = lines.next() => line.map_err(|e| Error::io("reading from ffmpeg", &e))?,
            Some(limit) = stalled(moved_at, stall_max) => return Err(timed_out("made no progress for", limit)),
        };
        let Some(line) = line else { return Ok(()) };
        if on_line(&line)? == Step::Moved {
            moved_at = Instant::now();
        }
    }
}

/// Returns when nothing has moved for as long as is allowed; `None` if any time is.
async fn stalled(moved_at: Instant, stall_max: Option<Duration>) -> Option<Duration> {
    sleep_until(moved_at + stall_max?).await;
    stall_max
}

fn timed_out(what: &str, limit: Duration) -> Error {
    Error::new(
        Reason::EncoderStalled,
        format!("ffmpeg {what} {} s and was killed", limit.as_secs()),
    )
}

fn with_tail(error: Error, tail: &Tail) -> Error {
    match error {
        Error::Failed { failure, .. } => Error::Failed {
            failure,
            stderr_tail: tail.text(),
        },
        Error::Cancelled => Error::Cancelled,
    }
}

/// A path as an ffmpeg input or output name. The prefix keeps a name from being read as a protocol or an option.
pub(crate) fn file_url(path: &Path) -> OsString {
    let mut name = OsString::from("file:");
    name.push(path);
    name
}

/// The first file of this name in the directories of `PATH`.
pub(crate) fn find_in_path(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path)
        .map(|dir| dir.join(name))
        .find(|file| file.is_absolute() && file.is_file())
}

#[cfg(test)]
mod tests;
