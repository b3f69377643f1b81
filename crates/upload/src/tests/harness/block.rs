//! Files that keep whoever opens them waiting.

use std::{
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use nix::{fcntl::OFlag, sys::stat::Mode, unistd::mkfifo};

/// Puts something in a file's place that keeps whoever opens it waiting. Gives what puts the file back.
pub(crate) fn block(path: PathBuf) -> impl FnOnce() {
    let away = path.with_extension("away");
    std::fs::rename(&path, &away).unwrap();
    mkfifo(&path, Mode::S_IRWXU).unwrap();
    move || {
        let_go(&path);
        std::fs::rename(away, path).unwrap();
    }
}

/// Lets whoever waits at a blocked path go on, who finds nothing to be read; whether anybody did.
pub(crate) fn let_go(path: &Path) -> bool {
    let nobody_waits = std::fs::File::options()
        .write(true)
        .custom_flags(OFlag::O_NONBLOCK.bits())
        .open(path)
        .is_err();
    !nobody_waits
}
