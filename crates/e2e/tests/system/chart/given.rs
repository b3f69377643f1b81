//! What the chart gives to the command is what the command takes.

use std::{collections::BTreeSet, fs};

use futures_util::future::join_all;
use serde_json::Value;

use super::{chart, installed, items, rendered, rendered::label, text};
use crate::harness::{Tool, reelway};

/// Variables that are the clients' of buckets.
const OTHERS: [&str; 4] = [
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_REGION",
    "GOOGLE_SERVICE_ACCOUNT",
];
/// Options of `serve` that the chart sets itself, or that mean nothing with one role in a pod.
const OWNED: [&str; 43] = [
    "admin",
    "auth",
    "config",
    "data",
    "database",
    "database-file",
    "drain",
    "encoder-memory",
    "grace",
    "grpc",
    "help",
    "http",
    "insecure",
    "jobs-grpc",
    "jobs-url",
    "lame-duck",
    "log",
    "log-format",
    "otlp",
    "progress-grpc",
    "progress-url",
    "public-url",
    "redis",
    "redis-ca-file",
    "redis-file",
    "role",
    "sandbox",
    "server",
    "signing-key-file",
    "store",
    "store-endpoint",
    "tls-cert",
    "tls-client-ca",
    "tls-key",
    "trace-ratio",
    "upload-grpc",
    "upload-url",
    "upstream-ca",
    "version",
    "webhook-secret-file",
    "webhook-url",
    "worker-memory",
    "worker-slots",
];

/// What `reelway serve --help` says.
async fn help(command: &str) -> String {
    let output = reelway([command, "--help"]).output().await.expect("it runs");
    String::from_utf8(output.stdout).expect("text")
}

#[tokio::test(flavor = "multi_thread")]
async fn every_variable_is_one_that_the_command_reads() {
    let help = help("serve").await + &help("doctor").await;
    for (name, of) in rendered().await {
        let settings = of.kind("ConfigMap").filter_map(|map| map["data"].as_object()).flatten();
        let settings = settings.map(|(name, _)| name.as_str());
        let pods: Vec<_> = of.pods().collect();
        let env = pods
            .iter()
            .flat_map(super::rendered::Pod::containers)
            .filter(|container| !items(&container["args"]).any(|argument| argument == "postgres"))
            .flat_map(|container| items(&container["env"]))
            .map(|variable| text(&variable["name"]));
        for variable in settings
            .chain(env)
            .filter(|name| name.contains("REELWAY_") || name.starts_with("AWS_"))
        {
            let is_known = help.contains(&format!("[env: {variable}]")) || help.contains(&format!("[env: {variable}="));
            assert!(
                is_known || OTHERS.contains(&variable),
                "{name}: nobody reads {variable}"
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_role_takes_what_it_is_given() {
    let all = rendered().await;
    // Two shapes whose store is a directory, so that nobody is asked who isn't there.
    for name in ["ingress", "dev"] {
        let pods = all[name].pods().filter(|pod| pod.variable("REELWAY_GRACE").is_some());
        let directory = tempfile::tempdir().expect("a directory");
        for secret in ["database_url", "redis_url"] {
            let url = if secret == "redis_url" {
                "redis://127.0.0.1:1"
            } else {
                "postgres://a:b@127.0.0.1:1/c"
            };
            fs::write(directory.path().join(secret), url).expect("a file");
        }
        let here = directory.path().to_str().expect("a path in UTF-8");
        let takes = pods.map(|pod| async move {
            let settings = all[name]
                .kind("ConfigMap")
                .find(|map| label(map).ends_with("-settings"));
            let settings = settings.and_then(|map| map["data"].as_object()).expect("the settings");
            let settings = settings.iter().map(|(name, value)| (name.as_str(), text(value)));
            let own = items(&pod.spec["containers"][0]["env"]);
            let own = own.map(|variable| (text(&variable["name"]), text(&variable["value"])));
            let mut doctor = reelway(["doctor", "--json"]);
            for (name, value) in settings.chain(own) {
                doctor.env(
                    name,
                    value.replace("/run/secrets/reelway", here).replace("/var/lib", here),
                );
            }
            let output = doctor.output().await.expect("it runs");
            let said = String::from_utf8(output.stdout).expect("text");
            let finding = said.lines().find(|line| line.contains("\"configuration\""));
            assert!(
                finding.is_some_and(|line| line.contains("\"ok\"")),
                "{name}: {}: {said}",
                pod.of
            );
        });
        assert_eq!(join_all(takes).await.len(), 5, "every role");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_table_of_values_is_up_to_date() {
    let script = chart().join("../../scripts/lib/helm-values.py");
    let python = installed("kube-tools.sh").await;
    let mut check = Tool::new(python.to_str().expect("a path in UTF-8"));
    check.path(&script).args(["check"]).run().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_option_can_be_set_in_one_way() {
    let help = help("serve").await;
    let options: BTreeSet<&str> = help
        .lines()
        .filter_map(|line| {
            line.trim_start()
                .trim_start_matches("-h, ")
                .trim_start_matches("-V, ")
                .strip_prefix("--")
        })
        .map(|line| {
            line.split(|c: char| c != '-' && !c.is_ascii_alphanumeric())
                .next()
                .expect("a first part")
        })
        .collect();
    let schema = fs::read_to_string(chart().join("values.schema.json")).expect("the schema");
    let schema: Value = serde_json::from_str(&schema).expect("JSON");
    let settable = schema["properties"]["settings"]["properties"]
        .as_object()
        .expect("a map");
    let taken: BTreeSet<&str> = settable.keys().map(String::as_str).chain(OWNED).collect();
    assert_eq!(
        settable.len() + OWNED.len(),
        taken.len(),
        "an option is set in two ways"
    );
    assert_eq!(taken, options);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_schema_names_every_key() {
    let schema = fs::read_to_string(chart().join("values.schema.json")).expect("the schema");
    let schema: Value = serde_json::from_str(&schema).expect("JSON");
    // Subcharts of others may share it.
    let mut open = Vec::new();
    collect_open(&schema, "", &mut open);
    assert_eq!(open, ["/properties/global"]);
}

/// The objects of a schema that name keys and take others too.
fn collect_open(schema: &Value, at: &str, open: &mut Vec<String>) {
    for (name, value) in schema.as_object().into_iter().flatten() {
        collect_open(value, &format!("{at}/{name}"), open);
    }
    if schema.get("type").is_some_and(|kind| kind == "object")
        && schema.get("properties").is_some()
        && schema.get("additionalProperties") != Some(&Value::from(false))
    {
        open.push(at.to_owned());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn secrets_are_files() {
    let all = rendered().await;
    for (name, of) in all {
        for pod in of.pods() {
            for variable in pod.containers().flat_map(|container| items(&container["env"])) {
                let called = text(&variable["name"]);
                let is_key = called.starts_with("AWS_") && called.contains("ACCESS_KEY");
                assert_eq!(
                    variable["valueFrom"].is_object(),
                    is_key,
                    "{name}: {}: {called}",
                    pod.of
                );
            }
        }
        for map in of.kind("ConfigMap") {
            assert!(
                !map["data"].to_string().contains("reelway-dev"),
                "{name}: the password is for everybody to read"
            );
        }
    }
    let jobs = all["full"].pods().find(|pod| pod.component() == "jobs").expect("one");
    assert_eq!(
        jobs.variable("REELWAY_WEBHOOK_SECRET_FILE"),
        Some("/run/secrets/reelway/webhook_secret")
    );
    let upload = all["full"].pods().find(|pod| pod.component() == "upload").expect("one");
    assert_eq!(
        upload.variable("REELWAY_WEBHOOK_SECRET_FILE"),
        None,
        "only who signs has the secret"
    );
}
