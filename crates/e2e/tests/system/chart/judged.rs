//! What was rendered, before judges: the schemas of Kubernetes, those of the operators beside it, and a linter of policies.

use std::{fs, path::Path};

use serde_json::{Value, json};
use tokio::process::Command;

use super::{
    installed, rendered,
    rendered::{Rendered, label, look},
    text,
};
use crate::harness::Tool;

/// The oldest release that the chart takes, one of the middle, and the newest.
const KUBERNETES: &str = "1.30,1.34,1.37";
/// The policies that the chart doesn't follow, and why.
const EXCEPTIONS: [(&str, &str); 6] = [
    (
        "CKV_K8S_8",
        "a Job and a test end by themselves; servers are asked, which another test proves",
    ),
    (
        "CKV_K8S_9",
        "a Job and a test are ready when they are done; servers are asked, which another test proves",
    ),
    (
        "CKV_K8S_11",
        "a limit of CPU slows a server down while the node is idle",
    ),
    (
        "CKV_K8S_15",
        "tags aren't moved, and nodes start pods while the registry is away",
    ),
    (
        "CKV_K8S_35",
        "the clients of buckets take a key from the environment only; all else is a file",
    ),
    (
        "CKV_K8S_43",
        "image.digest is for those who install it: a chart can't know the digest of their copy",
    ),
];
/// What single files of values don't follow besides, and why.
const EXCEPTIONS_OF: [(&str, &str, &str); 2] = [
    ("dev", "CKV_K8S_40", "the images of Postgres and Valkey run as 999"),
    ("openshift", "CKV_K8S_40", "the cluster chooses the user"),
];

/// A file of objects, as JSON, which is YAML.
fn written(directory: &Path, objects: &[Value]) -> std::path::PathBuf {
    let file = directory.join("objects.yaml");
    let lines: Vec<String> = objects.iter().map(|object| format!("---\n{object}")).collect();
    fs::write(&file, lines.join("\n")).expect("a file");
    file
}

/// Objects of kinds that Kubernetes doesn't have itself.
fn is_custom(object: &Value) -> bool {
    let known = [
        "keda.sh/",
        "gateway.networking.k8s.io/",
        "monitoring.coreos.com/",
        "cert-manager.io/",
    ];
    known.iter().any(|group| text(&object["apiVersion"]).starts_with(group))
}

/// What the definitions of other projects say about objects.
async fn custom_problems(objects: &[Value]) -> String {
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("objects.json");
    fs::write(&file, Value::from(objects.to_vec()).to_string()).expect("a file");
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("kubernetes/check_custom.mjs");
    let packages = installed("helm.sh").await;
    Tool::new("node").path(&script).path(&packages).path(&file).run().await
}

/// What the linter of policies finds in files, by policy.
async fn violations(files: &[&Path], skipped: &[&str]) -> Vec<String> {
    let python = installed("kube-tools.sh").await;
    let mut command = Command::new(python.with_file_name("checkov"));
    command.args([
        "--framework",
        "kubernetes",
        "--skip-download",
        "--output",
        "json",
        "--compact",
        "--quiet",
    ]);
    if !skipped.is_empty() {
        command.args(["--skip-check", &skipped.join(",")]);
    }
    for file in files {
        command.arg("--file").arg(file);
    }
    command.kill_on_drop(true);
    let output = command.output().await.expect("it runs");
    let report: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|error| {
        panic!("{error}: {}", String::from_utf8_lossy(&output.stderr));
    });
    let failed = super::items(&report["results"]["failed_checks"]);
    failed
        .map(|check| format!("{} {}", text(&check["check_id"]), text(&check["resource"])))
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_object_fits_three_releases_of_kubernetes() {
    let all = rendered().await;
    let files: Vec<&Path> = all.values().map(|of| of.file.as_path()).collect();
    assert_eq!(look("schema", Some(KUBERNETES), &files).await, "");

    // The judge sees a wrong type, and a field that nobody knows.
    let directory = tempfile::tempdir().expect("a directory");
    let mut deployment = all["minimal"].kind("Deployment").next().expect("one").clone();
    deployment["spec"]["replicas"] = json!("2");
    let mut service = all["minimal"].kind("Service").next().expect("one").clone();
    service["spec"]["selektor"] = json!({});
    let file = written(directory.path(), &[deployment, service]);
    let said = look("schema", Some(KUBERNETES), &[&file]).await;
    assert_eq!(said.lines().count(), 6, "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_object_of_an_operator_fits_its_definition() {
    let all = rendered().await;
    let objects = all
        .values()
        .flat_map(|of| &of.objects)
        .filter(|object| is_custom(object));
    let mut objects: Vec<Value> = objects.cloned().collect();
    for kind in [
        "ScaledObject",
        "ScaledJob",
        "TriggerAuthentication",
        "HTTPRoute",
        "GRPCRoute",
        "Certificate",
    ] {
        assert!(objects.iter().any(|object| object["kind"] == kind), "{kind}");
    }
    for kind in ["PodMonitor", "ServiceMonitor", "PrometheusRule"] {
        assert!(objects.iter().any(|object| object["kind"] == kind), "{kind}");
    }
    assert_eq!(custom_problems(&objects).await, "");

    objects.retain(|object| object["kind"] == "ScaledObject");
    objects[0]["spec"]["maxReplicas"] = json!(3);
    objects[0]["spec"]["pollingInterval"] = json!("often");
    let said = custom_problems(&objects).await;
    assert!(
        said.contains("/spec/maxReplicas") && said.contains("pollingInterval"),
        "{said}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn no_policy_is_broken_without_a_reason() {
    let all = rendered().await;
    let skipped: Vec<&str> = EXCEPTIONS.iter().map(|(policy, _)| *policy).collect();
    let is_plain = |name: &str| EXCEPTIONS_OF.iter().all(|(of, ..)| *of != name);
    let plain = all.iter().filter(|(name, _)| is_plain(name));
    let files: Vec<&Path> = plain.map(|(_, of)| of.file.as_path()).collect();
    assert_eq!(violations(&files, &skipped).await, Vec::<String>::new());
    for (name, policy, _) in EXCEPTIONS_OF {
        let skipped: Vec<&str> = skipped.iter().copied().chain([policy]).collect();
        assert_eq!(
            violations(&[&all[name].file], &skipped).await,
            Vec::<String>::new(),
            "{name}"
        );
    }

    let found = violations(&[&weakened(&all["minimal"]).1], &skipped).await;
    assert!(found.iter().any(|one| one.starts_with("CKV_K8S_16 ")), "{found:?}");
}

/// A Deployment whose container may do everything.
fn weakened(of: &Rendered) -> (tempfile::TempDir, std::path::PathBuf) {
    let directory = tempfile::tempdir().expect("a directory");
    let mut deployment = of.kind("Deployment").next().expect("one").clone();
    deployment["spec"]["template"]["spec"]["containers"][0]["securityContext"]["privileged"] = json!(true);
    assert!(label(&deployment).starts_with("Deployment"));
    let file = written(directory.path(), &[deployment]);
    (directory, file)
}
