//! Something to be caught with: a file that nobody may open, and a port that nobody may call.

use std::{
    io::ErrorKind,
    net::TcpListener,
    path::{Path, PathBuf},
};

use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};

use crate::testbench::Bench;

/// A clip and a port that are watched.
pub(super) struct Trap {
    file: PathBuf,
    opened: Inotify,
    listener: TcpListener,
}

impl Trap {
    /// Sets it up beside the files of a bench. The clip can be played, so that whoever is led to it would succeed.
    pub(super) fn set(bench: &Bench, name: &str) -> Self {
        let file = bench.clip("10", 1.0, "-c:v libx264 -preset ultrafast", name);
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let opened = Inotify::init(InitFlags::IN_NONBLOCK | InitFlags::IN_CLOEXEC).unwrap();
        let watched = AddWatchFlags::IN_OPEN | AddWatchFlags::IN_ACCESS;
        opened.add_watch(&file, watched).unwrap();
        Self { file, opened, listener }
    }

    /// The file.
    pub(super) fn file(&self) -> &Path {
        &self.file
    }

    /// The port's address.
    pub(super) fn address(&self) -> String {
        self.listener.local_addr().unwrap().to_string()
    }

    /// Whether the file was opened since it was asked last.
    pub(super) fn was_opened(&self) -> bool {
        // It would block if there were no event.
        self.opened.read_events().is_ok_and(|events| !events.is_empty())
    }

    /// Whether somebody called since it was asked last.
    pub(super) fn was_called(&self) -> bool {
        match self.listener.accept() {
            Ok(_) => true,
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::WouldBlock);
                false
            }
        }
    }
}
