//! What objects say of one another is true: what they select, mount, read and lead to is there, and in time.

use std::collections::BTreeSet;

use serde_json::Value;

use super::{
    items, rendered,
    rendered::{Pod, Rendered, label},
    text,
};

/// Kinds of objects that pods name.
const NAMED: [&str; 4] = ["Secret", "ConfigMap", "ServiceAccount", "PersistentVolumeClaim"];

/// The kinds and names of what a pod needs.
fn needs(pod: &Pod<'_>) -> BTreeSet<(&'static str, String)> {
    let mut all = BTreeSet::new();
    let mut add = |kind, name: &Value| {
        if let Some(name) = name.as_str() {
            all.insert((kind, name.to_owned()));
        }
    };
    add("ServiceAccount", &pod.spec["serviceAccountName"]);
    for container in pod.containers() {
        for variable in items(&container["env"]) {
            add("Secret", &variable["valueFrom"]["secretKeyRef"]["name"]);
            add("ConfigMap", &variable["valueFrom"]["configMapKeyRef"]["name"]);
        }
        for source in items(&container["envFrom"]) {
            add("Secret", &source["secretRef"]["name"]);
            add("ConfigMap", &source["configMapRef"]["name"]);
        }
    }
    for volume in items(&pod.spec["volumes"]) {
        add("Secret", &volume["secret"]["secretName"]);
        add("ConfigMap", &volume["configMap"]["name"]);
        add("PersistentVolumeClaim", &volume["persistentVolumeClaim"]["claimName"]);
        for source in items(&volume["projected"]["sources"]) {
            add("Secret", &source["secret"]["name"]);
            add("ConfigMap", &source["configMap"]["name"]);
        }
    }
    all
}

/// The events at which an object is made before or after the others; none for an ordinary one.
fn hook(object: &Value) -> Option<&str> {
    object["metadata"]["annotations"]["helm.sh/hook"].as_str()
}

/// Whether labels have all that a selector wants.
fn matches(selector: &Value, labels: &Value) -> bool {
    let wanted = selector.as_object().expect("a selector");
    wanted.iter().all(|(name, value)| labels.get(name) == Some(value))
}

/// Secrets that are nobody's in the chart, as the files of values name them.
fn is_external(kind: &str, name: &str) -> bool {
    let of_values = [
        "reelway-database",
        "reelway-redis",
        "redis-ca",
        "reelway-s3",
        "reelway-gcs",
        "reelway-signing",
    ];
    let more = ["reelway-webhooks", "reelway-test"];
    match kind {
        "Secret" => of_values.contains(&name) || more.contains(&name),
        "PersistentVolumeClaim" => name == "videos",
        _ => false,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_pod_names_is_there_when_it_starts() {
    for (name, of) in rendered().await {
        for pod in of.pods() {
            for (kind, needed) in needs(&pod) {
                // cert-manager makes it.
                let is_certified = of
                    .kind("Certificate")
                    .any(|object| object["spec"]["secretName"] == needed.as_str());
                let made = of
                    .kind(kind)
                    .find(|object| object["metadata"]["name"] == needed.as_str());
                let at = format!("{name}: {} needs {kind} {needed}", pod.of);
                let is_first = hook(pod.object).is_some_and(|events| events.contains("pre-install"));
                match made {
                    // An ordinary object doesn't exist yet while hooks run that come before it.
                    Some(object) if is_first => assert!(hook(object).is_some(), "{at}, which is made after it"),
                    Some(object) => assert!(
                        hook(object).is_none_or(|_| hook(pod.object).is_some() || is_kept(object)),
                        "{at}"
                    ),
                    None => assert!(is_external(kind, &needed) || (is_certified && !is_first), "{at}"),
                }
            }
        }
        let orphans = of
            .objects
            .iter()
            .filter(|object| NAMED[..2].contains(&text(&object["kind"])));
        for object in orphans.filter(|object| !label(object).contains("dashboard") && !label(object).contains("tried-"))
        {
            let (kind, called) = (text(&object["kind"]), text(&object["metadata"]["name"]));
            assert!(
                of.pods()
                    .any(|pod| needs(&pod).iter().any(|(k, n)| *k == kind && n == called)),
                "{name}: nobody needs {kind} {called}"
            );
        }
    }
}

/// Whether a hook's object stays after the hook.
fn is_kept(object: &Value) -> bool {
    let policy = object["metadata"]["annotations"]["helm.sh/hook-delete-policy"].as_str();
    policy.is_some_and(|policy| !policy.contains("hook-succeeded"))
}

#[tokio::test(flavor = "multi_thread")]
async fn every_selector_finds_its_pods() {
    for (name, of) in rendered().await {
        for object in of
            .objects
            .iter()
            .filter(|object| object["kind"] == "Deployment" || object["kind"] == "StatefulSet")
        {
            let selector = &object["spec"]["selector"]["matchLabels"];
            assert!(
                matches(selector, &object["spec"]["template"]["metadata"]["labels"]),
                "{name}: {}",
                label(object)
            );
            let found: Vec<String> = of
                .pods()
                .filter(|pod| matches(selector, &pod.metadata["labels"]))
                .map(|pod| pod.of)
                .collect();
            assert_eq!(found, [label(object)], "{name}");
        }
        for kind in ["PodDisruptionBudget", "NetworkPolicy", "Service"] {
            for object in of.kind(kind) {
                let spec = &object["spec"];
                let selector = [
                    &spec["selector"]["matchLabels"],
                    &spec["podSelector"]["matchLabels"],
                    &spec["selector"],
                ]
                .into_iter()
                .find(|selector| selector.is_object())
                .expect("a selector");
                let found = of
                    .pods()
                    .filter(|pod| matches(selector, &pod.metadata["labels"]))
                    .count();
                // With `startup` there is no pod that only migrates.
                let is_idle = name == "startup" && label(object).ends_with("-migrate");
                assert!(found == 1 || is_idle, "{name}: {} selects {found} pods", label(object));
            }
        }
        every_constraint_spreads_its_own_pods(name, of);
    }
}

fn every_constraint_spreads_its_own_pods(name: &str, of: &Rendered) {
    for pod in of.pods() {
        for constraint in items(&pod.spec["topologySpreadConstraints"]) {
            let selector = &constraint["labelSelector"]["matchLabels"];
            assert!(matches(selector, &pod.metadata["labels"]), "{name}: {}", pod.of);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_way_in_ends_at_a_port() {
    for (name, of) in rendered().await {
        for service in of.kind("Service") {
            let pod = of
                .pods()
                .find(|pod| matches(&service["spec"]["selector"], &pod.metadata["labels"]))
                .expect("one");
            for port in items(&service["spec"]["ports"]) {
                let has = pod
                    .containers()
                    .flat_map(|container| items(&container["ports"]))
                    .any(|of| of["name"] == port["targetPort"]);
                assert!(has, "{name}: {}: {port}", label(service));
            }
        }
        let routes = of.kind("HTTPRoute").chain(of.kind("GRPCRoute"));
        for backend in routes
            .flat_map(|route| items(&route["spec"]["rules"]))
            .flat_map(|rule| items(&rule["backendRefs"]))
        {
            assert!(
                has_port(of, &backend["name"], "port", &backend["port"]),
                "{name}: {backend}"
            );
        }
        for rule in of.kind("Ingress").flat_map(|ingress| items(&ingress["spec"]["rules"])) {
            let service = &rule["http"]["paths"][0]["backend"]["service"];
            assert!(
                has_port(of, &service["name"], "name", &service["port"]["name"]),
                "{name}: {service}"
            );
        }
        for target in of.kind("HorizontalPodAutoscaler").chain(of.kind("ScaledObject")) {
            let called = &target["spec"]["scaleTargetRef"]["name"];
            let mut scaled = of
                .kind("Deployment")
                .filter(|object| &object["metadata"]["name"] == called);
            let deployment = scaled.next().expect("a Deployment");
            assert!(
                deployment["spec"].get("replicas").is_none(),
                "{name}: {called} is scaled by two"
            );
        }
    }
}

/// Whether a Service has a port with that property.
fn has_port(of: &Rendered, service: &Value, property: &str, value: &Value) -> bool {
    let mut services = of
        .kind("Service")
        .filter(|object| &object["metadata"]["name"] == service);
    services.any(|object| items(&object["spec"]["ports"]).any(|port| &port[property] == value))
}

#[tokio::test(flavor = "multi_thread")]
async fn an_edge_finds_every_server_within_its_certificate() {
    for (name, of) in rendered().await {
        let edge = of.pods().find(|pod| pod.component() == "edge").expect("an edge");
        for variable in ["REELWAY_UPLOAD_URL", "REELWAY_JOBS_URL", "REELWAY_PROGRESS_URL"] {
            let url = edge.variable(variable).expect(variable);
            let (scheme, address) = url.split_once("://").expect("a URL");
            let (host, port) = address.split_once(':').expect("a port");
            let service = Value::from(host.split('.').next().expect("a name"));
            let port = Value::from(port.parse::<u64>().expect("a number"));
            assert!(has_port(of, &service, "port", &port), "{name}: {url}");
            let certificate = of.kind("Certificate").next();
            assert_eq!(scheme, if certificate.is_some() { "https" } else { "http" });
            if let Some(certificate) = certificate {
                assert!(
                    items(&certificate["spec"]["dnsNames"]).any(|name| name == host),
                    "{host}"
                );
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn pods_are_replaced_when_what_they_read_at_the_start_changes() {
    let all = rendered().await;
    let sum = |name: &str, which: &str| {
        let pod = all[name].pods().find(|pod| pod.component() == "upload").expect("one");
        pod.metadata["annotations"][which].clone()
    };
    assert!(sum("minimal", "checksum/settings").is_string());
    assert_ne!(sum("minimal", "checksum/settings"), sum("full", "checksum/settings"));
    assert_eq!(
        sum("minimal", "checksum/settings"),
        sum("keda-job", "checksum/settings")
    );
    assert!(sum("dev", "checksum/dev").is_string());
}
