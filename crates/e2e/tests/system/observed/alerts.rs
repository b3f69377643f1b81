//! The alerts of the chart, held against Prometheus' own judge.

use std::{fs, io::Write as _, process::Stdio};

use tokio::process::Command;

use super::path;

/// The rules.
const RULES: &str = "helm/reelway/files/alerts.yaml";
/// Times in which they must fire, and in which they must not.
const TIMES: &str = "crates/e2e/prometheus/alerts_test.yaml";
/// What each rule begins with.
const BEGIN: &str = "- alert: ";

/// One rule.
pub(super) struct Alert {
    pub(super) name: String,
    pub(super) expression: String,
    pub(super) runbook: String,
}

/// All rules.
pub(super) fn alerts() -> Vec<Alert> {
    let text = fs::read_to_string(path(RULES)).expect("the rules");
    let rules: Vec<Alert> = text.split(BEGIN).skip(1).map(alert).collect();
    assert!(!rules.is_empty());
    rules
}

fn alert(rule: &str) -> Alert {
    let name = rule.lines().next().expect("a name").to_owned();
    let (_, behind) = rule.split_once("expr: ").expect("an expression");
    let end = behind.find(" for: ").into_iter().chain(behind.find(" labels: ")).min();
    let expression = behind[..end.expect("labels")].trim_start_matches('|').trim().to_owned();
    let (_, runbook) = rule.split_once("runbook_url: ").expect("a runbook");
    Alert {
        name,
        expression,
        runbook: runbook.lines().next().expect("a path").to_owned(),
    }
}

#[test]
fn every_alert_is_read_whole() {
    for alert in alerts() {
        let opened = alert.expression.matches(['(', '{', '[']).count();
        assert_eq!(
            opened,
            alert.expression.matches([')', '}', ']']).count(),
            "{}: {}",
            alert.name,
            alert.expression
        );
        assert!(alert.expression.contains("reelway_"), "{}", alert.name);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn alerts_fire_when_they_must_and_only_then() {
    let Some(promtool) = promtool().await else { return };
    let test = path(TIMES);
    let output = Command::new(&promtool)
        .args(["test", "rules"])
        .arg(&test)
        .output()
        .await
        .expect("it runs");
    let said = String::from_utf8_lossy(&output.stderr).into_owned() + &String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}");
    let times = fs::read_to_string(test).expect("the times");
    let untested: Vec<String> = alerts()
        .into_iter()
        .map(|alert| alert.name)
        .filter(|name| !times.contains(name.as_str()))
        .collect();
    assert!(untested.is_empty(), "nothing says when these fire: {untested:?}");
}

/// The judge, if it can be had here.
async fn promtool() -> Option<String> {
    let script = path("scripts/lib/promtool.sh");
    let output = Command::new(script)
        .stderr(Stdio::piped())
        .output()
        .await
        .expect("it runs");
    if output.status.success() {
        return Some(String::from_utf8_lossy(&output.stdout).trim().to_owned());
    }
    // Not to what the test harness captures: somebody must see it.
    let why = String::from_utf8_lossy(&output.stderr).into_owned();
    let _ = writeln!(std::io::stderr(), "skipped: promtool can't be had here: {why}");
    None
}
