//! The order of what the kernel is asked to do: data, fdatasync, the catalog's commit, and only then the acknowledgement.

use std::{fs, io::Write as _, path::Path};

use bytes::Bytes;
use reelway::v1;
use tokio::{process::Command, sync::mpsc};
use tokio_stream::wrappers::ReceiverStream;

use crate::harness::{Node, Setup, within_secs};

/// A length whose encoding in an answer is nowhere else in the traffic.
const CHUNK_BYTES: usize = 70_001;
const CALLS: &str = "trace=pwrite64,fsync,fdatasync,write,writev,sendto,sendmsg";

#[tokio::test(flavor = "multi_thread")]
async fn fdatasync_stands_before_the_acknowledgement() {
    if let Err(why) = can_trace().await {
        // Past the capture of the test harness: whoever reads the run is to see it.
        let _ = writeln!(std::io::stderr(), "skipped: {why}");
        return;
    }
    let dir = tempfile::tempdir().expect("a directory");
    let trace = dir.path().join("trace");
    let log = trace.to_str().expect("text");
    // -D: the node stays this test's own child. -yy: files by path, sockets by address. -xx: strings in hexadecimal.
    let under = ["strace", "-D", "-f", "-yy", "-xx", "-s", "1024", "-e", CALLS, "-o", log];
    let mut node = Node::set_up(Setup {
        under: under.map(str::to_owned).to_vec(),
        ..Setup::default()
    })
    .await;
    let upload_id = acknowledged(&node).await;
    let port = node.grpc_port();
    within_secs(30, "the trace of the answer", async || {
        calls(&trace).iter().any(|call| call.is_ack(port))
    })
    .await;
    assert_eq!(node.terminate().await.code, Some(0));

    let calls = calls(&trace);
    let find = |what: &str, is_it: &dyn Fn(&Call) -> bool| {
        calls
            .iter()
            .find(|call| is_it(call))
            .unwrap_or_else(|| panic!("no {what} in the trace"))
    };
    let is_sync = |call: &Call| call.text.contains("fdatasync(") || call.text.contains("fsync(");
    let data = find("write of the data", &|c| {
        c.text.contains("pwrite64(") && c.text.contains(&upload_id)
    });
    let synced = find("sync of the data", &|c| {
        is_sync(c) && c.text.contains(&upload_id) && c.begin > data.end
    });
    let wal = find("sync of the catalog", &|c| {
        is_sync(c) && c.text.contains("catalog.sqlite-wal") && c.begin > synced.end
    });
    let ack = find("acknowledgement", &|c| c.is_ack(port));
    assert!(
        data.text.ends_with(&format!("= {CHUNK_BYTES}")),
        "the whole chunk is written: {}",
        data.text
    );
    assert!(
        synced.text.ends_with("= 0") && wal.text.ends_with("= 0"),
        "{}\n{}",
        synced.text,
        wal.text
    );
    assert!(
        ack.begin > wal.end,
        "the answer began on line {}, the commit ended on line {}",
        ack.begin,
        wal.end
    );
}

async fn can_trace() -> Result<(), String> {
    let tried = Command::new("strace")
        .args(["-D", "-f", "-o", "/dev/null", "true"])
        .output()
        .await;
    let tried = tried.map_err(|error| format!("strace can't be started: {error}"))?;
    let said = String::from_utf8_lossy(&tried.stderr);
    if tried.status.success() {
        Ok(())
    } else {
        Err(format!("this machine doesn't let strace trace: {said}"))
    }
}

/// Uploads one chunk, asks for it to be made durable, and waits for the answer.
async fn acknowledged(node: &Node) -> String {
    let mut uploads = node.uploads().await;
    let request = v1::CreateUploadRequest {
        preset: "none".to_owned(),
        ..Default::default()
    };
    let upload = uploads
        .create_upload(request)
        .await
        .expect("an answer")
        .into_inner()
        .upload
        .expect("an upload");
    let (chunks, requests) = mpsc::channel(1);
    let chunk = v1::UploadChunk {
        upload_id: upload.id.clone(),
        data: Bytes::from(vec![b'x'; CHUNK_BYTES]),
        flush: true,
        ..Default::default()
    };
    chunks
        .send(v1::StreamUploadRequest { chunk: Some(chunk) })
        .await
        .expect("room");
    let mut answers = uploads
        .stream_upload(ReceiverStream::new(requests))
        .await
        .expect("a stream")
        .into_inner();
    while let Some(answer) = answers.message().await.expect("an answer") {
        if answer.durable_offset == CHUNK_BYTES as i64 {
            return upload.id;
        }
    }
    panic!("the stream ended without the acknowledgement");
}

/// One system call: the lines on which it began and ended, and what it was.
#[derive(Debug)]
struct Call {
    begin: usize,
    end: usize,
    /// As strace shows it: every string in hexadecimal.
    raw: String,
    /// The same, readable.
    text: String,
}

impl Call {
    fn new(begin: usize, end: usize, raw: String) -> Self {
        let mut text = String::new();
        for (at, part) in raw.split("\\x").enumerate() {
            let byte = part
                .get(..2)
                .filter(|_| at > 0)
                .and_then(|digits| u8::from_str_radix(digits, 16).ok());
            text.extend(byte.map(char::from));
            text.push_str(if byte.is_some() { &part[2..] } else { part });
        }
        Self { begin, end, raw, text }
    }

    /// Whether this writes the message that holds the durable offset to a client of the port: a gRPC frame that is not
    /// compressed, with field 1 as a varint.
    fn is_ack(&self, port: u16) -> bool {
        let is_send = ["write(", "writev(", "sendto(", "sendmsg("]
            .iter()
            .any(|call| self.text.contains(call));
        let field = [0x08, 0xf1, 0xa2, 0x04];
        let bytes = self.bytes();
        let framed = |at: usize| at >= 5 && bytes[at - 5] == 0;
        is_send
            && self.text.contains(&format!("TCP:[127.0.0.1:{port}->"))
            && bytes
                .windows(field.len())
                .enumerate()
                .any(|(at, window)| window == field && framed(at))
    }

    /// The bytes that were written, as far as strace shows them.
    fn bytes(&self) -> Vec<u8> {
        let quoted = self.raw.split('"').skip(1).step_by(2);
        quoted
            .flat_map(|text| {
                text.split("\\x")
                    .filter_map(|digits| u8::from_str_radix(digits, 16).ok())
            })
            .collect()
    }
}

/// The calls of a trace by their ends. A call that another thread's interrupted is put together again.
fn calls(trace: &Path) -> Vec<Call> {
    let text = fs::read_to_string(trace).expect("a trace");
    let (mut calls, mut begun) = (Vec::new(), Vec::<(&str, usize, &str)>::new());
    for (at, line) in text.lines().enumerate() {
        let Some((thread, what)) = line.split_once(char::is_whitespace) else {
            continue;
        };
        if let Some(first) = what.trim_end().strip_suffix("<unfinished ...>") {
            begun.push((thread, at, first));
        } else if let Some((_, rest)) = what.split_once(" resumed>") {
            let Some(index) = begun.iter().position(|(of, ..)| *of == thread) else {
                continue;
            };
            let (_, begin, first) = begun.swap_remove(index);
            calls.push(Call::new(begin, at, format!("{first}{rest}")));
        } else {
            calls.push(Call::new(at, at, what.to_owned()));
        }
    }
    calls
}
