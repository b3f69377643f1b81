//! Movies whose samples are said to be in another file: the data references of MOV.

use std::process::Command;

use super::{bench, boxes::boxed, boxes::with_body, is_about_the_source, trap::Trap, way};
use crate::SandboxLevel;

const CANARY: &str = "canary.mp4";
/// Where the data references of the first track are.
const PATH: [&[u8; 4]; 6] = [b"moov", b"trak", b"mdia", b"minf", b"dinf", b"dref"];

/// A data reference as QuickTime writes it for a file on a disk (the Alias Manager's record): a file beside this one.
fn alias(path: &str) -> Vec<u8> {
    let text = |text: &str, room: usize| {
        let length = u8::try_from(text.len().min(room)).unwrap();
        let mut bytes = vec![length];
        bytes.extend(text.bytes().take(room));
        bytes.resize(1 + room, 0);
        bytes
    };
    let levels = [0, 1, 0, 1];
    let mut record = vec![0; 4 + 10];
    record.extend(
        [
            text("disk", 27),
            vec![0; 12],
            text(CANARY, 63),
            vec![0; 16],
            levels.to_vec(),
            vec![0; 16],
        ]
        .concat(),
    );
    let length = u16::try_from(path.len()).unwrap();
    // Item 2 is the absolute path, and -1 the end.
    record.extend([&2_u16.to_be_bytes()[..], &length.to_be_bytes(), path.as_bytes()].concat());
    record.resize(record.len() + path.len() % 2, 0);
    record.extend([0xFF, 0xFF, 0, 0]);
    boxed(b"alis", &record)
}

/// A reference by an address, which is not this file.
fn url(address: &str) -> Vec<u8> {
    boxed(b"url ", &[&[0; 4], address.as_bytes(), &[0]].concat())
}

fn references(entry: &[u8]) -> Vec<u8> {
    [&[0, 0, 0, 0, 0, 0, 0, 1][..], entry].concat()
}

#[tokio::test]
async fn samples_are_never_read_from_elsewhere() {
    for level in [SandboxLevel::Prefer, SandboxLevel::Off] {
        let bench = bench(level).await;
        let trap = Trap::set(&bench, CANARY);
        let own = std::fs::read(bench.clip("10", 1.0, "-c:v libx264 -preset ultrafast", "own.mov")).unwrap();
        let path = trap.file().display().to_string();
        for (name, entry) in [
            ("alias.mov", alias(&path.replace('/', ":"))),
            ("file.mov", url(&format!("file://{path}"))),
            ("http.mov", url(&format!("http://{}/canary.mp4", trap.address()))),
            ("data.mov", url("data:video/mp4;base64,AAAA")),
        ] {
            let file = bench.file(name, &with_body(&own, &PATH, &references(&entry)));
            let reason = way(&bench, &file).await;
            assert!(reason.is_none_or(is_about_the_source), "{name}: {reason:?}");
            assert!(
                !trap.was_opened() && !trap.was_called(),
                "{name} at {level:?}: {reason:?}"
            );
        }
    }
}

/// Shows that the alias leads to the file, if only somebody follows it.
#[tokio::test]
async fn an_ffprobe_that_follows_references_reads_the_other_file() {
    let bench = bench(SandboxLevel::Off).await;
    let trap = Trap::set(&bench, CANARY);
    let own = std::fs::read(bench.clip("10", 1.0, "-c:v libx264 -preset ultrafast", "own.mov")).unwrap();
    let entry = alias(&trap.file().display().to_string().replace('/', ":"));
    let file = bench.file("alias.mov", &with_body(&own, &PATH, &references(&entry)));
    let mut ffprobe = Command::new("ffprobe");
    ffprobe
        .args(["-v", "quiet", "-enable_drefs", "1", "-show_packets"])
        .arg(&file);
    assert!(ffprobe.output().unwrap().status.success());
    assert!(trap.was_opened());
}
