//! One chunk of video: one process decodes it once and encodes all rungs.

use std::path::PathBuf;

use reelway_domain::{Reason, RungSize, VideoCodec};

use super::{
    ChunkJob, Rungs, graph, join,
    output::{Target, output},
    output_bytes_max, seconds,
};
use crate::{
    ByteRange, ChunkPlan, EncodeProgress, Error, VideoPlan, Workspace, ffmpeg,
    input::{self, Args},
    plan::ticks_to_ms,
    sandbox::file_url,
};

/// How many chunks further back each new attempt begins to decode.
const CHUNKS_BACK_PER_ATTEMPT: usize = 2;
/// Threads that decode what is led: playing begins with it, and decoding is most of the work where the rung is small. Four take a
/// third off its time; more would take little more.
const LEAD_DECODER_THREADS: &str = "4";

/// What was made of a chunk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChunkOutput {
    /// One fragmented MP4 file for each rung that was asked for, in their order, named after them: `720p.mp4`.
    pub pieces: Vec<PathBuf>,
    /// The frames in the first file, as ffmpeg counted them. Compare with [`ChunkPlan::frames`].
    pub frames: i64,
}

/// Encodes a chunk of `video` at the rungs that `job` names, each into a file of its own in `work.scratch`.
///
/// Times in the files are ticks of 1/90000 s from the plan's `base_pts`. The same call gives the same bytes, so attempts may
/// be repeated; since a chunk that came out short may be the fault of a seek, each attempt (from 1) seeks further back.
///
/// AV1 is made by one process for each segment: the encoder puts a keyframe at its first frame and at no other that it is
/// told.
///
/// # Errors
/// [`Error::Cancelled`], `ENCODER_STALLED`, `STORAGE_FULL`, `ENCODER_FAILED`; `INTERNAL` if there is no such chunk or no rung
/// to make.
pub async fn encode_chunk(
    work: &Workspace<'_>,
    video: &VideoPlan,
    job: &ChunkJob,
    mut progress: impl FnMut(EncodeProgress) + Send,
) -> Result<ChunkOutput, Error> {
    let no_chunk = || Error::new(Reason::Internal, format!("the plan has no chunk {}", job.chunk));
    let chunk = video.chunks.get(job.chunk).ok_or_else(no_chunk)?;
    let rungs = job.rungs.of(&video.rungs);
    if rungs.is_empty() {
        return Err(Error::new(Reason::Internal, "a chunk without a rung to make"));
    }
    let run = Run {
        work,
        video,
        chunk,
        job,
        rungs,
    };
    let one_by_one = chunk.segments.len() > 1 && rungs.iter().any(|rung| rung.codec == VideoCodec::Av1);
    let pieces: Vec<PathBuf> = rungs.iter().map(|rung| run.file(rung, None)).collect();
    if !one_by_one {
        let frames = run
            .encode(None, |frames, speed| progress(run.progress(frames, speed)))
            .await?;
        return Ok(ChunkOutput { pieces, frames });
    }
    let mut frames = 0;
    for segment in 0..chunk.segments.len() {
        let before = frames;
        let tell = |frames, speed| progress(run.progress(before + frames, speed));
        frames += run.encode(Some(segment), tell).await?;
    }
    for (rung, piece) in rungs.iter().zip(&pieces) {
        let parts = (0..chunk.segments.len()).map(|segment| run.file(rung, Some(segment)));
        join::fragments(parts.collect(), piece.clone()).await?;
    }
    Ok(ChunkOutput { pieces, frames })
}

/// The work at one chunk.
struct Run<'a> {
    work: &'a Workspace<'a>,
    video: &'a VideoPlan,
    chunk: &'a ChunkPlan,
    job: &'a ChunkJob,
    rungs: &'a [RungSize],
}

impl Run<'_> {
    /// Where a rung goes, whole or one segment of it.
    fn file(&self, rung: &RungSize, segment: Option<usize>) -> PathBuf {
        let name = match segment {
            None => format!("{}.mp4", rung.name),
            Some(segment) => format!("{}-part{segment}.mp4", rung.name),
        };
        self.work.scratch.join(name)
    }

    /// How many threads decode. One process for each core is the rule; a decoder with several conceals damage otherwise than one
    /// alone, so a second attempt has one.
    fn decoder_threads(&self) -> &'static str {
        match self.job.rungs {
            Rungs::Smallest if self.job.attempt == 1 => LEAD_DECODER_THREADS,
            _ => "1",
        }
    }

    /// Runs one process over the chunk or one segment of it, and tells how many frames it made.
    async fn encode(&self, segment: Option<usize>, mut progress: impl FnMut(i64, f64) + Send) -> Result<i64, Error> {
        let Self { work, video, chunk, .. } = *self;
        let retries = retries(self.job.attempt);
        let mut args = Vec::new();
        // Timestamps stay those of the source, so that the graph can name frames by them.
        args.words(["-copyts", "-threads", self.decoder_threads()]);
        args.extend(input::guards(work.tools.limits()));
        if let Some(at_us) = seek_us(video, self.job.chunk, retries) {
            args.words(["-noaccurate_seek", "-ss", &seconds(at_us)]);
        }
        args.extend(input::input(work.source));
        args.words(["-filter_complex_threads", "1", "-filter_complex"]);
        args.push(graph::ladder(video, chunk, self.rungs, segment).into());
        for (i, rung) in self.rungs.iter().enumerate() {
            args.words(["-map", &graph::pad(i)]);
            let target = Target {
                video,
                rung,
                cap: self.job.caps.of(rung),
                chunk: if segment.is_none() { Some(chunk) } else { None },
            };
            output(&mut args, &target);
            args.push(file_url(&self.file(rung, segment)));
        }
        // More is decoded before the first frame comes out if decoding begins further back.
        let stall_max = work
            .tools
            .limits()
            .stall_max
            .saturating_mul(u32::try_from(retries).unwrap_or(u32::MAX - 1) + 1);
        let bitrate_max = self.rungs.iter().map(|rung| rung.bitrate_max).max().unwrap_or(0);
        let bytes_max = output_bytes_max(bitrate_max, ticks_to_ms(chunk.duration_ticks()));
        let mut frames = 0;
        ffmpeg::run(work, args, bytes_max, stall_max, |block| {
            frames = block.frames;
            progress(frames, block.speed);
        })
        .await?;
        Ok(frames)
    }

    /// Frames tell more than the time that ffmpeg gives: that stays 0 until the first fragment is written.
    fn progress(&self, frames: i64, speed: f64) -> EncodeProgress {
        let (duration_ms, planned) = (ticks_to_ms(self.chunk.duration_ticks()), self.chunk.frames().max(1));
        EncodeProgress {
            frames,
            done_ms: duration_ms.saturating_mul(frames.clamp(0, planned)) / planned,
            speed,
        }
    }
}

/// Where everything lies that an attempt (from 1) at a chunk reads; `None` if it isn't known.
#[must_use]
pub fn chunk_bytes(video: &VideoPlan, chunk: usize, attempt: i32) -> Option<ByteRange> {
    let end = video.chunks.get(chunk)?.bytes?.end;
    let from = chunk.saturating_sub(chunks_back(retries(attempt)));
    let start = video.chunks.get(from)?.bytes?.start;
    Some(ByteRange { start, end })
}

/// How many attempts there were before this one.
fn retries(attempt: i32) -> usize {
    usize::try_from(attempt.max(1) - 1).unwrap_or(0)
}

fn chunks_back(retries: usize) -> usize {
    retries.saturating_mul(CHUNKS_BACK_PER_ATTEMPT)
}

/// Where to seek to, in microseconds from the container's start; `None` to read from there.
pub(super) fn seek_us(video: &VideoPlan, chunk_index: usize, retries: usize) -> Option<i64> {
    let from = video.chunks.get(chunk_index.checked_sub(chunks_back(retries))?)?;
    let (keyframe, start) = (
        video.time_base.to_us(from.seek_pts?),
        video.time_base.to_us(from.start_pts),
    );
    // Between the keyframe and the chunk's first frame there is no other keyframe, so the aim may be anywhere there.
    let aim = keyframe.saturating_add(video.seek_slack_us).min(start);
    Some(aim.saturating_sub(video.container_start_us)).filter(|us| *us > 0)
}
