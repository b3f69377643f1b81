//! Servers that die or are paused while they put an upload together.

use std::time::Duration;

use reelway::v1::UploadState;
use reelway_bus::Bus;
use reelway_domain::FileEpoch;
use tokio::runtime::Runtime;

use super::{harness::*, join::*, on_both};
use crate::{Settings, UploadServer};

on_both!(many_servers_put_each_upload_together_once,);

/// A server of its own, as a process that can be killed: nothing of it runs on, and it tells nobody.
fn doomed(node: &Node, store: reelway_blob::Store) -> (Runtime, tokio_util::sync::CancellationToken) {
    let shutdown = tokio_util::sync::CancellationToken::new();
    let settings = node.server.shared.settings.clone();
    let server = UploadServer::new(node.catalog.clone(), store, Bus::default(), settings, shutdown.clone());
    let runtime = Runtime::new().unwrap();
    runtime.spawn(server.join());
    (runtime, shutdown)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_server_goes_on_where_a_killed_one_was() {
    let settings = Settings {
        join_lease: Duration::from_millis(600),
        ..Settings::default()
    };
    let a = Node::sharing_with(At::Disk, settings).await;
    let content = content(21 * MIB + 3);
    let cut = 18 * MIB;
    let first = part(&a, Some(cut), &content.slice(..cut)).await;
    let second = part(&a, Some(content.len() - cut), &content.slice(cut..)).await;
    // Nobody but the doomed server looks for uploads to be put together until it is dead.
    a.shutdown.cancel();
    let restore = block(a.path(&second.id));
    let new = reelway_catalog::NewUpload {
        id: reelway_domain::UploadId::new(),
        tenant: reelway_domain::Tenant::single(),
        size: None,
        file_name: String::new(),
        content_type: String::new(),
        metadata: Default::default(),
        expected_sha256: None,
        expiry: Settings::default().expiry,
        job: None,
        webhook_url: None,
        client_state: String::new(),
        kind: reelway_domain::UploadKind::Joined,
        parts: [&first, &second].map(|part| part.id.parse().unwrap()).to_vec(),
        request: None,
    };
    a.store.create_upload(new.id).await.unwrap();
    a.catalog.create_upload(&new).await.unwrap();
    let id = new.id.to_string();
    let (process, _shutdown) = doomed(&a, a.another_store().await);
    until(async || a.row(&id).await.durable_offset.0 >= 8 * MIB as i64).await;
    let before = a.row(&id).await;
    process.shutdown_background();
    restore();

    let b = a.beside(Bus::default()).await;
    let done = ended(&b, &id).await;
    assert_eq!(done.state(), UploadState::Complete);
    assert!(bytes(&b, &id).await == content);
    let row = b.row(&id).await;
    assert!(
        row.writer_epoch > before.writer_epoch && row.file_epoch > FileEpoch::FIRST,
        "{row:?}"
    );
    assert_ne!(row.writer, before.writer);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_goes_down_leaves_it_at_once() {
    let a = Node::sharing(At::Disk).await;
    let content = content(12 * MIB);
    let cut = 10 * MIB;
    let first = part(&a, Some(cut), &content.slice(..cut)).await;
    let second = part(&a, Some(content.len() - cut), &content.slice(cut..)).await;
    let restore = block(a.path(&second.id));
    let joined = a.create_with(of([&first, &second])).await.unwrap();
    until(async || a.row(&joined.id).await.durable_offset.0 > 0).await;
    a.shutdown.cancel();
    // What it had copied counts, and the row is free, long before a lease would run out.
    until(async || a.row(&joined.id).await.writer.is_none()).await;
    assert_eq!(a.row(&joined.id).await.durable_offset.0, cut as i64);
    restore();
    let b = a.beside(Bus::default()).await;
    assert_eq!(ended(&b, &joined.id).await.state(), UploadState::Complete);
    assert!(bytes(&b, &joined.id).await == content);
    assert_eq!(
        b.row(&joined.id).await.file_epoch,
        FileEpoch::FIRST,
        "its file was gone on with"
    );
}

async fn many_servers_put_each_upload_together_once(at: At) {
    let a = Node::sharing(at).await;
    let nodes = [a.beside(a.bus.clone()).await, a.beside(Bus::default()).await];
    let content = content(MIB + 7);
    let parts = [content.slice(..MIB / 2), content.slice(MIB / 2..)];
    let mut made = Vec::new();
    for piece in &parts {
        made.push(part(&a, Some(piece.len()), piece).await);
    }
    let mut joined = Vec::new();
    for node in nodes.iter().cycle().take(12) {
        joined.push(node.create_with(of(&made)).await.unwrap());
    }
    for upload in &joined {
        assert_eq!(ended(&a, &upload.id).await.state(), UploadState::Complete);
        assert!(bytes(&a, &upload.id).await == content);
    }
}
