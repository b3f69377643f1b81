//! What runs Reelway in containers: the files, held against the tools that read them and the command that they start.

mod compose;
mod dockerfile;
mod given;

use std::{
    env,
    path::{Path, PathBuf},
};

use tokio::process::Command;

/// The repository.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// A program of the environment that `scripts/lib/container-tools.sh` makes, without what would change what it finds.
async fn container_tool(name: &str) -> Command {
    let made = Command::new(root().join("scripts/lib/container-tools.sh"))
        .output()
        .await;
    let made = made.expect("bash runs");
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let python = PathBuf::from(String::from_utf8(made.stdout).expect("a path").trim());
    let mut command = Command::new(python.with_file_name(name));
    for (name, _) in env::vars_os() {
        let text = name.to_string_lossy();
        if text.starts_with("REELWAY_") || text.starts_with("COMPOSE_") || text.ends_with("_IMAGE") {
            command.env_remove(name);
        }
    }
    command.kill_on_drop(true);
    command
}
