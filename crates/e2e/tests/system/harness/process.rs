//! Processes whose lines are kept, and which don't outlive their owner.

use std::{env, ffi::OsStr, path::PathBuf, process::Stdio, thread, time::Duration};

use nix::{
    sys::{
        prctl::set_pdeathsig,
        signal::{Signal, kill},
    },
    unistd::Pid,
};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncRead, BufReader},
    process::{Child, Command},
    sync::watch,
    time::timeout,
};

/// A running process. Dropping it kills it.
pub(crate) struct Process {
    child: Child,
    pid: Pid,
    /// What it writes to standard output.
    pub(crate) out: Lines,
    /// What it writes to standard error.
    pub(crate) err: Lines,
}

/// How a process ended.
#[derive(Debug)]
pub(crate) struct Ended {
    /// The exit code; none if a signal ended it.
    pub(crate) code: Option<i32>,
    /// The lines of standard output.
    pub(crate) out: Vec<String>,
    /// The lines of standard error.
    pub(crate) err: Vec<String>,
}

/// The `reelway` command with arguments, and nothing of the environment that would change what it does.
pub(crate) fn reelway<A: AsRef<OsStr>>(args: impl IntoIterator<Item = A>) -> Command {
    let mut command = Command::new(reelway_path());
    command.args(args);
    let is_ours = |name: &str| name.starts_with("REELWAY_") || name.starts_with("OTEL_");
    for (name, _) in env::vars_os().filter(|(name, _)| is_ours(&name.to_string_lossy())) {
        command.env_remove(name);
    }
    command
}

/// Where the command is: `REELWAY_BIN`, or beside the tests, where a build of the workspace puts it.
pub(crate) fn reelway_path() -> PathBuf {
    let path = env::var_os("REELWAY_BIN").map_or_else(
        || {
            let test = env::current_exe().expect("the path of this test");
            test.parent()
                .and_then(|deps| deps.parent())
                .expect("the directory of the build")
                .join("reelway")
        },
        PathBuf::from,
    );
    assert!(
        path.is_file(),
        "{} is missing: run `cargo build` first, or set REELWAY_BIN",
        path.display()
    );
    path
}

/// Where the `buf` program is: `REELWAY_BUF`, or where `scripts/test` puts it.
pub(crate) fn buf_path() -> PathBuf {
    let installed = concat!(env!("CARGO_MANIFEST_DIR"), "/../../.cache/npm/node_modules/.bin/buf");
    let path = env::var_os("REELWAY_BUF").map_or_else(|| PathBuf::from(installed), PathBuf::from);
    assert!(
        path.is_file(),
        "{} is missing: run scripts/test, or set REELWAY_BUF",
        path.display()
    );
    path
}

impl Process {
    /// Starts a command. The kernel kills it with these tests, and with the thread that called this, which is a test's own.
    pub(crate) fn spawn(mut command: Command) -> Self {
        // SAFETY: prctl is one system call; nothing is allocated and no lock is taken between fork and exec.
        unsafe { command.pre_exec(|| set_pdeathsig(Signal::SIGKILL).map_err(Into::into)) };
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        let mut child = command
            .spawn()
            .unwrap_or_else(|error| panic!("start {command:?}: {error}"));
        let id = child.id().expect("it runs");
        let out = Lines::of(child.stdout.take().expect("it is piped"));
        let err = Lines::of(child.stderr.take().expect("it is piped"));
        let pid = Pid::from_raw(i32::try_from(id).expect("a process id"));
        Self { child, pid, out, err }
    }

    /// Its id.
    pub(crate) fn pid(&self) -> Pid {
        self.pid
    }

    /// Sends a signal. The process must not have been waited for.
    pub(crate) fn signal(&self, signal: Signal) {
        assert!(self.child.id().is_some(), "the process has ended");
        kill(self.pid, signal).expect("it is ours");
    }

    /// Whether it is still there.
    pub(crate) fn is_running(&mut self) -> bool {
        self.child.try_wait().expect("it is ours").is_none()
    }

    /// Waits for its end.
    pub(crate) async fn over(&mut self) {
        self.child.wait().await.expect("it is ours");
    }

    /// Waits for its end and for its last line.
    pub(crate) async fn ended(&mut self, limit: Duration) -> Ended {
        let Ok(status) = timeout(limit, self.child.wait()).await else {
            panic!(
                "still running after {limit:?}: {:#?}\n{:#?}",
                self.out.all(),
                self.err.all()
            );
        };
        let code = status.expect("it is ours").code();
        Ended {
            code,
            out: self.out.rest().await,
            err: self.err.rest().await,
        }
    }

    /// Ends it at once: SIGKILL.
    pub(crate) async fn kill9(&mut self) {
        self.child.kill().await.expect("it runs");
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Whoever removes its files next must not race with it.
        let _ = self.child.start_kill();
        while matches!(self.child.try_wait(), Ok(None)) {
            thread::yield_now();
        }
    }
}

/// The lines that a process writes, kept.
#[derive(Clone)]
pub(crate) struct Lines(watch::Receiver<Written>);

#[derive(Default)]
struct Written {
    lines: Vec<String>,
    is_over: bool,
}

impl Lines {
    fn of(pipe: impl AsyncRead + Unpin + Send + 'static) -> Self {
        let (written, lines) = watch::channel(Written::default());
        tokio::spawn(async move {
            let mut pipe = BufReader::new(pipe).lines();
            while let Ok(Some(line)) = pipe.next_line().await {
                written.send_modify(|w| w.lines.push(line));
            }
            written.send_modify(|w| w.is_over = true);
        });
        Self(lines)
    }

    /// All lines so far.
    pub(crate) fn all(&self) -> Vec<String> {
        self.0.borrow().lines.clone()
    }

    /// The first line, old or new, in which `look` finds something.
    pub(crate) async fn find<T>(&self, limit: Duration, what: &str, look: impl Fn(&str) -> Option<T>) -> T {
        let mut lines = self.0.clone();
        let found = |written: &Written| written.lines.iter().find_map(|line| look(line));
        let seen = timeout(limit, lines.wait_for(|w| w.is_over || found(w).is_some())).await;
        let seen = seen.ok().and_then(Result::ok).and_then(|w| found(&w));
        seen.unwrap_or_else(|| panic!("no line with {what} within {limit:?}: {:#?}", self.all()))
    }

    /// All lines, once there can be no more.
    async fn rest(&self) -> Vec<String> {
        let mut lines = self.0.clone();
        // A process that was left behind may hold the pipe: what is written by now must do then.
        let _ = timeout(Duration::from_secs(5), lines.wait_for(|w| w.is_over)).await;
        self.all()
    }
}
