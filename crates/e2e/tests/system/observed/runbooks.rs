//! Whoever is woken finds a page, and no page is about an alert that is gone.

use std::collections::{BTreeMap, BTreeSet};

use super::{alerts::alerts, texts};

/// Where they are.
const DIRECTORY: &str = "docs/runbooks";
/// The page with all others on it.
const INDEX: &str = "README";
/// What each page says, in this order.
const SECTIONS: [&str; 4] = ["## What it means", "## Look at", "## Do", "## Worry when"];

/// The pages by the names of their alerts.
fn pages() -> BTreeMap<String, String> {
    let mut pages = texts(DIRECTORY, "md");
    pages.remove(INDEX).expect("the index");
    pages
}

/// Every piece of code on a page, with where it is.
pub(super) fn expressions() -> Vec<(String, String)> {
    let mut all = Vec::new();
    for (name, page) in texts(DIRECTORY, "md") {
        let code = page
            .split('`')
            .skip(1)
            .step_by(2)
            .filter(|code| code.contains("reelway_"));
        all.extend(code.map(|code| (format!("{DIRECTORY}/{name}.md"), code.to_owned())));
    }
    all
}

#[test]
fn every_alert_has_its_page_and_every_page_its_alert() {
    let alerts = alerts();
    let names: BTreeSet<&str> = alerts.iter().map(|alert| alert.name.as_str()).collect();
    assert_eq!(names.len(), alerts.len(), "a name is there twice");
    let pages = pages();
    assert_eq!(pages.keys().map(String::as_str).collect::<BTreeSet<_>>(), names);
    let index = texts(DIRECTORY, "md").remove(INDEX).expect("the index");
    for alert in &alerts {
        assert_eq!(alert.runbook, format!("{DIRECTORY}/{}.md", alert.name));
        let link = format!("[{0}]({0}.md)", alert.name);
        assert_eq!(index.matches(&link).count(), 1, "{link}");
    }
    assert_eq!(
        index.matches(".md)").count(),
        names.len(),
        "the index names no other page"
    );
}

#[test]
fn every_page_says_what_to_look_at_and_what_to_do() {
    for (name, page) in pages() {
        assert!(page.starts_with(&format!("# {name}\n")), "{name}");
        let places: Vec<usize> = SECTIONS
            .iter()
            .map(|section| {
                page.find(&format!("\n{section}\n"))
                    .unwrap_or_else(|| panic!("{name}: no {section}"))
            })
            .collect();
        assert!(places.is_sorted(), "{name}");
    }
}
