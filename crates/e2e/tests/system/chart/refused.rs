//! Values that can't work are refused, with what to do about it.

use std::fs;

use futures_util::future::join_all;

use super::{
    rendered::{HELMS, RELEASE, helm},
    values_in,
};

/// How a file begins that says what the refusal has to say.
const WANTED: &str = "# refused: ";

#[tokio::test(flavor = "multi_thread")]
async fn values_that_cannot_work_are_refused_with_advice() {
    let files = values_in("ci/refused");
    assert!(files.len() >= 25);
    let each = files.into_iter().map(|(name, values)| async move {
        let file = fs::read_to_string(&values).expect("a file");
        let wanted = file
            .lines()
            .next()
            .and_then(|line| line.strip_prefix(WANTED))
            .expect(&name);
        for generation in HELMS {
            let output = helm(generation, &["template", RELEASE], &values).await;
            let said = String::from_utf8_lossy(&output.stderr);
            assert!(!output.status.success(), "{generation} takes {name}");
            assert!(said.contains(wanted), "{generation}, {name}: {said}");
        }
    });
    join_all(each).await;
}
