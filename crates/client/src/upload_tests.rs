//! Uploads over connections and servers that fail.

use std::io::{Cursor, Write as _};

use reelway::v1;
use reelway_domain::Reason;
use tokio::sync::watch;

use crate::{
    Class, Error, RetryPolicy, UploadProgress,
    test_server::{TestServer, refusal, upload},
};

const MIB: usize = 1 << 20;

/// Bytes in which no two chunks are alike.
fn file(bytes: usize) -> Vec<u8> {
    (0u32..)
        .flat_map(|i| i.wrapping_mul(2_654_435_761).to_le_bytes())
        .take(bytes)
        .collect()
}

async fn send(server: &TestServer, content: &[u8]) -> Result<v1::Upload, Error> {
    let progress = watch::Sender::new(UploadProgress::default());
    let (size_bytes, mut source) = (content.len() as u64, Cursor::new(content));
    server
        .client()
        .upload(upload(content.len()), &mut source, size_bytes, &progress)
        .await
}

#[tokio::test]
async fn an_upload_goes_on_after_each_cut() {
    let server = TestServer::start();
    let content = file(20 * MIB + 5);
    // More cuts than retries in a row are allowed, but each time something got through.
    server.shared().faults = [1, 3 * MIB, 5, MIB / 2, 2 * MIB - 1, 6 * MIB, 700_000]
        .map(|bytes| (bytes, refusal(Reason::StoreUnavailable)))
        .into();
    let done = send(&server, &content).await.expect("a complete upload");
    assert_eq!(done.state(), v1::UploadState::Complete);
    let shared = server.shared();
    assert!(shared.stored == content, "every byte arrived once");
    assert_eq!(shared.streams, 8);
}

#[tokio::test]
async fn an_upload_goes_on_at_another_server() {
    let first = TestServer::start();
    let mut servers = [TestServer::beside(&first), first];
    // Half of the tries meet the one that is away.
    let policy = RetryPolicy {
        retries_max: 40,
        ..TestServer::policy()
    };
    let client = TestServer::client_of(&[&servers[0], &servers[1]]).with_policy(policy);
    let content = file(24 * MIB);
    let progress = watch::Sender::new(UploadProgress::default());
    let mut seen = progress.subscribe();
    let mut source = Cursor::new(&content[..]);
    let kill = async {
        // One after the other, so that whichever has the stream is killed, and one is always there.
        for (index, bytes) in [(0, 4 << 20), (1, 12 << 20)] {
            seen.wait_for(|p| p.durable_bytes > bytes)
                .await
                .expect("the upload is under way");
            servers[index].kill();
            servers[1 - index].restart();
        }
    };
    let sent = client.upload(upload(content.len()), &mut source, content.len() as u64, &progress);
    // An upload that fails must not leave the test waiting for it to go on.
    let kill = async {
        kill.await;
        Ok(())
    };
    let ((), done) = tokio::try_join!(kill, sent).expect("a complete upload");
    assert_eq!(done.state(), v1::UploadState::Complete);
    assert!(servers[0].shared().stored == content);
}

#[tokio::test]
async fn an_upload_goes_on_when_the_server_was_killed() {
    let mut server = TestServer::start();
    let content = file(24 * MIB);
    let progress = watch::Sender::new(UploadProgress::default());
    let mut seen = progress.subscribe();
    let client = server.client();
    let mut source = Cursor::new(&content[..]);
    let kill = async {
        seen.wait_for(|p| p.durable_bytes > 4 << 20)
            .await
            .expect("the upload is under way");
        server.restart();
    };
    let (done, ()) = tokio::join!(
        client.upload(upload(content.len()), &mut source, content.len() as u64, &progress),
        kill
    );
    done.expect("a complete upload");
    let shared = server.shared();
    assert!(shared.streams >= 2, "the stream was cut");
    assert!(shared.stored == content);
}

#[tokio::test]
async fn retries_without_progress_end() {
    let server = TestServer::start();
    server.shared().faults = vec![(0, refusal(Reason::StoreUnavailable)); 4].into();
    let error = send(&server, &file(MIB)).await.expect_err("no byte gets through");
    assert_eq!((error.reason(), error.class()), ("STORE_UNAVAILABLE", Class::Again));
    assert_eq!(server.shared().streams, 4, "one attempt and three more");
}

#[tokio::test]
async fn another_writer_and_refusals_end_an_upload_at_once() {
    for reason in [
        Reason::WriterSuperseded,
        Reason::FileChecksumMismatch,
        Reason::StorageFull,
    ] {
        let server = TestServer::start();
        server.shared().faults = [(MIB, refusal(reason))].into();
        let error = send(&server, &file(3 * MIB)).await.expect_err("it is refused");
        assert!(
            matches!(&error, Error::Refused(refusal) if refusal.known_reason() == Some(reason)),
            "{error:?}"
        );
        assert_eq!(server.shared().streams, 1);
    }
}

#[tokio::test]
async fn the_window_is_bounded_and_doesnt_lock_up() {
    let server = TestServer::start();
    server.shared().is_lazy = true;
    let content = file(20 * MIB);
    send(&server, &content).await.expect("a complete upload");
    let shared = server.shared();
    assert!(shared.stored == content);
    assert_eq!(
        shared.unacknowledged_max,
        16 * MIB,
        "the client asked for an acknowledgement when its window was full"
    );
}

#[tokio::test]
async fn an_empty_file_completes() {
    let server = TestServer::start();
    send(&server, &[]).await.expect("a complete upload");
    assert!(server.shared().finished);
}

#[tokio::test]
async fn a_file_that_changed_its_size_is_refused() {
    let server = TestServer::start();
    let mut path = tempfile::NamedTempFile::new().expect("a file");
    path.write_all(&file(MIB)).expect("a full file");
    let progress = watch::Sender::new(UploadProgress::default());
    let client = server.client();
    for expected in [MIB - 1, MIB + 1] {
        let error = client
            .upload_file(upload(expected), path.path(), &progress)
            .await
            .expect_err("another length");
        assert!(matches!(error, Error::FileChanged { .. }), "{error:?}");
    }
    assert_eq!(server.shared().streams, 0);
    // The length was right at the beginning, but the bytes are fewer or more by the end.
    for bytes in [MIB - 1, MIB + 1] {
        let content = file(bytes);
        let error = client
            .upload(upload(MIB), &mut Cursor::new(content), MIB as u64, &progress)
            .await;
        assert!(matches!(error, Err(Error::FileChanged { .. })), "{error:?}");
    }
    assert!(!server.shared().finished);
}

#[tokio::test]
async fn a_server_that_takes_no_tail_gets_the_file() {
    let server = TestServer::start();
    let box_of = |kind: &[u8; 4], bytes: usize| {
        let length = u32::try_from(bytes + 8).expect("a small box");
        [&length.to_be_bytes()[..], kind, &file(bytes)].concat()
    };
    let film = [box_of(b"ftyp", 8), box_of(b"mdat", 3 * MIB), box_of(b"moov", MIB)].concat();
    let mut source = Cursor::new(&film);
    let tail = server
        .client()
        .put_tail(&upload(film.len()), &mut source, film.len() as u64)
        .await;
    assert_eq!(tail.expect_err("it has none").reason(), "FEATURE_UNAVAILABLE");
    send(&server, &film).await.expect("a complete upload");
    assert!(server.shared().stored == film);
}
