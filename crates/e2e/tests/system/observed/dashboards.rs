//! The dashboards of the chart.

use std::collections::BTreeSet;

use serde_json::Value;

use super::texts;

/// Where they are.
const DIRECTORY: &str = "helm/reelway/files/dashboards";

/// All dashboards by their files' names.
fn dashboards() -> Vec<(String, Value)> {
    let read = |(name, text): (String, String)| {
        let board = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{name}: {error}"));
        (name, board)
    };
    texts(DIRECTORY, "json").into_iter().map(read).collect()
}

/// Every expression of every panel, with where it is.
pub(super) fn expressions() -> Vec<(String, String)> {
    let mut all = Vec::new();
    for (name, board) in dashboards() {
        for panel in items(&board["panels"]) {
            for target in items(&panel["targets"]) {
                let place = format!("{name}: {}", panel["title"]);
                all.push((place, target["expr"].as_str().expect("an expression").to_owned()));
            }
        }
    }
    assert!(!all.is_empty());
    all
}

fn items(list: &Value) -> impl Iterator<Item = &Value> {
    list.as_array().into_iter().flatten()
}

#[test]
fn dashboards_are_whole() {
    for (name, board) in dashboards() {
        assert_eq!(board["uid"], format!("reelway-{name}"), "links to it must last");
        let variables: Vec<_> = items(&board["templating"]["list"])
            .map(|variable| &variable["name"])
            .collect();
        assert_eq!(variables, ["datasource", "namespace", "job"], "{name}");
        let mut ids = BTreeSet::new();
        let mut taken = BTreeSet::new();
        for panel in items(&board["panels"]) {
            assert!(ids.insert(panel["id"].as_u64()), "{name}: {panel}");
            let grid = |side: &str| panel["gridPos"][side].as_u64().expect("a place");
            for cell in (grid("y")..grid("y") + grid("h")).flat_map(|y| (0..grid("w")).map(move |x| (x, y))) {
                assert!(cell.0 + grid("x") < 24, "{name}: {panel} is beside the page");
                assert!(
                    taken.insert((cell.0 + grid("x"), cell.1)),
                    "{name}: {panel} lies over another"
                );
            }
            if panel["type"] == "row" {
                continue;
            }
            assert!(
                panel["description"].as_str().is_some_and(|text| !text.is_empty()),
                "{name}: {panel}"
            );
            assert_eq!(panel["datasource"]["uid"], "${datasource}", "{name}: {panel}");
        }
    }
}

#[test]
fn dashboards_show_the_namespace_and_job_that_were_picked() {
    for (place, expression) in expressions() {
        let metrics = super::promql::selectors(&expression);
        let picked = |label: &str| expression.matches(&format!("{label}=~\"${label}\"")).count();
        assert_eq!(
            (picked("namespace"), picked("job")),
            (metrics.len(), metrics.len()),
            "{place}: {expression}"
        );
    }
}
