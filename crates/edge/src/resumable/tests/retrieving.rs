//! Offset retrieval (section 4.3) and cancellation (section 4.5).

use super::harness::*;

on_both!(
    r14_head_tells_everything,
    r15_the_offset_that_is_told_is_accepted_next,
    r23_r2_what_is_deleted_is_gone,
    r23_a_running_append_is_ended,
    r23_what_is_complete_can_be_deleted_too,
);

async fn r14_head_tells_everything(at: At) {
    let node = Node::start_at(at).await;
    let path = created(&node, 5).await;
    append(&node, &path, 0, "?0", b"abc").await;
    let told = head(&node, &path).await;
    assert_eq!(told.standing(), (204, "?0", 3));
    assert_eq!(
        (told.value("upload-length"), told.value("cache-control")),
        ("5", "no-store")
    );
    let limit = told.value("upload-limit");
    let age = limit.rsplit_once("max-age=").unwrap().1.parse::<i64>().unwrap();
    assert!((1..=24 * 3600).contains(&age), "{limit}");

    let got = call(&node, "GET", &path, &[], b"").await;
    assert_eq!(got.standing(), (200, "?0", 3));
    assert_eq!(
        (&got.json()["id"], got.value("cache-control")),
        (&id(&path).into(), "no-store")
    );

    append(&node, &path, 3, "?1", b"de").await;
    let told = head(&node, &path).await;
    assert_eq!((told.standing(), told.value("upload-length")), ((204, "?1", 5), "5"));
    assert!(
        !told.value("upload-limit").contains("max-age"),
        "what is complete doesn't expire"
    );
}

async fn r15_the_offset_that_is_told_is_accepted_next(at: At) {
    let node = Node::start_at(at).await;
    let path = created(&node, 1 << 20).await;
    let content = content(1 << 20);
    let headers = append_headers(0, "?1", "Content-Length: 1048576");
    let mut running = begun(&node, "PATCH", &path, &headers).await;
    running.write(&content[..700_000]).await;
    until(async || durable(&node).await > 0).await;
    let told = head(&node, &path).await;
    let (status, complete, offset) = told.standing();
    assert_eq!((status, complete), (204, "?0"));
    let offset = usize::try_from(offset).unwrap();
    assert!(offset <= 700_000);
    let done = append(&node, &path, offset, "?1", &content[offset..]).await;
    assert_eq!(done.standing(), (201, "?1", 1 << 20));
    assert!(node.stored(id(&path)).await == content);
}

async fn r23_r2_what_is_deleted_is_gone(at: At) {
    let node = Node::start_at(at).await;
    let path = created(&node, 5).await;
    append(&node, &path, 0, "?0", b"abc").await;
    assert_eq!(call(&node, "DELETE", &path, &[], b"").await.status, 204);
    assert_eq!(head(&node, &path).await.status, 410);
    assert_eq!(append(&node, &path, 3, "?1", b"de").await.status, 410);
    assert_eq!(call(&node, "DELETE", &path, &[], b"").await.status, 410);
    assert_eq!(
        call(&node, "GET", &path, &[], b"").await.json()["reason"],
        "UPLOAD_ABORTED"
    );
}

async fn r23_a_running_append_is_ended(at: At) {
    let node = Node::start_at(at).await;
    let path = created(&node, 1 << 20).await;
    let headers = append_headers(0, "?1", "Content-Length: 1048576");
    let mut running = begun(&node, "PATCH", &path, &headers).await;
    running.write(&content(1000)).await;
    until(async || durable(&node).await > 0).await;
    assert_eq!(call(&node, "DELETE", &path, &[], b"").await.status, 204);
    assert_eq!(running.answer("PATCH").await.status, 410, "it isn't left waiting");
}

async fn r23_what_is_complete_can_be_deleted_too(at: At) {
    let node = Node::start_at(at).await;
    let done = call(&node, "POST", "/uploads?preset=none", &["Upload-Complete: ?1"], b"abc").await;
    assert_eq!(call(&node, "DELETE", &done.location(), &[], b"").await.status, 204);
    assert_eq!(head(&node, &done.location()).await.status, 410);
}
