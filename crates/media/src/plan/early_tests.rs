//! Plans and chunks from what is there of an arriving file, against those from all of it.

use std::{
    fs::File,
    os::unix::fs::FileExt as _,
    path::{Path, PathBuf},
};

use super::{ByteRange, Plan, make_early_plan};
use crate::{
    Arrived, AudioReading, ChunkJob, Layout, encode_audio, encode_chunk, layout, probe, testbench::*, undecoded_ms,
};

/// Twelve seconds with many bytes and B-frames: the first megabyte is not all of it.
const PICTURE: &str = "-f lavfi -i testsrc2=s=320x180:r=30:d=12 -f lavfi -i sine=d=12 -f lavfi -i sine=300:d=12";
const CODECS: &str = "-c:v libx264 -preset veryfast -qp 4 -g 70 -bf 3 -c:a aac";

/// A file of which a prefix and a tail are there.
struct Arriving {
    bytes: Vec<u8>,
    there: Arrived,
}

impl Arriving {
    /// As little of a file as lets its index be seen, with a tail of so many bytes.
    fn new(file: &Path, tail_bytes: usize) -> (Self, Vec<ByteRange>) {
        let bytes = std::fs::read(file).unwrap();
        let size = bytes.len() as u64;
        let tail = size - tail_bytes as u64;
        let mut arriving = Self {
            bytes,
            there: Arrived { prefix: 0, tail, size },
        };
        for _ in 0..100 {
            match arriving.layout() {
                Layout::Indexed(ranges) => {
                    assert!(arriving.there.prefix < size, "it was seen only at its end");
                    return (arriving, ranges);
                }
                Layout::Later(offset) => {
                    assert!(offset > arriving.there.prefix, "no step forward");
                    arriving.there.prefix = offset;
                }
                Layout::Pieces(_) | Layout::Complete => break,
            }
        }
        panic!("the index is not found");
    }

    fn layout(&self) -> Layout {
        layout(&self.there, |at, buffer| {
            buffer.copy_from_slice(&self.bytes[usize::try_from(at).unwrap()..][..buffer.len()]);
            Ok(())
        })
        .unwrap()
    }

    /// A sparse file with these bytes alone.
    fn view(&self, path: PathBuf, ranges: &[ByteRange]) -> PathBuf {
        let file = File::create(&path).unwrap();
        file.set_len(self.there.size).unwrap();
        for range in ranges {
            let bytes = &self.bytes[usize::try_from(range.start).unwrap()..usize::try_from(range.end).unwrap()];
            file.write_all_at(bytes, range.start).unwrap();
        }
        path
    }
}

async fn plan_of(bench: &Bench, file: &Path, ranges: &[ByteRange]) -> Plan {
    let scratch = bench.scratch();
    let work = bench.workspace(file, &scratch);
    let probe = probe(&work).await.unwrap();
    make_early_plan(&work, &probe, &one_rung(), ranges.to_vec())
        .await
        .unwrap()
}

/// Fails unless a file's plan and chunks come out of what is there of it as they come out of the whole.
async fn check(bench: &Bench, name: &str, file: &Path, tail_bytes: usize) {
    let (arriving, ranges) = Arriving::new(file, tail_bytes);
    let view = arriving.view(bench.path("view"), &ranges);
    let early = plan_of(bench, &view, &ranges).await;
    assert_eq!(early, plan_of(bench, file, &ranges).await, "{name}");

    let (whole, _) = bench.plan(file, &one_rung()).await.unwrap();
    let (mut video, planned) = (early.video.clone().unwrap(), whole.video.unwrap());
    let first = video.chunks[0].bytes.unwrap();
    assert!(
        first.end < arriving.there.size,
        "{name}: the first chunk needs {first:?}"
    );
    assert_eq!(early.source, whole.source, "{name}");
    for (index, chunk) in planned.chunks.iter().enumerate() {
        let bytes = video.chunks[index].bytes.take().unwrap();
        let view = arriving.view(bench.path("chunk"), &[&ranges[..], &[bytes]].concat());
        let mut made = Vec::new();
        for source in [&view, &file.to_owned()] {
            let scratch = bench.scratch();
            let work = bench.workspace(source, &scratch);
            let output = encode_chunk(&work, &planned, &ChunkJob::new(index, 1), |_| {})
                .await
                .unwrap();
            assert_eq!(output.frames, chunk.frames(), "{name}: chunk {index}");
            made.push(std::fs::read(&output.pieces[0]).unwrap());
        }
        assert!(made[0] == made[1], "{name}: chunk {index} of a view is another one");
    }
    assert_eq!(video, planned, "{name}: but for the bytes");
    check_sound(bench, name, &early, file, &arriving, &ranges).await;
}

/// Fails unless each run of sound comes out of what is there for it as it comes out of the whole file.
async fn check_sound(bench: &Bench, name: &str, early: &Plan, file: &Path, arriving: &Arriving, ranges: &[ByteRange]) {
    let mut runs = 0;
    for audio in &early.audios {
        for (place, run) in audio.runs.iter().enumerate() {
            let bytes = run.bytes.unwrap();
            let view = arriving.view(bench.path("run"), &[ranges, &[bytes]].concat());
            let mut made = Vec::new();
            for source in [&view, &file.to_owned()] {
                let scratch = bench.scratch();
                let work = bench.workspace(source, &scratch);
                let output = encode_audio(&work, audio, place, AudioReading::Planned, |_| {})
                    .await
                    .unwrap();
                // Of what lies around the run, nothing can be decoded in a view.
                let frames = run.end_frame.map_or(0, |end| end - run.start_frame);
                let undecoded_ms = undecoded_ms(&work, audio, run, &output.heard, frames).await.unwrap();
                assert_eq!(undecoded_ms, 0, "{name}: run {place} of {}", audio.name);
                made.push(std::fs::read(output.file).unwrap());
            }
            assert!(
                made[0] == made[1],
                "{name}: run {place} of {} of a view is another one",
                audio.name
            );
            runs += usize::from(bytes.end < arriving.there.size);
        }
    }
    assert!(runs > 0, "{name}: no run can be made before all of the file is there");
}

#[tokio::test]
async fn an_index_in_front_tells_all() {
    let bench = Bench::new().await;
    let clip = bench.ffmpeg(
        &format!("{PICTURE} -map 0 -map 1 -map 2 {CODECS} -movflags +faststart"),
        "front.mp4",
    );
    check(&bench, "faststart MP4 with two audio tracks", &clip, 0).await;
    let mov = bench.ffmpeg("-ss 3 -i front.mp4 -c copy -movflags +faststart", "edited.mov");
    check(&bench, "MOV with an edit list", &mov, 0).await;
}

#[tokio::test]
async fn an_index_that_was_sent_ahead_tells_all() {
    let bench = Bench::new().await;
    let uneven = "-vf setpts=PTS+mod(N\\,3)*0.005/TB -fps_mode passthrough";
    let clip = bench.ffmpeg(&format!("{PICTURE} -map 0 -map 1 {uneven} {CODECS}"), "behind.mp4");
    check(&bench, "MP4 of uneven frame rate", &clip, 100_000).await;
}
