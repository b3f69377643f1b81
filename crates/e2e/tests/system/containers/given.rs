//! What containers are given, held against the command that takes it: options, secrets, and time to stop.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use futures_util::future::join_all;
use serde_json::Value;
use tokio::process::Command;

use super::{
    compose::{Compose, names, texts},
    dockerfile, root,
};
use crate::harness::{Process, reelway};

/// Longer than the command needs to find that no server listens.
const COMMAND_MAX: Duration = Duration::from_secs(30);

/// Secrets as `docker/make-secrets` makes them.
fn make_secrets(dir: &Path) {
    fs::copy(root().join("docker/make-secrets"), dir.join("make-secrets")).expect("a copy");
    // By its interpreter: a program that was just written may still be open in another test's child.
    let made = std::process::Command::new("bash")
        .arg(dir.join("make-secrets"))
        .output()
        .expect("it runs");
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
}

/// Has a URL among the secrets lead to where no server is.
fn lead_astray(secret: &Path, host: &str) {
    let url = fs::read_to_string(secret).expect("a secret");
    assert!(url.contains(&format!("@{host}")), "{url}");
    fs::remove_file(secret).expect("it is ours");
    fs::write(secret, url.replace(&format!("@{host}"), "@127.0.0.1:1")).expect("a secret");
}

/// The command with what a container gives it, whose files are in `dir` here.
fn as_in_container(service: &Value, args: &[&str], dir: &Path) -> Command {
    let given = service["environment"].as_object().expect("a map");
    let given = given
        .iter()
        .map(|(name, value)| (name.clone(), value.as_str().expect("text").to_owned()));
    let mut command = reelway(args);
    for (variable, value) in dockerfile::environment().into_iter().chain(given) {
        let dir = dir.display();
        let value = value.replace("/run/secrets/", &format!("{dir}/secrets/"));
        command.env(variable, value.replace("/var/lib/reelway", &format!("{dir}/data")));
    }
    command
}

#[tokio::test(flavor = "multi_thread")]
async fn the_command_takes_what_its_containers_are_given() {
    let compose = Compose::load().await;
    let dir = tempfile::tempdir().expect("a directory");
    make_secrets(dir.path());
    lead_astray(&dir.path().join("secrets/database_url"), "postgres:5432");
    lead_astray(&dir.path().join("secrets/redis_url"), "redis:6379");
    // Side by side, because each waits a while for the servers that aren't there.
    let takes = compose
        .own()
        .map(|(name, service)| takes_what_it_is_given(name, service, dir.path()));
    assert!(join_all(takes).await.len() > 1);
}

async fn takes_what_it_is_given(name: &str, service: &Value, dir: &Path) {
    let mut args: Vec<&str> = texts(&service["command"]).collect();
    if args[0] != "serve" {
        // It needs a database, and takes one that isn't away.
        let mut migrate = as_in_container(service, &args, dir);
        migrate.env_remove("REELWAY_DATABASE_FILE").env("REELWAY_DATA", dir);
        let ended = Process::spawn(migrate).ended(COMMAND_MAX).await;
        assert_eq!(ended.code, Some(0), "{name}: {ended:#?}");
        return;
    }
    args.splice(..1, ["doctor", "--json"]);
    let ended = Process::spawn(as_in_container(service, &args, dir))
        .ended(COMMAND_MAX)
        .await;
    let findings = ended
        .out
        .iter()
        .map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
    let verdicts: Vec<Value> = findings.filter(|finding| finding["check"] == "configuration").collect();
    assert!(
        verdicts.len() == 1 && verdicts[0]["verdict"] == "ok",
        "{name}: {ended:#?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_container_is_given_the_time_that_a_server_takes_to_stop() {
    let seconds = |text: &str| {
        text.strip_suffix('s')
            .and_then(|number| number.parse::<u64>().ok())
            .expect("seconds")
    };
    let help = Process::spawn(reelway(["serve", "--help"]))
        .ended(COMMAND_MAX)
        .await
        .out
        .join(" ");
    let help = help.split_whitespace().collect::<Vec<_>>().join(" ");
    let default = |option: &str| {
        let (_, about) = help
            .split_once(&format!("{option} <"))
            .unwrap_or_else(|| panic!("{option} is not in {help}"));
        let (_, about) = about.split_once("[default: ").expect("a default");
        seconds(about.split([',', ']']).next().expect("the rest"))
    };
    let needed = default("--lame-duck") + default("--drain") + default("--grace");
    assert!(needed > 0);
    let compose = Compose::load().await;
    for (name, service) in compose.own() {
        let given = seconds(service["stop_grace_period"].as_str().expect(name));
        assert!(
            given > needed,
            "{name} is killed after {given} s and may need {needed} s"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn secrets_are_made_once_and_fit() {
    let dir = tempfile::tempdir().expect("a directory");
    make_secrets(dir.path());
    let all = |dir: &Path| -> BTreeMap<String, String> {
        let entries = fs::read_dir(dir.join("secrets"))
            .expect("the directory")
            .map(|entry| entry.expect("an entry"));
        let read = |path: PathBuf| fs::read_to_string(path).expect("text").trim_end().to_owned();
        entries
            .map(|entry| (entry.file_name().into_string().expect("text"), read(entry.path())))
            .collect()
    };
    let first = all(dir.path());
    let compose = Compose::load().await;
    let wanted: Vec<&str> = names(&compose.0["secrets"]).collect();
    assert_eq!(first.keys().map(String::as_str).collect::<Vec<_>>(), wanted);
    for (name, secret) in compose.0["secrets"].as_object().expect("secrets") {
        let file = secret["file"].as_str().expect("a file");
        assert!(file.ends_with(&format!("docker/secrets/{name}")), "{file}");
    }
    assert!(first["database_url"].contains(&first["postgres_password"]));
    assert!(first["redis_url"].contains(first["redis_conf"].strip_prefix("requirepass ").expect("a password")));
    assert!(first["rclone_conf"].contains(&first["s3_secret_key"]));

    fs::remove_file(dir.path().join("secrets/webhook_secret")).expect("it is there");
    make_secrets(dir.path());
    let mut second = all(dir.path());
    let (old, new) = (
        &first["webhook_secret"],
        second.insert("webhook_secret".into(), first["webhook_secret"].clone()),
    );
    assert!(
        new.is_some_and(|new| new.starts_with("whsec_") && new != *old),
        "what is missing is made anew"
    );
    assert_eq!(first, second, "and nothing else");
}
