//! As much of PromQL as it takes to see what an expression asks for.

use std::collections::BTreeSet;

/// What all metrics of ours begin with.
const PREFIX: &str = "reelway_";
/// What lists of labels stand behind.
const GROUPINGS: [&str; 6] = ["by", "without", "on", "ignoring", "group_left", "group_right"];

/// A metric, and what its labels must be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Selector {
    pub(super) metric: String,
    pub(super) matchers: Vec<Matcher>,
}

/// One condition in braces.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Matcher {
    pub(super) label: String,
    /// `=`, `!=`, `=~` or `!~`.
    pub(super) operator: String,
    pub(super) value: String,
}

/// What an expression selects of our metrics.
pub(super) fn selectors(expression: &str) -> Vec<Selector> {
    let mut found = Vec::new();
    let mut rest = expression;
    while let Some(at) = rest.find(PREFIX) {
        let (name, behind) = word(&rest[at..]);
        rest = behind;
        let mut matchers = Vec::new();
        if let Some(mut inside) = rest.strip_prefix('{') {
            while let Some((matcher, behind)) = matcher(inside) {
                matchers.push(matcher);
                inside = behind;
            }
            rest = inside;
        }
        found.push(Selector {
            metric: name.to_owned(),
            matchers,
        });
    }
    found
}

/// The labels that an expression groups or joins by, but those that it makes itself.
pub(super) fn grouped(expression: &str) -> BTreeSet<String> {
    let mut labels = BTreeSet::new();
    let mut rest = expression;
    while let Some(at) = rest.find(|c: char| c.is_ascii_alphabetic()) {
        let (word, behind) = word(&rest[at..]);
        rest = behind;
        if GROUPINGS.contains(&word)
            && let Some(list) = rest.trim_start().strip_prefix('(')
            && let Some((list, behind)) = list.split_once(')')
        {
            labels.extend(list.split(',').map(|label| label.trim().to_owned()));
            rest = behind;
        }
    }
    labels.retain(|label| !label.is_empty() && !expression.contains(&format!("\"{label}\", \"$1\"")));
    labels
}

/// The identifier at the start of a text, and what is behind it.
fn word(text: &str) -> (&str, &str) {
    let end = text.find(|c: char| c != '_' && !c.is_ascii_alphanumeric());
    text.split_at(end.unwrap_or(text.len()))
}

/// The condition at the start of what stands in braces, and what is behind it; nothing at the end.
fn matcher(inside: &str) -> Option<(Matcher, &str)> {
    let (label, behind) = word(inside.trim_start_matches([',', ' ']));
    let (operator, quoted) = behind.split_once('"')?;
    let (value, rest) = quoted.split_once('"')?;
    let matcher = Matcher {
        label: label.to_owned(),
        operator: operator.trim().to_owned(),
        value: value.to_owned(),
    };
    (!label.is_empty()).then_some((matcher, rest))
}

#[test]
fn selectors_and_groupings_are_found() {
    let expression = r#"sum by (kind, le) (rate(reelway_a_total{outcome="failed", kind!~"x|y"}[5m])) / on (job)
        sum(label_replace(reelway_b, "service", "$1", "method", "(.*)")) without (service)"#;
    let matcher = |label: &str, operator: &str, value: &str| Matcher {
        label: label.to_owned(),
        operator: operator.to_owned(),
        value: value.to_owned(),
    };
    let matchers = vec![matcher("outcome", "=", "failed"), matcher("kind", "!~", "x|y")];
    let selector = |metric: &str, matchers| Selector {
        metric: metric.to_owned(),
        matchers,
    };
    assert_eq!(
        selectors(expression),
        [selector("reelway_a_total", matchers), selector("reelway_b", Vec::new())]
    );
    let labels = ["job", "kind", "le"].map(str::to_owned);
    assert_eq!(grouped(expression), BTreeSet::from(labels));
}
