//! One run of ffprobe: what all runs have in common, the guards before `-i` above all.

use std::{path::Path, time::Duration};

use crate::{
    Workspace,
    input::{self, Args},
    sandbox::Invocation,
};

/// An ffprobe that tells `entries` of `file` as `format`, within `wall_max`. `stall_max` is how long it may say nothing;
/// `None` if it speaks only at its end. It can write no file.
pub(crate) fn invocation<'a>(
    work: &Workspace<'a>,
    file: &'a Path,
    format: &str,
    entries: &str,
    wall_max: Duration,
    stall_max: Option<Duration>,
) -> Invocation<'a> {
    let mut args = Vec::new();
    args.words(["-v", "error", "-of", format, "-show_entries", entries]);
    args.extend(input::guards(work.tools.limits()));
    args.extend(input::input(file));
    Invocation {
        program: work.tools.ffprobe(),
        args,
        scratch: Some(work.scratch),
        source: Some(file),
        file_bytes_max: 0,
        wall_max,
        stall_max,
        urgency: work.urgency,
    }
}
