//! One chunk of video in as little memory as it can be made: one rung after the other.

use crate::{
    ChunkJob, ChunkOutput, EncodeProgress, Error, Rungs, VideoPlan, Workspace, encode_chunk, plan::ticks_to_ms,
};

/// Does what [`encode_chunk`] does, with a process for each rung, so that only one encoder's memory is needed at a time. The
/// files are the same byte for byte; decoding is done once for each rung.
///
/// # Errors
/// As [`encode_chunk`].
pub async fn encode_chunk_thriftily(
    work: &Workspace<'_>,
    video: &VideoPlan,
    job: &ChunkJob,
    mut progress: impl FnMut(EncodeProgress) + Send,
) -> Result<ChunkOutput, Error> {
    let asked = job.rungs.of(&video.rungs);
    let rungs = i64::try_from(asked.len()).unwrap_or(i64::MAX).max(1);
    let (mut pieces, mut frames, mut done) = (Vec::with_capacity(asked.len()), None, 0);
    let alone = ChunkJob {
        rungs: Rungs::All,
        ..job.clone()
    };
    for rung in asked {
        let video = VideoPlan {
            rungs: vec![rung.clone()],
            ..video.clone()
        };
        let made = encode_chunk(work, &video, &alone, |so_far| {
            progress(EncodeProgress {
                done_ms: done + so_far.done_ms / rungs,
                ..so_far
            });
        })
        .await?;
        done += video
            .chunks
            .get(job.chunk)
            .map_or(0, |chunk| ticks_to_ms(chunk.duration_ticks()) / rungs);
        pieces.extend(made.pieces);
        // As of the first rung, like where all are made at once.
        frames.get_or_insert(made.frames);
    }
    Ok(ChunkOutput {
        pieces,
        frames: frames.unwrap_or(0),
    })
}

#[cfg(test)]
mod tests {
    use reelway_domain::preset;

    use super::*;
    use crate::testbench::Bench;

    #[tokio::test]
    async fn the_files_are_the_same_as_made_at_once() {
        let bench = Bench::new().await;
        let source = bench.ffmpeg(
            "-f lavfi -i testsrc2=s=854x480:r=25:d=2 -c:v libx264 -preset ultrafast",
            "clip.mp4",
        );
        let (plan, read) = bench.plan(&source, &preset("standard").unwrap()).await.unwrap();
        let video = plan.video.unwrap();
        assert!(video.rungs.len() > 1);
        let (first, second) = (bench.scratch(), bench.scratch());
        let at_once = encode_chunk(&bench.workspace(&read, &first), &video, &ChunkJob::new(0, 1), |_| {})
            .await
            .unwrap();
        let mut done_ms = Vec::new();
        let work = bench.workspace(&read, &second);
        let one_by_one = encode_chunk_thriftily(&work, &video, &ChunkJob::new(0, 2), |progress| {
            done_ms.push(progress.done_ms);
        })
        .await
        .unwrap();
        assert_eq!(at_once.frames, one_by_one.frames);
        for (a, b) in at_once.pieces.iter().zip(&one_by_one.pieces) {
            assert_eq!(a.file_name(), b.file_name());
            assert_eq!(std::fs::read(a).unwrap(), std::fs::read(b).unwrap(), "{}", a.display());
        }
        assert!(
            done_ms.is_sorted() && done_ms.iter().all(|done| *done <= 2_000),
            "{done_ms:?}"
        );
    }
}
