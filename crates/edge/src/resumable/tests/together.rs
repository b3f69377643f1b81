//! Several requests for one upload (section 4.6).

use super::harness::*;

on_both!(
    r24_a_new_append_ends_the_old_one,
    r24_two_at_once_never_mix_their_bytes,
    r24_a_new_append_ends_the_old_one_on_another_edge,
);

async fn r24_a_new_append_ends_the_old_one(at: At) {
    let node = Node::start_at(at).await;
    let path = created(&node, 1 << 20).await;
    let content = content(1 << 20);
    let headers = append_headers(0, "?1", "Content-Length: 1048576");
    let mut old = begun(&node, "PATCH", &path, &headers).await;
    old.write(&content[..1000]).await;
    until(async || durable(&node).await > 0).await;
    // A client that thinks its connection is dead asks on another one, while the old one is still open.
    let (_, _, offset) = head(&node, &path).await.standing();
    let offset = usize::try_from(offset).unwrap();
    let done = append(&node, &path, offset, "?1", &content[offset..]).await;
    assert_eq!(done.standing(), (201, "?1", 1 << 20));
    old.closed().await;
    assert!(node.stored(id(&path)).await == content);
}

async fn r24_two_at_once_never_mix_their_bytes(at: At) {
    let node = Node::start_at(at).await;
    for _ in 0..20 {
        let path = created(&node, 600_000).await;
        let (a, b) = (vec![b'a'; 600_000], vec![b'b'; 600_000]);
        let (first, second) = tokio::join!(append(&node, &path, 0, "?1", &a), append(&node, &path, 0, "?1", &b));
        let done = [&first, &second].map(|answer| answer.status == 201);
        if done.iter().any(|done| *done) {
            let stored = node.stored(id(&path)).await;
            assert!(stored == a || stored == b, "{first:?} {second:?}");
        }
    }
}

async fn r24_a_new_append_ends_the_old_one_on_another_edge(at: At) {
    let node = Node::with(Setup { at, ..Setup::shared() }).await;
    let other = node.beside().await;
    let path = created(&node, 1 << 20).await;
    let content = content(1 << 20);
    let headers = append_headers(0, "?1", "Content-Length: 1048576");
    let mut old = begun(&node, "PATCH", &path, &headers).await;
    old.write(&content[..1000]).await;
    until(async || durable(&node).await > 0).await;
    let (_, _, offset) = head(&other, &path).await.standing();
    let offset = usize::try_from(offset).unwrap();
    let done = append(&other, &path, offset, "?1", &content[offset..]).await;
    assert_eq!(done.standing(), (201, "?1", 1 << 20));
    old.closed().await;
    assert!(node.stored(id(&path)).await == content);
}
