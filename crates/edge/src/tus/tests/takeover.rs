//! Two clients on one upload: the new request ends the old one.

use reelway_catalog::{Commit, Opened};

use super::*;
use crate::testing::{Setup, content, until, wire::Wire};

on_both!(
    head_ends_the_writer_and_tells_everything_that_arrived,
    a_patch_ends_the_one_before,
    another_edge_is_no_different,
    whoever_was_taken_over_has_no_part_in_the_success_of_another,
    two_at_one_offset_never_both_succeed,
);

const SIZE: usize = 400_000;

/// A client that has sent some of what it said, and is still there.
async fn sending(node: &Node, path: &str, sent: &[u8]) -> Wire {
    let mut wire = Wire::connect(node.address).await;
    let size = SIZE.to_string();
    wire.head(
        "PATCH",
        path,
        &[TUS, OCTETS, ("Upload-Offset", "0"), ("Content-Length", &size)],
    )
    .await;
    wire.write(sent).await;
    until(async || node.has_come(id(path), sent.len()).await).await;
    wire
}

async fn head_ends_the_writer_and_tells_everything_that_arrived(at: At) {
    let node = Node::start_at(at).await;
    let whole = content(SIZE);
    let path = created(&node, SIZE).await;
    let mut old = sending(&node, &path, &whole[..150_000]).await;
    assert_eq!(offset(&node, &path).await, 150_000);
    let answer = old.answer("PATCH").await;
    assert_eq!((answer.status, answer.header("retry-after")), (423, Some("1")));
    old.closed().await;
    appended(&node, &path, 150_000, &whole[150_000..]).await;
    assert_eq!(node.stored(id(&path)).await, whole);
}

async fn a_patch_ends_the_one_before(at: At) {
    let node = Node::start_at(at).await;
    let whole = content(SIZE);
    let path = created(&node, SIZE).await;
    let mut old = sending(&node, &path, &whole[..150_000]).await;
    let answer = patch(&node, &path, 0, &whole).await;
    let told = (answer.status, answer.header("upload-offset"));
    assert_eq!(told, (409, Some("150000")), "nothing that arrived is lost");
    assert_eq!(old.answer("PATCH").await.status, 423);
    appended(&node, &path, 150_000, &whole[150_000..]).await;
    assert_eq!(node.stored(id(&path)).await, whole);
}

async fn another_edge_is_no_different(at: At) {
    let node = Node::with(Setup { at, ..Setup::shared() }).await;
    let other = node.beside().await;
    let whole = content(SIZE);
    let path = created(&node, SIZE).await;
    let mut old = sending(&node, &path, &whole[..150_000]).await;
    let at = offset(&other, &path).await;
    assert_eq!(at, 150_000, "nothing that arrived is lost");
    assert_eq!(old.answer("PATCH").await.status, 423);
    old.closed().await;
    appended(&other, &path, at, &whole[at..]).await;
    assert_eq!(other.stored(id(&path)).await, whole);
    assert_eq!(offset(&node, &path).await, SIZE);
}

/// The order in which the one that is taken over finds out only when the other one has completed the upload.
async fn whoever_was_taken_over_has_no_part_in_the_success_of_another(at: At) {
    let node = Node::start_at(at).await;
    let whole = content(SIZE);
    let path = created(&node, SIZE).await;
    let mut old = sending(&node, &path, &whole[..150_000]).await;
    // In the catalog alone, as another process does of which no hint tells.
    let row = node.upload(id(&path)).await;
    let opened = node
        .catalog
        .open_writer(&row.tenant, row.id, node.store.writer_id())
        .await;
    let Opened::Writer(later) = opened.unwrap() else {
        panic!("the upload has ended");
    };
    let (epoch, size) = (later.writer_epoch, later.size.unwrap());
    let completed = node.catalog.complete_upload(row.id, epoch, size).await.unwrap();
    assert!(matches!(completed, Commit::Done(_)), "{completed:?}");
    old.write(&whole[150_000..]).await;
    assert_eq!(old.answer("PATCH").await.status, 423);
    assert_eq!(offset(&node, &path).await, SIZE);
}

async fn two_at_one_offset_never_both_succeed(at: At) {
    let node = Node::start_at(at).await;
    let (ours, theirs) = (content(SIZE), vec![7; SIZE]);
    for _ in 0..20 {
        let path = created(&node, SIZE).await;
        let (a, b) = tokio::join!(patch(&node, &path, 0, &ours), patch(&node, &path, 0, &theirs));
        let taken = [&a, &b].into_iter().filter(|answer| answer.status == 204).count();
        assert!(taken <= 1, "{a:?} {b:?}");
        // The one that is asked to end keeps what it got, which is all of it or less.
        let at = offset(&node, &path).await;
        if at < SIZE {
            appended(&node, &path, at, &ours[at..]).await;
        }
        let stored = node.stored(id(&path)).await;
        let is_of = |whole: &[u8]| stored[..at] == whole[..at];
        assert!(is_of(&ours) || is_of(&theirs), "bytes of both");
        let winner = if a.status == 204 { &ours } else { &theirs };
        assert!(taken == 0 || (at == SIZE && is_of(winner)));
    }
}
