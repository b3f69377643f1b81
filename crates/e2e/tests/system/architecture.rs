//! Dependencies point down: what each crate of the workspace may know.

use std::{collections::BTreeMap, process::Command};

use serde_json::Value;

/// Each crate with the crates of the workspace that it may know outside its tests. Roles stand beside each other: they
/// meet in the catalog, on the bus and over gRPC, never in code. `None` is for what puts everything together.
const MAY_KNOW: [(&str, Option<&[&str]>); 20] = [
    ("reelway", Some(&[])),
    ("reelway-domain", Some(&[])),
    ("reelway-catalog", Some(&["reelway-domain"])),
    ("reelway-bus", Some(&["reelway-domain"])),
    ("reelway-blob", Some(&["reelway-domain"])),
    ("reelway-media", Some(&["reelway-domain"])),
    ("reelway-telemetry", Some(&["reelway-domain"])),
    ("reelway-testkit", Some(&[])),
    ("reelway-rpc", Some(&["reelway", "reelway-domain", "reelway-telemetry"])),
    ("reelway-client", Some(&["reelway", "reelway-domain"])),
    (
        "reelway-view",
        Some(&["reelway", "reelway-domain", "reelway-catalog", "reelway-rpc"]),
    ),
    (
        "reelway-auth",
        Some(&[
            "reelway",
            "reelway-domain",
            "reelway-catalog",
            "reelway-bus",
            "reelway-rpc",
        ]),
    ),
    ("reelway-upload", Some(ROLE)),
    ("reelway-jobs", Some(ROLE)),
    ("reelway-progress", Some(ROLE)),
    ("reelway-edge", Some(ROLE)),
    ("reelway-worker", Some(ROLE)),
    ("reelway-cli", None),
    ("reelway-bench", None),
    ("reelway-e2e", None),
];

const ROLE: &[&str] = &[
    "reelway",
    "reelway-domain",
    "reelway-catalog",
    "reelway-bus",
    "reelway-blob",
    "reelway-media",
    "reelway-telemetry",
    "reelway-rpc",
    "reelway-view",
    "reelway-auth",
];

#[test]
fn dependencies_point_down() {
    let crates = workspace();
    let rules: BTreeMap<_, _> = MAY_KNOW.into_iter().collect();
    let mut wrong = Vec::new();
    for (name, known) in &crates {
        let Some(rule) = rules.get(name.as_str()) else {
            wrong.push(format!("{name} has no rule here"));
            continue;
        };
        let Some(allowed) = rule else { continue };
        for other in known.iter().filter(|other| !allowed.contains(&other.as_str())) {
            wrong.push(format!("{name} must not know {other}"));
        }
    }
    for name in rules.keys().filter(|name| !crates.contains_key(**name)) {
        wrong.push(format!("{name} has a rule but is no crate"));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Each crate of the workspace with those that it depends on outside its tests.
fn workspace() -> BTreeMap<String, Vec<String>> {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version=1", "--no-deps", "--offline"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
    let packages = metadata["packages"].as_array().unwrap();
    let name = |value: &Value| value["name"].as_str().unwrap().to_owned();
    let ours = |dependency: &&Value| dependency["path"].is_string() && dependency["kind"] != "dev";
    let known = |package: &Value| {
        package["dependencies"]
            .as_array()
            .unwrap()
            .iter()
            .filter(ours)
            .map(name)
            .collect()
    };
    packages.iter().map(|package| (name(package), known(package))).collect()
}
