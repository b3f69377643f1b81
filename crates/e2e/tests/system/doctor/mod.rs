//! `reelway doctor` over real deployments, healthy ones and such as have something wrong with them.

mod behind;
mod database;
mod deployment;

use serde_json::Value;

use crate::harness::Ended;

/// What the doctor found of one thing.
fn finding<'a>(findings: &'a [Value], check: &str) -> &'a Value {
    let found = findings.iter().find(|finding| finding["check"] == check);
    found.unwrap_or_else(|| panic!("nothing about {check}: {findings:#?}"))
}

/// Everything that isn't fine.
fn troubles(ended: &Ended) -> Vec<Value> {
    let mut findings = ended.json();
    findings.retain(|finding| finding["verdict"] != "ok");
    findings
}

/// Asserts that this was found to be so, and that somebody who reads it learns what to do.
fn expect(findings: &[Value], check: &str, verdict: &str, advice: &str) {
    let found = finding(findings, check);
    assert_eq!(found["verdict"], verdict, "{found}");
    let told = found["advice"].as_str().unwrap_or_default();
    assert!(told.contains(advice), "{found}");
}
