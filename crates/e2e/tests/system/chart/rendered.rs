//! The chart as Helm renders it.

use std::{collections::BTreeMap, fs, path::Path, process::Output};

use futures_util::future::join_all;
use serde_json::Value;
use tempfile::TempDir;
use tokio::process::Command;

use super::{chart, installed, text, values_in};
use crate::harness::Tool;

/// Both generations; what the first renders is looked at, the second has to render the same.
pub(super) const HELMS: [&str; 2] = ["helm3", "helm4"];
/// The name of the release.
pub(super) const RELEASE: &str = "tried";

/// What came of one file of values.
pub(super) struct Rendered {
    /// All objects.
    pub(super) objects: Vec<Value>,
    /// The file that they are in.
    pub(super) file: std::path::PathBuf,
    _directory: TempDir,
}

/// A pod, wherever it is in an object.
pub(super) struct Pod<'a> {
    /// The object's kind and name.
    pub(super) of: String,
    /// The object.
    pub(super) object: &'a Value,
    /// The pod's labels and annotations.
    pub(super) metadata: &'a Value,
    /// The pod.
    pub(super) spec: &'a Value,
}

impl Rendered {
    /// The objects of a kind.
    pub(super) fn kind<'a>(&'a self, kind: &'a str) -> impl Iterator<Item = &'a Value> {
        self.objects.iter().filter(move |object| object["kind"] == kind)
    }

    /// Every pod that may come of it.
    pub(super) fn pods(&self) -> impl Iterator<Item = Pod<'_>> {
        self.objects.iter().filter_map(|object| {
            let template = match text(&object["kind"]) {
                "Pod" => object,
                "Deployment" | "StatefulSet" | "Job" => &object["spec"]["template"],
                "ScaledJob" => &object["spec"]["jobTargetRef"]["template"],
                _ => return None,
            };
            Some(Pod {
                of: label(object),
                object,
                metadata: &template["metadata"],
                spec: &template["spec"],
            })
        })
    }
}

impl Pod<'_> {
    /// Its containers, those before the others included.
    pub(super) fn containers(&self) -> impl Iterator<Item = &Value> {
        super::items(&self.spec["initContainers"]).chain(super::items(&self.spec["containers"]))
    }

    /// What it is in the chart.
    pub(super) fn component(&self) -> &str {
        text(&self.metadata["labels"]["app.kubernetes.io/component"])
    }

    /// The container that runs the command, and a variable of it.
    pub(super) fn variable(&self, name: &str) -> Option<&str> {
        let mut env = self
            .containers()
            .flat_map(|container| super::items(&container["env"]))
            .filter(|entry| entry["name"] == name);
        env.next().map(|entry| text(&entry["value"]))
    }
}

/// The kind and the name of an object.
pub(super) fn label(object: &Value) -> String {
    format!("{} {}", text(&object["kind"]), text(&object["metadata"]["name"]))
}

/// Runs a Helm on the chart and a file of values.
pub(super) async fn helm(generation: &str, args: &[&str], values: &Path) -> Output {
    let tools = installed("helm.sh").await;
    let mut command = Command::new(tools.join(generation));
    command.args(args).arg(chart()).arg("--values").arg(values);
    // Nothing of whoever runs the tests: no plugins, no cluster.
    let home = tools.join("home");
    command.env("HOME", &home).env_remove("KUBECONFIG").kill_on_drop(true);
    command.output().await.expect("it runs")
}

/// The chart with every file of values.
pub(super) async fn render_all() -> BTreeMap<String, Rendered> {
    let each = values_in("ci").into_iter().map(|(name, values)| async move {
        let output = helm("helm3", &["template", RELEASE, "--namespace", "video"], &values).await;
        assert!(
            output.status.success(),
            "{name}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        (name, read(&output.stdout).await)
    });
    join_all(each).await.into_iter().collect()
}

/// What Helm wrote, read as Kubernetes reads it.
async fn read(manifests: &[u8]) -> Rendered {
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("manifests.yaml");
    fs::write(&file, manifests).expect("a file");
    let mut objects: BTreeMap<String, Vec<Value>> =
        serde_json::from_str(&look("json", None, &[&file]).await).expect("JSON");
    let (_, objects) = objects.pop_first().expect("one file");
    Rendered {
        objects,
        file,
        _directory: directory,
    }
}

/// Runs `python/check_manifests.py`.
pub(super) async fn look(what: &str, versions: Option<&str>, files: &[&Path]) -> String {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("python/check_manifests.py");
    let python = installed("kube-tools.sh").await;
    let mut tool = Tool::new(python.to_str().expect("a path in UTF-8"));
    tool.path(&script).args([what]);
    if let Some(versions) = versions {
        tool.args([versions]);
    }
    for file in files {
        tool.path(file);
    }
    tool.run().await
}

#[tokio::test(flavor = "multi_thread")]
async fn both_generations_of_helm_take_it_and_render_the_same() {
    let each = values_in("ci").into_iter().map(|(name, values)| async move {
        let mut all = Vec::new();
        for generation in HELMS {
            let lint = helm(generation, &["lint", "--strict"], &values).await;
            let said = String::from_utf8_lossy(&lint.stdout);
            assert!(lint.status.success(), "{generation}, {name}: {said}");
            let output = helm(generation, &["template", RELEASE, "--is-upgrade"], &values).await;
            assert!(output.status.success(), "{generation}, {name}");
            all.push(output.stdout);
        }
        assert!(all.windows(2).all(|two| two[0] == two[1]), "{name} differs");
        name
    });
    let names = join_all(each).await;
    for wanted in [
        "minimal",
        "full",
        "gateway",
        "ingress",
        "keda-object",
        "keda-job",
        "dev",
    ] {
        assert!(names.iter().any(|name| name == wanted), "{wanted}");
    }
}
