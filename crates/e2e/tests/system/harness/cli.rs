//! The command as a user of a node runs it, with a home of its own.

use std::{ffi::OsStr, path::PathBuf, time::Duration};

use serde_json::Value;
use tempfile::TempDir;

use super::{Ended, Node, Process, process::reelway_path, reelway};

/// A command that takes longer hangs.
const COMMAND_MAX: Duration = Duration::from_secs(120);

/// A user at a shell: where the server is, and a directory that keeps what the command keeps.
pub(crate) struct Cli {
    server: String,
    home: TempDir,
}

impl Cli {
    /// A user of this node.
    pub(crate) fn of(node: &Node) -> Self {
        Self::at(&node.grpc_url())
    }

    /// A user of whatever is at this address.
    pub(crate) fn at(server: &str) -> Self {
        Self {
            server: server.to_owned(),
            home: tempfile::tempdir().expect("a home"),
        }
    }

    /// A file of the user's.
    pub(crate) fn file(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.home.path().join(name);
        std::fs::write(&path, bytes).expect("a file");
        path
    }

    /// Starts a command.
    pub(crate) fn start<A: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = A>) -> Process {
        self.spawn(reelway(args))
    }

    /// Runs a line in a shell, where `reelway` is the command.
    pub(crate) async fn shell(&self, line: &str) -> Ended {
        let bin = reelway_path();
        let mut path = bin.parent().expect("a directory").as_os_str().to_owned();
        path.push(":/usr/bin:/bin");
        let mut shell = tokio::process::Command::new("sh");
        shell.args(["-c", line]).env("PATH", path);
        self.spawn(shell).ended(COMMAND_MAX).await
    }

    fn spawn(&self, mut command: tokio::process::Command) -> Process {
        command
            .env("REELWAY_SERVER", &self.server)
            .env("XDG_STATE_HOME", self.home.path());
        command.current_dir(self.home.path());
        Process::spawn(command)
    }

    /// Runs a command to its end.
    pub(crate) async fn run<A: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = A>) -> Ended {
        self.start(args).ended(COMMAND_MAX).await
    }

    /// Runs a command that is to succeed, and gives its JSON lines.
    pub(crate) async fn json<A: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = A>) -> Vec<Value> {
        let ended = self.run(args).await;
        assert_eq!(ended.code, Some(0), "{ended:#?}");
        ended.json()
    }
}

impl Ended {
    /// Standard output as JSON, line by line.
    pub(crate) fn json(&self) -> Vec<Value> {
        let parse = |line: &String| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line:?}"));
        self.out.iter().map(parse).collect()
    }
}
