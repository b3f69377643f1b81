//! One run of ffmpeg: what all runs have in common.

use std::{ffi::OsString, time::Duration};

use crate::{
    Error, Workspace,
    input::Args,
    progress::{Block, ProgressParser},
    sandbox::{self, Finished, Invocation, Step},
};

/// Runs ffmpeg with `args` to its end and tells `on_block` how far it is, twice a second. `stall_max` is how long it may
/// stand still; `file_bytes_max` bounds each file that it writes.
///
/// # Errors
/// [`Error::Cancelled`], `ENCODER_STALLED`, `STORAGE_FULL`, `ENCODER_FAILED`.
pub(crate) async fn run(
    work: &Workspace<'_>,
    args: Vec<OsString>,
    file_bytes_max: u64,
    stall_max: Duration,
    on_block: impl FnMut(&Block) + Send,
) -> Result<(), Error> {
    let finished = finish(work, args, file_bytes_max, stall_max, on_block).await?;
    finished.checked().map(|_| ())
}

/// The same for those who want to know how it ended.
///
/// # Errors
/// [`Error::Cancelled`], `ENCODER_STALLED`.
pub(crate) async fn finish(
    work: &Workspace<'_>,
    args: Vec<OsString>,
    file_bytes_max: u64,
    stall_max: Duration,
    on_block: impl FnMut(&Block) + Send,
) -> Result<Finished, Error> {
    listen(work, args, file_bytes_max, stall_max, on_block, |_| {}).await
}

/// The same for those whose filters say something: `on_line` gets each line of standard output, those of the progress too.
///
/// # Errors
/// [`Error::Cancelled`], `ENCODER_STALLED`.
pub(crate) async fn listen(
    work: &Workspace<'_>,
    args: Vec<OsString>,
    file_bytes_max: u64,
    stall_max: Duration,
    mut on_block: impl FnMut(&Block) + Send,
    mut on_line: impl FnMut(&str) + Send,
) -> Result<Finished, Error> {
    let limits = work.tools.limits();
    let mut all = Vec::with_capacity(args.len() + 16);
    all.words([
        "-nostdin",
        "-hide_banner",
        "-v",
        "error",
        "-y",
        "-nostats",
        "-stats_period",
        "0.5",
    ]);
    // How much damage is too much is decided by counting what came out; by default ffmpeg fails at two thirds.
    all.words(["-max_error_rate", "1"]);
    all.words(["-progress", "pipe:1"]);
    all.extend(args);
    let invocation = Invocation {
        program: work.tools.ffmpeg(),
        args: all,
        scratch: Some(work.scratch),
        source: Some(work.source),
        file_bytes_max,
        wall_max: limits.wall_max,
        stall_max: Some(stall_max),
        urgency: work.urgency,
    };
    let mut parser = ProgressParser::default();
    sandbox::run(limits, invocation, work.cancel, |line| {
        on_line(line);
        Ok(parser.line(line).map_or(Step::Waiting, |(block, step)| {
            on_block(&block);
            step
        }))
    })
    .await
}
