//! What holds for every pod: its rights, its probes, its time to stop, its images and its disk.

use serde_json::{Value, json};

use super::{items, rendered, rendered::Pod, text};

/// Seconds that are left over when a server has used all of its times.
const MARGIN_SECONDS: i64 = 5;

/// The parts of the chart that answer probes; the others end by themselves or belong to others.
const SERVERS: [&str; 4] = ["upload", "jobs", "progress", "edge"];

/// Seconds in a duration as the chart writes it.
fn seconds(pod: &Pod<'_>, variable: &str) -> i64 {
    let value = pod
        .variable(variable)
        .unwrap_or_else(|| panic!("{}: {variable}", pod.of));
    value
        .strip_suffix('s')
        .and_then(|count| count.parse().ok())
        .expect(value)
}

#[tokio::test(flavor = "multi_thread")]
async fn every_container_is_restricted() {
    for (name, of) in rendered().await {
        for pod in of.pods() {
            let at = format!("{name}: {}", pod.of);
            assert_eq!(pod.spec["automountServiceAccountToken"], false, "{at}");
            assert_eq!(pod.spec["enableServiceLinks"], false, "{at}");
            assert_eq!(pod.spec["securityContext"]["runAsNonRoot"], true, "{at}");
            assert_eq!(
                pod.spec["securityContext"]["seccompProfile"]["type"], "RuntimeDefault",
                "{at}"
            );
            for right in ["hostNetwork", "hostPID", "hostIPC"] {
                assert!(pod.spec.get(right).is_none(), "{at}: {right}");
            }
            for container in pod.containers() {
                let security = &container["securityContext"];
                assert_eq!(security["allowPrivilegeEscalation"], false, "{at}");
                assert_eq!(security["readOnlyRootFilesystem"], true, "{at}");
                assert_eq!(security["capabilities"], json!({"drop": ["ALL"]}), "{at}");
                assert!(security.get("privileged").is_none(), "{at}");
            }
        }
        for kind in ["Role", "ClusterRole", "RoleBinding", "ClusterRoleBinding"] {
            assert_eq!(of.kind(kind).count(), 0, "{name}: nothing needs a right in the cluster");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn probes_ask_the_admin_port_by_number() {
    for (name, of) in rendered().await {
        for pod in of
            .pods()
            .filter(|pod| SERVERS.contains(&pod.component()) || pod.component() == "worker")
        {
            let container = &pod.spec["containers"][0];
            let ports: Vec<&Value> = items(&container["ports"]).map(|port| &port["containerPort"]).collect();
            let wanted = [
                ("startupProbe", "/startupz"),
                ("readinessProbe", "/readyz"),
                ("livenessProbe", "/healthz"),
            ];
            for (probe, path) in wanted {
                // A Job serves nobody, so nobody waits until it is ready.
                if pod.object["kind"] == "ScaledJob" && probe != "livenessProbe" {
                    continue;
                }
                let get = &container[probe]["httpGet"];
                assert_eq!(get["path"], path, "{name}: {}", pod.of);
                assert!(
                    get["port"].is_u64() && ports.contains(&&get["port"]),
                    "{name}: {}: {get}",
                    pod.of
                );
                assert!(get.get("scheme").is_none(), "the admin port is never within TLS");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn there_is_time_to_stop() {
    for (name, of) in rendered().await {
        for pod in of.pods() {
            let at = format!("{name}: {}", pod.of);
            let all = pod.spec["terminationGracePeriodSeconds"].as_i64();
            if SERVERS.contains(&pod.component()) {
                let stop = &pod.spec["containers"][0]["lifecycle"]["preStop"]["sleep"]["seconds"];
                let used =
                    stop.as_i64().expect(&at) + seconds(&pod, "REELWAY_LAME_DUCK") + seconds(&pod, "REELWAY_GRACE");
                assert_eq!(all, Some(used + MARGIN_SECONDS), "{at}");
            } else if pod.component() == "worker" {
                let used = seconds(&pod, "REELWAY_DRAIN") + seconds(&pod, "REELWAY_GRACE");
                assert!(all.expect(&at) >= used + MARGIN_SECONDS, "{at}");
                assert_eq!(all, Some(seconds(&pod, "REELWAY_DRAIN") + 30), "{at}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_image_comes_from_the_values() {
    let all = rendered().await;
    let digest = "@sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    let image = format!("registry.example/team/reelway{digest}");
    for pod in all["full"].pods() {
        for container in pod.containers().filter(|container| container["name"] != "proxy") {
            assert_eq!(container["image"], image.as_str(), "{}", pod.of);
        }
        let secrets: Vec<&str> = items(&pod.spec["imagePullSecrets"])
            .map(|of| text(&of["name"]))
            .collect();
        assert_eq!(secrets, ["pull", "pull-too"], "{}", pod.of);
    }
    assert!(
        all["minimal"]
            .pods()
            .all(|pod| pod.spec["containers"][0]["image"] == "reelway:0.1.0")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_has_memory_and_disk_for_what_it_is_told_to_do() {
    let all = rendered().await;
    let worker = |name: &str| {
        let mut pods = all[name].pods().filter(|pod| pod.component() == "worker");
        pods.next().expect("a worker").spec.clone()
    };
    let minimal = worker("minimal");
    let resources = &minimal["containers"][0]["resources"];
    assert_eq!(
        resources["limits"],
        json!({"memory": "8704Mi", "ephemeral-storage": "21Gi"})
    );
    assert_eq!(resources["requests"]["cpu"], "2");
    assert_eq!(volume(&minimal, "data")["emptyDir"]["sizeLimit"], "20Gi");

    let full = worker("full");
    let limits = &full["containers"][0]["resources"]["limits"];
    assert_eq!(
        limits,
        &json!({"memory": "16896Mi", "nvidia.com/gpu": 1}),
        "its scratch space is a volume"
    );
    let claim = &volume(&full, "data")["ephemeral"]["volumeClaimTemplate"]["spec"];
    assert_eq!(claim["resources"]["requests"]["storage"], "200Gi");
    assert_eq!(full["runtimeClassName"], "gvisor");

    for (name, of) in all {
        for pod in of.pods() {
            for container in pod.containers() {
                assert!(
                    container["resources"]["requests"]["memory"].is_string(),
                    "{name}: {}",
                    pod.of
                );
                assert!(
                    container["resources"]["limits"]["memory"].is_string(),
                    "{name}: {}",
                    pod.of
                );
            }
            for volume in items(&pod.spec["volumes"]).filter(|volume| volume.get("emptyDir").is_some()) {
                assert!(
                    volume["emptyDir"]["sizeLimit"].is_string(),
                    "{name}: {}: {volume}",
                    pod.of
                );
            }
        }
    }
}

/// A volume of a pod.
fn volume<'a>(spec: &'a Value, name: &str) -> &'a Value {
    items(&spec["volumes"])
        .find(|volume| volume["name"] == name)
        .expect(name)
}
