//! Connections that break, and servers that go down: what has arrived is kept.

use reelway::v1::WriteUploadRequest;
use reelway_domain::Reason;
use tokio::{runtime::Runtime, sync::mpsc};
use tokio_stream::wrappers::ReceiverStream;

use super::{harness::*, on_both};

on_both!(
    what_arrived_before_a_cut_is_kept,
    a_server_that_goes_down_keeps_what_came,
);

/// How much has arrived: the length of the file, whatever is recorded; in a bucket what is durable.
async fn length(node: &Node, id: &str) -> usize {
    let bytes = match node.store.disk() {
        Some(_) => node.path(id).metadata().unwrap().len(),
        None => node.get(id).await.durable_offset.unsigned_abs(),
    };
    usize::try_from(bytes).unwrap()
}

async fn what_arrived_before_a_cut_is_kept(at: At) {
    let node = Node::start(at).await;
    for connection_too in [false, true] {
        let content = content(5 * MIB);
        let upload = node.create(None).await;
        let (messages, receiver) = mpsc::channel(8);
        for chunk in chunks(&upload, &content, 0, MIB) {
            messages.send(WriteUploadRequest { chunk: Some(chunk) }).await.unwrap();
        }
        // A runtime of its own has a connection of its own, which dies with it.
        let (elsewhere, address) = (Runtime::new().unwrap(), node.address.clone());
        let call = elsewhere.spawn(async move {
            let mut client = connect(&address).await;
            let _ = client.write_upload(ReceiverStream::new(receiver)).await;
        });
        until(async || length(&node, &upload.id).await == content.len()).await;
        let connection = if connection_too {
            elsewhere.shutdown_background();
            None
        } else {
            call.abort();
            Some(elsewhere)
        };
        until(async || node.get(&upload.id).await.durable_offset == 5 * MIB as i64).await;
        node.complete(&upload.id, 5 * MIB as i64).await.unwrap();
        assert!(node.stored(&upload.id).await == content);
        drop(messages);
        if let Some(elsewhere) = connection {
            elsewhere.shutdown_background();
        }
    }
}

async fn a_server_that_goes_down_keeps_what_came(at: At) {
    let node = Node::start(at).await;
    let upload = node.create(None).await;
    let (mut stream, _) = Stream::open(&node, chunk(&upload, 0, content(1000))).await;
    until(async || length(&node, &upload.id).await == 1000).await;
    node.shutdown.cancel();
    let failure = refused(stream.end().await, Reason::ShuttingDown);
    assert_eq!(durable(&failure), 1000);
    patient(node.server.drained()).await;
    let row = node
        .catalog
        .upload(&reelway_domain::Tenant::single(), upload.id.parse().unwrap())
        .await;
    assert_eq!(row.unwrap().unwrap().durable_offset.0, 1000);
}
