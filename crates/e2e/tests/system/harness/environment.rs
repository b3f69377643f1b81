//! Directories with the packages of other languages, each made once.

use std::path::{Path, PathBuf};

use super::Tool;

/// Where what the list pins is installed, by one of our scripts. The list is a file of this crate.
pub(crate) async fn environment(script: &str, name: &str, list: &str) -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut make = Tool::new("bash");
    make.path(&here.join("../../scripts/lib").join(script)).args([name]);
    PathBuf::from(make.path(&here.join(list)).run().await.trim())
}
