//! What `/metrics` answers, and whether it has what an expression asks for.

use std::collections::BTreeMap;

use super::promql::{Matcher, grouped, selectors};

/// Labels that Prometheus gives to everything that it scrapes.
const OF_TARGETS: [&str; 3] = ["namespace", "job", "instance"];

/// One line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Series {
    name: String,
    labels: BTreeMap<String, String>,
}

/// Reads a page; its values aren't looked at.
pub(super) fn read(page: &str) -> Vec<Series> {
    let lines = page.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines.map(series).collect()
}

fn series(line: &str) -> Series {
    let (series, _) = line.rsplit_once(' ').expect("a value");
    let (name, labels) = series.split_once('{').unwrap_or((series, "}"));
    let mut rest = labels.strip_suffix('}').expect("the end of the labels");
    let mut labels = BTreeMap::new();
    while let Some((label, quoted)) = rest.split_once("=\"") {
        // No value here has a quote or a backslash in it.
        let (value, behind) = quoted.split_once('"').expect("the end of a value");
        labels.insert(label.trim_start_matches(',').to_owned(), value.to_owned());
        rest = behind;
    }
    let name = name.to_owned();
    Series { name, labels }
}

/// What an expression asks for that isn't there.
pub(super) fn missing(expression: &str, told: &[Series]) -> Vec<String> {
    let mut missing = Vec::new();
    let mut seen = Vec::new();
    for selector in selectors(expression) {
        let named: Vec<&Series> = told.iter().filter(|series| series.name == selector.metric).collect();
        if !named.iter().any(|series| answers(series, &selector.matchers)) {
            missing.push(format!("{} {:?}", selector.metric, selector.matchers));
        }
        seen.extend(named);
    }
    let labels = grouped(expression).into_iter();
    let unknown = labels.filter(|label| {
        !OF_TARGETS.contains(&label.as_str()) && !seen.iter().any(|series| series.labels.contains_key(label))
    });
    missing.extend(unknown.map(|label| format!("the label {label} of {expression}")));
    missing
}

/// Whether a series has the labels that are asked for, and the values as far as they are certain to come up.
fn answers(series: &Series, matchers: &[Matcher]) -> bool {
    let ours = matchers
        .iter()
        .filter(|matcher| !OF_TARGETS.contains(&matcher.label.as_str()));
    ours.into_iter().all(|matcher| {
        let value = series.labels.get(&matcher.label);
        value.is_some_and(
            |value| match (matcher.operator.as_str(), matcher.value.strip_suffix(".*")) {
                ("=", _) => *value == matcher.value,
                ("=~", Some(start)) => value.starts_with(start),
                _ => true,
            },
        )
    })
}

#[test]
fn what_is_not_told_is_missing() {
    let told = read("# TYPE reelway_a gauge\nreelway_a{kind=\"video\",le=\"+Inf\"} 1\nreelway_b 2\n");
    for there in [
        "reelway_b",
        r#"sum by (kind, instance) (reelway_a{kind="video", job=~"$job"})"#,
        r#"reelway_a{kind=~"vid.*"}"#,
        r#"reelway_a{kind!="audio"}"#,
    ] {
        assert_eq!(missing(there, &told), Vec::<String>::new());
    }
    for absent in [
        "reelway_c",
        "reelway_a_total",
        r#"reelway_b{kind="video"}"#,
        r#"reelway_a{kind="audio"}"#,
        r#"reelway_a{kind=~"aud.*"}"#,
        "sum by (outcome) (reelway_a)",
    ] {
        assert_eq!(missing(absent, &told).len(), 1, "{absent}");
    }
}
