//! A server that dies around the commit of an offset: the bytes count once, or not at all.

use std::{fs::File, time::Duration};

use nix::{
    fcntl::{FcntlArg, fcntl},
    libc,
};
use reelway::v1::upload_service_client::UploadServiceClient;
use reelway_testkit::{FaultProxy, Way};
use tokio::time::timeout;

use super::calls::{created, offset};
use crate::harness::{Role, Shape, System, WriteStream, channel, within_secs};

/// More than the answer to anything takes.
const SOON: Duration = Duration::from_secs(10);
/// Less than a client may send without hearing from the server.
const CHUNK_BYTES: usize = 30_000;

on_both!(fault_02_kill_after_write_before_commit, shape());
on_both!(fault_03_kill_after_commit_before_ack, shape());

fn shape() -> Shape {
    Shape {
        worker: 0,
        ..Shape::default()
    }
}

/// The bytes are in the file, the commit is under way and doesn't come through.
async fn fault_02_kill_after_write_before_commit(mut system: System) {
    let mut uploads = system.uploads().await;
    let upload_id = created(&mut uploads).await;
    let mut stream = WriteStream::open(&mut uploads, &upload_id).await.expect("a stream");
    stream.send_flushed(vec![b'a'; CHUNK_BYTES]).await;
    stream.acked().await.expect("an acknowledgement");

    let held = CommitsHeld::on(&system);
    stream.send_flushed(vec![b'b'; CHUNK_BYTES]).await;
    within_secs(30, "the second chunk in the file", async || {
        system.written_bytes(&upload_id) == 2 * CHUNK_BYTES as u64
    })
    .await;
    system.server_mut(Role::Upload, 0).kill9().await;
    held.release(&system);
    system.server_mut(Role::Upload, 0).restart().await;

    let mut uploads = system.uploads().await;
    // Other bytes than those that lie there already, and fewer.
    let mut again = WriteStream::open(&mut uploads, &upload_id).await.expect("a stream");
    assert_eq!(again.at(), CHUNK_BYTES);
    again.send(vec![b'c'; CHUNK_BYTES / 2]).await;
    again.finish().await.expect("a complete upload");
    let sent = [vec![b'a'; CHUNK_BYTES], vec![b'c'; CHUNK_BYTES / 2]].concat();
    assert!(
        system.stored(&upload_id) == sent,
        "nothing is left of what didn't count"
    );
}

/// The offset is committed, and the answer doesn't come through.
async fn fault_03_kill_after_commit_before_ack(mut system: System) {
    let wire = FaultProxy::before(system.server(Role::Upload, 0).grpc()).await;
    let mut direct = system.uploads().await;
    let upload_id = created(&mut direct).await;
    let mut through = UploadServiceClient::new(channel(&format!("http://{}", wire.address())).await);
    let mut stream = WriteStream::open(&mut through, &upload_id).await.expect("a stream");
    wire.to_client(Way::HELD);
    stream.send_flushed(vec![b'a'; CHUNK_BYTES]).await;
    within_secs(30, "the commit", async || {
        offset(&mut direct, &upload_id).await == CHUNK_BYTES as i64
    })
    .await;
    system.server_mut(Role::Upload, 0).kill9().await;
    wire.cut();
    let status = timeout(SOON, stream.broken()).await.expect("an end");
    assert!(
        std::error::Error::source(&status).is_some(),
        "the client only sees that the connection broke: {status:?}"
    );
    system.server_mut(Role::Upload, 0).restart().await;

    let mut uploads = system.uploads().await;
    // It goes on from there: nothing is sent twice, and nothing is missing.
    let mut again = WriteStream::open(&mut uploads, &upload_id).await.expect("a stream");
    assert_eq!(again.at(), CHUNK_BYTES);
    again.send(vec![b'b'; 7]).await;
    let upload = again.finish().await.expect("a complete upload");
    assert_eq!(upload.size_bytes, Some(CHUNK_BYTES as i64 + 7));
    let sent = [vec![b'a'; CHUNK_BYTES], vec![b'b'; 7]].concat();
    assert!(system.stored(&upload_id) == sent);
}

/// While it is there, nothing that an upload server commits takes effect.
enum CommitsHeld {
    /// The wire to Postgres.
    Wire,
    /// The lock on SQLite's write-ahead log.
    Lock(File),
}

impl CommitsHeld {
    fn on(system: &System) -> Self {
        let server = system.server(Role::Upload, 0);
        if system.is_split() {
            server.wires().postgres.to_server(Way::HELD);
            return Self::Wire;
        }
        let path = server.data().join("catalog.sqlite-shm");
        let file = File::options()
            .read(true)
            .write(true)
            .open(path)
            .expect("the index of the log");
        fcntl(&file, FcntlArg::F_OFD_SETLKW(&wal_write_lock())).expect("the lock");
        Self::Lock(file)
    }

    fn release(self, system: &System) {
        match self {
            Self::Wire => {
                // The commit that is on its way must not arrive after all: that would be a kill after the commit.
                let wires = system.server(Role::Upload, 0).wires();
                wires.postgres.cut();
                wires.postgres.restore();
            }
            Self::Lock(file) => drop(file),
        }
    }
}

/// What SQLite takes to write: byte 120 of the index (sqlite.org/walformat.html, section 2.3.1).
fn wal_write_lock() -> libc::flock {
    let small = |constant: i32| constant.try_into().expect("it fits its field");
    libc::flock {
        l_type: small(libc::F_WRLCK),
        l_whence: small(libc::SEEK_SET),
        l_start: 120,
        l_len: 1,
        l_pid: 0,
    }
}
