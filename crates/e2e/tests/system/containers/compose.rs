//! `docker-compose.yml`, read as both generations of compose read it.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
    process::Output,
};

use serde_json::Value;

use super::{container_tool, root};

/// Containers that end when their work is done.
const ONE_SHOTS: [&str; 2] = ["migrate", "s3-bucket"];

/// The file in `directory` as docker-compose 1.29 understands it.
async fn understood(directory: &Path) -> Output {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("python/resolve_compose.py");
    let mut python = container_tool("python").await;
    python.arg(script).arg(directory).output().await.expect("it runs")
}

/// The file in `directory` held against the schema of today's specification.
async fn schema_holds(directory: &Path) -> Output {
    let mut check = container_tool("check-jsonschema").await;
    check.args(["--builtin-schema", "vendor.compose-spec"]);
    check
        .arg(directory.join("docker-compose.yml"))
        .output()
        .await
        .expect("it runs")
}

/// The file as docker-compose 1.29 understands it.
pub(super) struct Compose(pub(super) Value);

impl Compose {
    /// Reads the file of the repository.
    pub(super) async fn load() -> Self {
        let output = understood(&root()).await;
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        Self(serde_json::from_slice(&output.stdout).expect("JSON"))
    }

    fn services(&self) -> impl Iterator<Item = (&str, &Value)> {
        let services = self.0["services"].as_object().expect("services");
        services.iter().map(|(name, service)| (name.as_str(), service))
    }

    /// What a profile starts.
    fn profile(&self, profile: &str) -> BTreeMap<&str, &Value> {
        let starts = |service: &Value| {
            service
                .get("profiles")
                .is_none_or(|of| texts(of).any(|name| name == profile))
        };
        self.services().filter(|(_, service)| starts(service)).collect()
    }

    /// The containers that run this repository's image.
    pub(super) fn own(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.services()
            .filter(|(_, service)| service["image"] == "reelway:local")
    }
}

/// The texts of a list, none if it isn't there.
pub(super) fn texts(list: &Value) -> impl Iterator<Item = &str> {
    list.as_array()
        .into_iter()
        .flatten()
        .map(|text| text.as_str().expect("text"))
}

/// The names of a map, none if it isn't there.
pub(super) fn names(map: &Value) -> impl Iterator<Item = &str> {
    map.as_object().into_iter().flatten().map(|(name, _)| name.as_str())
}

#[tokio::test(flavor = "multi_thread")]
async fn both_generations_of_compose_understand_the_file() {
    Compose::load().await;
    let output = schema_holds(&root()).await;
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));

    let newer = tempfile::tempdir().expect("a directory");
    let file = newer.path().join("docker-compose.yml");
    fs::write(&file, "name: reelway\nservices: {a: {image: b}}").expect("a file");
    assert!(schema_holds(newer.path()).await.status.success());
    assert!(!understood(newer.path()).await.status.success(), "1.29 knows no name");
    fs::write(&file, "services: {a: {image: b, healthy: true}}").expect("a file");
    assert!(
        !schema_holds(newer.path()).await.status.success(),
        "nobody knows this key"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn no_container_has_a_right_that_it_does_not_need() {
    let compose = Compose::load().await;
    for (name, service) in compose.services() {
        assert_eq!(service["read_only"], true, "{name}");
        assert_eq!(texts(&service["cap_drop"]).collect::<Vec<_>>(), ["ALL"], "{name}");
        assert!(
            texts(&service["security_opt"]).any(|option| option == "no-new-privileges:true"),
            "{name}"
        );
        assert_eq!(service["init"], true, "{name}");
        for right in ["privileged", "cap_add", "network_mode", "pid", "ipc", "devices"] {
            assert!(service.get(right).is_none(), "{name}: {right}");
        }
        let user: u32 = service["user"]
            .as_str()
            .and_then(|user| user.split(':').next()?.parse().ok())
            .expect(name);
        assert!(user > 0, "{name} runs as root");
        for port in texts(&service["ports"]) {
            assert!(
                port.starts_with("127.0.0.1:"),
                "{name}: {port} can be reached from other machines"
            );
        }
        for variable in names(&service["environment"]) {
            let is_secret = ["PASSWORD", "SECRET", "ACCESS_KEY", "DATABASE", "REDIS"]
                .iter()
                .any(|s| variable.contains(s));
            assert!(
                !is_secret || variable.ends_with("_FILE"),
                "{name}: {variable} is for everybody to read"
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_container_is_asked_whether_it_is_well() {
    let compose = Compose::load().await;
    for (name, service) in compose.services() {
        let test: Vec<&str> = texts(&service["healthcheck"]["test"]).collect();
        if ONE_SHOTS.contains(&name) {
            assert_eq!(
                (test, service["restart"].as_str()),
                (vec!["NONE"], Some("on-failure")),
                "{name}"
            );
        } else {
            assert_eq!(service["restart"], "unless-stopped", "{name}");
            let is_own = service["image"] == "reelway:local";
            assert!(
                !test.is_empty() && (!is_own || test == ["CMD", "reelway", "health"]),
                "{name}: {test:?}"
            );
        }
    }
}

#[test]
fn every_image_can_be_exchanged() {
    let text = fs::read_to_string(root().join("docker-compose.yml")).expect("the file");
    let images: Vec<&str> = text
        .lines()
        .filter_map(|line| line.trim().strip_prefix("image: "))
        .collect();
    assert!(images.len() >= 5);
    for image in images {
        assert!(
            image.starts_with("${") && image.contains(":-") && image.ends_with('}'),
            "{image} is no variable"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_profile_has_all_that_its_containers_need() {
    let compose = Compose::load().await;
    for profile in ["embedded", "full"] {
        let services = compose.profile(profile);
        let mut ports = BTreeSet::new();
        for (name, service) in &services {
            for other in names(&service["depends_on"]) {
                assert!(services.contains_key(other), "{profile}: {name} depends on {other}");
            }
            for port in texts(&service["ports"]) {
                let (on_host, _) = port.rsplit_once(':').expect("two ports");
                assert!(ports.insert(on_host), "{profile}: {on_host} is published twice");
            }
            for secret in service["secrets"].as_array().into_iter().flatten() {
                assert!(
                    compose.0["secrets"]
                        .get(secret["source"].as_str().expect("a name"))
                        .is_some(),
                    "{secret}"
                );
            }
        }
    }
    assert_eq!(
        texts(&compose.0["profiles"]).collect::<Vec<_>>(),
        ["embedded"],
        "what `up` takes by default"
    );
    assert_eq!(compose.profile("embedded").keys().collect::<Vec<_>>(), [&"node"]);
    let full = compose.profile("full");
    let roles: Vec<&str> = full
        .values()
        .filter_map(|service| texts(&service["command"]).nth(2))
        .collect();
    for (role, count) in [("upload", 2), ("jobs", 2), ("progress", 1), ("edge", 1), ("worker", 2)] {
        assert_eq!(roles.iter().filter(|of| **of == role).count(), count, "{role}");
    }
    for other in ["migrate", "postgres", "redis", "s3"] {
        assert!(full.contains_key(other), "{other}");
    }
}
