//! Ids as attackers write them.

use super::{anyone::Deployment, methods::Method};

#[tokio::test(flavor = "multi_thread")]
async fn strange_ids_are_refused_and_lead_nowhere() {
    let deployment = Deployment::start().await;
    let alice = deployment.key("alice", "all").await;
    let long = "a".repeat(4096);
    let strange = [
        "..",
        "../../etc/passwd",
        "a/b",
        "a\\b",
        "upl_\0",
        "upl_..",
        "%2e%2e",
        "upl_",
        &long,
        "UPL_\u{202e}",
    ];
    for method in Method::all().iter().filter(|method| method.names_something()) {
        for id in strange {
            let status = deployment
                .call(method, Some(&alice), id, id)
                .await
                .expect_err(&method.path);
            let (_, reason, message) = super::told(&status);
            assert!(
                ["FIELD_INVALID", "UPLOAD_NOT_FOUND", "JOB_NOT_FOUND"].contains(&reason.as_str()),
                "{} {id:?}: {reason} {message}",
                method.path
            );
        }
    }
    for id in [
        "..",
        "..%2f..%2fetc%2fpasswd",
        "%00",
        "upl_%00",
        "upl_..",
        "a%5cb",
        &long,
    ] {
        for path in ["/files", "/uploads", "/v1/uploads", "/v1/jobs", "/play"] {
            let (status, body) = deployment.get(&format!("{path}/{id}"), Some(&alice)).await;
            assert!((400..500).contains(&status), "{path}/{id}: {status} {body}");
            assert!(!body.contains("root:"), "{path}/{id}: {body}");
        }
    }
}
