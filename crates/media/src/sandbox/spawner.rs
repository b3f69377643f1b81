//! Starts children from one thread that lives as long as the process.
//!
//! The kernel sends the signal of `PR_SET_PDEATHSIG` when the *thread* that forked dies, not the process. Threads of a
//! runtime come and go, so all forks happen on a thread that never ends.

use std::{
    io,
    process::ExitStatus,
    sync::{LazyLock, mpsc},
    thread,
};

use nix::{
    sys::signal::{Signal, killpg},
    unistd::Pid,
};
use tokio::{
    process::{Child, ChildStderr, ChildStdout, Command},
    runtime::Handle,
    sync::oneshot,
};

/// A running child and its process group; dropping it kills the group.
pub(super) struct Group(Child);

struct Request {
    command: Command,
    runtime: Handle,
    reply: oneshot::Sender<io::Result<Group>>,
}

static SPAWNER: LazyLock<Option<mpsc::Sender<Request>>> = LazyLock::new(|| {
    let (requests, inbox) = mpsc::channel::<Request>();
    thread::Builder::new()
        .name("spawner".into())
        .spawn(move || serve(&inbox))
        .ok()
        .map(|_| requests)
});

fn serve(inbox: &mpsc::Receiver<Request>) {
    while let Ok(mut request) = inbox.recv() {
        // The child's pipes and its end are watched by the runtime of whoever asked.
        let _entered = request.runtime.enter();
        let started = request.command.spawn().map(Group);
        // If nobody waits any more, the group that comes back is dropped, which kills it.
        let _ = request.reply.send(started);
    }
}

/// Starts a command that was told to lead its own process group.
///
/// # Errors
/// Those of fork and exec, and of every step that the child takes between them.
pub(super) async fn spawn(command: Command) -> io::Result<Group> {
    let gone = || io::Error::other("the thread that starts processes is gone");
    let spawner = SPAWNER.as_ref().ok_or_else(gone)?;
    let (reply, started) = oneshot::channel();
    spawner
        .send(Request {
            command,
            runtime: Handle::current(),
            reply,
        })
        .map_err(|_| gone())?;
    started.await.map_err(|_| gone())?
}

impl Group {
    /// The leader's process id, which is the group's; `None` once it was reaped.
    pub(super) fn pid(&self) -> Option<u32> {
        self.0.id()
    }

    /// Standard output and standard error; each is given once.
    pub(super) fn pipes(&mut self) -> (Option<ChildStdout>, Option<ChildStderr>) {
        (self.0.stdout.take(), self.0.stderr.take())
    }

    /// Waits for the leader's end and reaps it.
    pub(super) async fn wait(&mut self) -> io::Result<ExitStatus> {
        self.0.wait().await
    }

    /// Kills the whole group and returns when its leader is gone.
    pub(super) async fn kill_and_reap(&mut self) {
        self.kill();
        if let Err(error) = self.wait().await {
            tracing::warn!(%error, "killed process not reaped");
        }
    }

    /// Sends SIGKILL to the group. SIGTERM would let ffmpeg finish its files, which takes seconds and room on the disk.
    fn kill(&self) {
        // A reaped leader has no id here, so the signal can't hit a stranger that got the same number.
        if let Some(pid) = self.pid().and_then(|id| i32::try_from(id).ok()) {
            let _ = killpg(Pid::from_raw(pid), Signal::SIGKILL);
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.kill();
    }
}
