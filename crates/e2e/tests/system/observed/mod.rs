//! What operators are shown and woken by: every metric that dashboards, alerts and their pages name is one that the servers tell.

mod alerts;
mod dashboards;
mod exposition;
mod promql;
mod runbooks;
mod told;

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

/// A file or a directory of the repository.
fn path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(name)
}

/// The files with an extension in a directory of the repository: their texts by their names without it.
fn texts(directory: &str, extension: &str) -> BTreeMap<String, String> {
    let entries = fs::read_dir(path(directory)).unwrap_or_else(|error| panic!("{directory}: {error}"));
    let files = entries.map(|entry| entry.expect("an entry").path());
    let wanted = files.filter(|file| file.extension().is_some_and(|it| it == extension));
    let named = wanted.map(|file| {
        let name = file.file_stem().expect("a name").to_string_lossy().into_owned();
        (name, fs::read_to_string(&file).expect("a text"))
    });
    named.collect()
}
