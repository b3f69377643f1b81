//! What a child does to itself between fork and exec.

use std::{
    io,
    os::fd::{AsRawFd, OwnedFd},
};

use nix::{
    errno::Errno,
    sys::{
        prctl,
        resource::{Resource, getrlimit, setrlimit},
        signal::Signal,
    },
    unistd::{Pid, getpid, getppid},
};
use reelway_domain::Reason;
use seccompiler::BpfProgram;
use tokio::process::Command;

use super::{Invocation, SandboxLevel, landlock, syscalls};
use crate::{Error, Limits};

/// The most open files: ffmpeg needs one for each input and output, and the loader one at a time.
const OPEN_FILES_MAX: u64 = 256;
/// After the CPU limit's first signal, which can be caught, the one that can't comes so much later.
const CPU_GRACE_SECONDS: u64 = 2;

/// All that a child needs to restrict itself, made before the fork: after it nothing may be allocated.
struct Restrictions {
    server: Pid,
    limits: [(Resource, u64, u64); 5],
    files: Option<OwnedFd>,
    calls: Option<BpfProgram>,
    niceness: i32,
}

/// Makes a command restrict itself before it becomes the program.
///
/// # Errors
/// `INTERNAL` if the source or the scratch directory can't be opened, or the kernel can't do what is required of it.
pub(super) fn confine(command: &mut Command, limits: &Limits, invocation: &Invocation<'_>) -> Result<(), Error> {
    let (files, calls) = of_the_kernel(limits.sandbox, invocation)?;
    // Each process works on one thread, but helper threads of the decoders count too.
    let cpu_seconds = invocation.wall_max.as_secs() * 2 + 1;
    let wanted = [
        (Resource::RLIMIT_AS, limits.memory_bytes_max, limits.memory_bytes_max),
        (Resource::RLIMIT_CPU, cpu_seconds, cpu_seconds + CPU_GRACE_SECONDS),
        (
            Resource::RLIMIT_FSIZE,
            invocation.file_bytes_max,
            invocation.file_bytes_max,
        ),
        (Resource::RLIMIT_NOFILE, OPEN_FILES_MAX, OPEN_FILES_MAX),
        (Resource::RLIMIT_CORE, 0, 0),
    ];
    let limits = wanted.map(|(resource, soft, hard)| {
        // Only root may go above the limits that this process has itself.
        let (_, ceiling) = getrlimit(resource).unwrap_or((soft, hard));
        (resource, soft.min(ceiling), hard.min(ceiling))
    });
    let restrictions = Restrictions {
        server: getpid(),
        limits,
        files,
        calls,
        niceness: invocation.urgency.niceness(),
    };
    // SAFETY: the closure only makes system calls on values that exist already; it neither allocates nor takes locks.
    unsafe { command.pre_exec(move || restrictions.apply()) };
    Ok(())
}

/// The parts of the sandbox that not every kernel has.
fn of_the_kernel(
    level: SandboxLevel,
    invocation: &Invocation<'_>,
) -> Result<(Option<OwnedFd>, Option<BpfProgram>), Error> {
    let failed = |why: String| Error::new(Reason::Internal, format!("the sandbox can't be built: {why}"));
    if level == SandboxLevel::Off {
        return Ok((None, None));
    }
    let files = landlock::ruleset(invocation.program, invocation.source, invocation.scratch)
        .map_err(|error| failed(error.to_string()))?;
    let calls = syscalls::filter();
    if level == SandboxLevel::Require && (files.is_none() || calls.is_none()) {
        return Err(failed(
            "the kernel lacks Landlock or seccomp, and both are required".to_owned(),
        ));
    }
    Ok((files, calls))
}

impl Restrictions {
    fn apply(&self) -> io::Result<()> {
        prctl::set_pdeathsig(Signal::SIGKILL)?;
        // If the server died before that call, no signal will come: there is nobody to work for.
        if getppid() != self.server {
            return Err(Errno::ESRCH.into());
        }
        prctl::set_no_new_privs()?;
        for (resource, soft, hard) in self.limits {
            setrlimit(resource, soft, hard)?;
        }
        // SAFETY: a plain system call. Being less polite than wished is no reason to fail.
        unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, self.niceness) };
        if let Some(ruleset) = &self.files {
            restrict_self(ruleset)?;
        }
        // Last, because the steps above need calls that it forbids, or may one day.
        match &self.calls {
            Some(program) => seccompiler::apply_filter(program).map_err(|_| io::Error::last_os_error()),
            None => Ok(()),
        }
    }
}

/// The last step of Landlock by hand: the crate's own consumes the ruleset, which could free memory after the fork.
fn restrict_self(ruleset: &OwnedFd) -> io::Result<()> {
    // SAFETY: landlock_restrict_self(2) takes a file descriptor, which is open, and flags.
    match unsafe { libc::syscall(libc::SYS_landlock_restrict_self, ruleset.as_raw_fd(), 0) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}
