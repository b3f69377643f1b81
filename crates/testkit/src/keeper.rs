//! Processes that end with the tests that started them, even if those are killed.

use std::{
    fs,
    os::unix::process::CommandExt as _,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{LazyLock, mpsc},
    thread,
    time::Duration,
};

use nix::{
    sys::{prctl::set_pdeathsig, signal, signal::Signal},
    unistd::Pid,
};
use tokio::time::{Instant, sleep};

/// How often a process is looked at that is to end.
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// A server that runs in the background. Dropping it kills it and waits for its end.
#[derive(Debug)]
pub struct Daemon {
    child: Child,
    log: PathBuf,
}

impl Daemon {
    /// Starts a program that writes what it says to the end of `log`. The kernel kills it with this process.
    #[must_use]
    pub fn start(mut command: Command, log: &Path) -> Self {
        let file = fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(log)
            .expect("a log file");
        command
            .stdin(Stdio::null())
            .stdout(file.try_clone().expect("a second handle"))
            .stderr(file);
        let (answer, started) = mpsc::channel();
        KEEPER.send((command, answer)).expect("the keeper never ends");
        Self {
            child: started.recv().expect("the keeper answers"),
            log: log.to_owned(),
        }
    }

    /// Its process id.
    #[must_use]
    pub fn pid(&self) -> Pid {
        Pid::from_raw(i32::try_from(self.child.id()).expect("a process id"))
    }

    /// What it has said so far.
    #[must_use]
    pub fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Whether it still runs.
    pub fn is_running(&mut self) -> bool {
        self.child.try_wait().expect("it is ours").is_none()
    }

    /// Sends a signal; nothing happens if it has ended.
    pub fn signal(&mut self, wanted: Signal) {
        // Checked first: the id of a process that was waited for may be somebody else's by now.
        if self.is_running() {
            signal::kill(self.pid(), wanted).expect("it is ours");
        }
    }

    /// Waits for its end, after a signal that was to bring it about.
    pub async fn ended(&mut self, limit: Duration) {
        let until = Instant::now() + limit;
        while self.is_running() {
            assert!(Instant::now() < until, "still running after {limit:?}:\n{}", self.log());
            sleep(LOOK_EVERY).await;
        }
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // A stopped process takes SIGKILL too. Whoever removes its files next must not race with it.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The kernel ties the parent-death signal to the thread that starts a child, not to its process (prctl(2)). So all
/// children are started by one thread that lives as long as the process.
static KEEPER: LazyLock<mpsc::Sender<(Command, mpsc::Sender<Child>)>> = LazyLock::new(|| {
    let (orders, queue) = mpsc::channel::<(Command, mpsc::Sender<Child>)>();
    thread::spawn(move || {
        for (mut command, answer) in queue {
            // SAFETY: prctl is one system call; nothing is allocated and no lock is taken between fork and exec.
            let tied = unsafe { command.pre_exec(|| set_pdeathsig(Signal::SIGKILL).map_err(Into::into)) };
            let child = tied
                .spawn()
                .unwrap_or_else(|error| panic!("start {command:?}: {error}"));
            let _ = answer.send(child);
        }
    });
    orders
});
