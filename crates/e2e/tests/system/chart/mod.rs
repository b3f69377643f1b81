//! The chart in `helm/reelway`: rendered by the real Helm of both generations, held against what Kubernetes and the operators
//! beside it take, and against the command that it starts.

mod given;
mod judged;
mod network;
mod pods;
mod queue;
mod references;
mod refused;
mod rendered;

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use serde_json::Value;
use tokio::sync::OnceCell;

use self::rendered::{Rendered, render_all};
use crate::harness::Tool;

/// The chart.
fn chart() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../helm/reelway")
}

/// The files of values in a directory of the chart, by name.
fn values_in(directory: &str) -> BTreeMap<String, PathBuf> {
    let entries = fs::read_dir(chart().join(directory)).expect("a directory");
    let files = entries.map(|entry| entry.expect("an entry").path());
    let named = files.filter_map(|path| {
        let name = path.file_name()?.to_str()?.strip_suffix("-values.yaml")?.to_owned();
        Some((name, path))
    });
    named.collect()
}

/// What one of our scripts installs.
async fn installed(script: &str) -> PathBuf {
    let script = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../scripts/lib")
        .join(script);
    PathBuf::from(Tool::new("bash").path(&script).run().await.trim())
}

/// The chart with every file of values, rendered once for all tests.
async fn rendered() -> &'static BTreeMap<String, Rendered> {
    static RENDERED: OnceCell<BTreeMap<String, Rendered>> = OnceCell::const_new();
    RENDERED.get_or_init(render_all).await
}

/// The items of a list, none if it isn't there.
fn items(list: &Value) -> impl Iterator<Item = &Value> {
    list.as_array().into_iter().flatten()
}

/// A text that has to be there.
fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_else(|| panic!("{value} is no text"))
}
