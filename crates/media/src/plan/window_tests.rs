//! Plans from what is there of a whole source, against those from all of it.

use std::{
    fs::File,
    os::unix::fs::FileExt as _,
    path::{Path, PathBuf},
};

use super::{ByteRange, Plan, make_windowed_plan};
use crate::{chunk_bytes, outline, probe, testbench::*};

/// Ten seconds of so many bytes that the opening is but a part of them.
const NOISE: &str = "-f lavfi -i testsrc2=s=640x360:r=20:d=10,noise=alls=40:allf=t -f lavfi -i sine=d=10 -c:v libx264 -preset \
                     ultrafast -qp 10 -g 40 -c:a aac";

fn outline_of(bytes: &[u8]) -> Vec<ByteRange> {
    let read = |at: u64, buffer: &mut [u8]| {
        buffer.copy_from_slice(&bytes[usize::try_from(at).unwrap()..][..buffer.len()]);
        Ok(())
    };
    outline(bytes.len() as u64, read).unwrap().unwrap()
}

/// A sparse file with these bytes alone.
fn view(path: PathBuf, bytes: &[u8], ranges: &[ByteRange]) -> PathBuf {
    let file = File::create(&path).unwrap();
    file.set_len(bytes.len() as u64).unwrap();
    for range in ranges {
        let part = &bytes[usize::try_from(range.start).unwrap()..usize::try_from(range.end).unwrap()];
        file.write_all_at(part, range.start).unwrap();
    }
    path
}

async fn plan_of(bench: &Bench, file: &Path, there: &[ByteRange]) -> Option<Plan> {
    let scratch = bench.scratch();
    let work = bench.workspace(file, &scratch);
    let probe = probe(&work).await.unwrap();
    make_windowed_plan(&work, &probe, &one_rung(), there).await.unwrap()
}

#[tokio::test]
async fn the_plan_is_that_of_the_whole_source() {
    let bench = Bench::new().await;
    let behind = bench.ffmpeg(NOISE, "behind.mp4");
    let front = bench.ffmpeg("-i behind.mp4 -c copy -movflags +faststart", "front.mov");
    for file in [&behind, &front] {
        let bytes = std::fs::read(file).unwrap();
        let there = outline_of(&bytes);
        let seen: u64 = there.iter().map(|range| range.end - range.start).sum();
        assert!(seen < bytes.len() as u64 * 3 / 4, "{seen} of {}", bytes.len());
        let view = view(bench.path("view"), &bytes, &there);
        let mut windowed = plan_of(&bench, &view, &there).await.unwrap();
        assert_eq!(windowed.index_bytes, there);
        let video = windowed.video.as_mut().unwrap();
        let chunks = video.chunks.len();
        let of = |chunk, attempt| chunk_bytes(video, chunk, attempt).unwrap();
        let (last, retried) = (of(chunks - 1, 1), of(chunks - 1, 2));
        assert!(last.start > bytes.len() as u64 / 2, "{last:?}");
        assert_eq!(retried.end, last.end);
        assert_eq!(retried.start, of(chunks - 3, 1).start, "it begins to decode there");
        assert_eq!(of(chunks - 1, 9).start, of(0, 1).start);
        for chunk in &mut video.chunks {
            assert!(chunk.bytes.take().is_some());
        }
        let runs = windowed.audios.iter_mut().flat_map(|audio| &mut audio.runs);
        runs.for_each(|run| assert!(run.bytes.take().is_some()));
        windowed.index_bytes.clear();
        let (whole, _) = bench.plan(file, &one_rung()).await.unwrap();
        assert_eq!(windowed, whole);
    }
}

#[tokio::test]
async fn where_too_little_is_there_all_is_needed() {
    let bench = Bench::new().await;
    let file = bench.ffmpeg(NOISE, "clip.mp4");
    let bytes = std::fs::read(&file).unwrap();
    let mut there = outline_of(&bytes);
    there[0].end = 4_000_000;
    assert_eq!(plan_of(&bench, &file, &there).await, None);
    let stream = bench.ffmpeg("-i clip.mp4 -c copy", "clip.ts");
    let all = ByteRange {
        start: 0,
        end: std::fs::metadata(&stream).unwrap().len(),
    };
    assert_eq!(
        plan_of(&bench, &stream, &[all]).await,
        None,
        "chunks are read from a copy"
    );
}
