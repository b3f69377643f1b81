//! Files that mean harm: each goes the whole way of a source, up to where it is refused, within the real sandbox.
//!
//! None may open another file or a connection, take more memory or time than it is given, or end without a reason. Most of
//! them are stopped by the lists of what may be opened (`input.rs`) as well as by the kernel, so the worst are also tried
//! without the kernel's help.

mod bombs;
mod boxes;
mod cases;
mod fuzz;
pub(crate) mod mutate;
mod pretenders;
mod references;
mod seeds;
mod trap;
mod words;

use std::{path::Path, time::Duration};

use reelway_domain::Reason;
use tokio::time::timeout;

use crate::{
    AudioReading, ChunkJob, Error, Limits, SandboxLevel, encode_audio, encode_chunk, make_plan, probe, take_poster,
    testbench::{Bench, one_rung},
};

/// What a process may take here, in bytes: enough for a small clip, too little for a bomb.
const MEMORY_BYTES_MAX: u64 = 1 << 30;
/// What a process may take here.
const WALL_MAX: Duration = Duration::from_secs(30);
/// How long the whole way of one file may be.
const WAY_MAX: Duration = Duration::from_secs(60);
/// The chunks that are encoded of what is not refused: bombs are found out by then.
const CHUNKS_MAX: usize = 2;

/// Tools with little to spend.
async fn bench(sandbox: SandboxLevel) -> Bench {
    Bench::with(Limits {
        memory_bytes_max: MEMORY_BYTES_MAX,
        wall_max: WALL_MAX,
        probe_wall_max: WALL_MAX,
        stall_max: WALL_MAX,
        sandbox,
        ..Limits::default()
    })
    .await
}

/// Goes the whole way of a source, and gives why it was refused; `None` if nothing was wrong with it.
async fn way(bench: &Bench, file: &Path) -> Option<Reason> {
    let Ok(ended) = timeout(WAY_MAX, go(bench, file)).await else {
        panic!("{} takes longer than {WAY_MAX:?}", file.display());
    };
    let error = ended.err()?;
    let failure = error.failure().expect("nobody has cancelled it");
    assert!(!failure.message.is_empty(), "{} has a reason in words", file.display());
    Some(failure.reason)
}

async fn go(bench: &Bench, file: &Path) -> Result<(), Error> {
    let scratch = bench.scratch();
    let work = bench.workspace(file, &scratch);
    let probe = probe(&work).await?;
    let (plan, copy) = make_plan(&work, &probe, &one_rung()).await?;
    let work = bench.workspace(copy.as_deref().unwrap_or(file), &scratch);
    if let Some(video) = &plan.video {
        take_poster(&work, video).await?;
        for chunk in 0..video.chunks.len().min(CHUNKS_MAX) {
            encode_chunk(&work, video, &ChunkJob::new(chunk, 1), |_| {}).await?;
        }
    }
    for audio in &plan.audios {
        encode_audio(&work, audio, 0, AudioReading::Planned, |_| {}).await?;
    }
    Ok(())
}

/// Whether a reason is about the source, which is what a hostile file is to be refused for. What takes too much memory is
/// tried once more with less at a time, and refused then.
fn is_about_the_source(reason: Reason) -> bool {
    reason.as_str().starts_with("SOURCE_") || reason == Reason::EncoderOutOfMemory
}
