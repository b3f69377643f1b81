//! Names that are no ids.

use super::*;

on_both!(whatever_is_wrong_with_a_name_nothing_is_under_it,);

async fn whatever_is_wrong_with_a_name_nothing_is_under_it(at: At) {
    let node = Node::start_at(at).await;
    let path = created(&node, 3).await;
    let id = id(&path);
    let long = "a".repeat(6000);
    let names = [
        "..",
        "%2e%2e%2f",
        "%00",
        &format!("{id}%00"),
        &format!("{id}/"),
        &format!("{id}/x"),
        &format!("{id}%2F.."),
        &format!("../files/{id}"),
        &id.to_uppercase(),
        "upl_",
        "%ff",
        "a%0d%0aSet-Cookie:%20a=b",
        &long,
    ];
    for name in names {
        for method in ["HEAD", "PATCH", "DELETE"] {
            let headers = [OCTETS, ("Upload-Offset", "0")];
            let answer = send(&node, method, &format!("/files/{name}"), &headers, b"").await;
            assert_eq!(answer.status, 404, "{method} {name}");
            assert_eq!(answer.header("set-cookie"), None);
        }
    }
    assert_eq!(offset(&node, &path).await, 0);
}
