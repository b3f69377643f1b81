//! The trial: how many bits a source needs, from a few short excerpts of it.

use std::path::PathBuf;

use reelway_domain::{Failure, Quality, RungSize};
use serde::{Deserialize, Serialize};

use super::{Caps, ChunkJob, encode_chunk, excerpts, likeness};
use crate::{
    EncodeProgress, Error, Plan, PlanView, VideoPlan, Workspace,
    fmp4::{Weight, weigh},
    plan::{SEGMENT_MS, ticks_to_ms},
};

/// So many excerpts of a whole source tell enough.
const ENOUGH: usize = 3;

/// Room for what was not looked at.
#[derive(Debug, Clone, Copy)]
struct Margin {
    /// What the highest need of the excerpts is multiplied with, in percent.
    headroom_percent: u64,
    /// No cap goes below one part in so many of the ladder's.
    ladder_parts: u32,
}

const OF_ENOUGH: Margin = Margin {
    headroom_percent: 150,
    ladder_parts: 4,
};
const OF_LITTLE: Margin = Margin {
    headroom_percent: 250,
    ladder_parts: 4,
};
/// What begins with a title says little of what follows.
const OF_THE_BEGINNING: Margin = Margin {
    headroom_percent: 250,
    ladder_parts: 2,
};

/// What a trial found.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Trial {
    /// The caps for all chunks of the rungs but the smallest.
    pub caps: Caps,
    /// The likeness of each rung to the source by its name, without those of high dynamic range.
    pub quality: Vec<(String, Quality)>,
}

impl Trial {
    /// How like its source the rung of this name is; `None` if it was not measured.
    #[must_use]
    pub fn quality_of(&self, rung: &str) -> Option<Quality> {
        self.quality
            .iter()
            .find(|(name, _)| name == rung)
            .map(|(_, quality)| *quality)
    }
}

/// What was found of one rung.
struct Found {
    /// The most bits a second of any excerpt.
    need: u64,
    quality: Vec<Quality>,
}

/// Encodes excerpts of the chunks that [`super::trial_chunks`] names at all rungs, with the ladder's caps, and measures bits
/// and likeness. What needs less than the ladder allows gets a lower cap, with room for what was not looked at; the smallest
/// rung keeps the ladder's, because it is encoded before this is known.
///
/// # Errors
/// As [`encode_chunk`].
pub async fn try_out(
    work: &Workspace<'_>,
    plan: &Plan,
    mut progress: impl FnMut(EncodeProgress) + Send,
) -> Result<Trial, Error> {
    let Some(video) = &plan.video else {
        return Ok(Trial::default());
    };
    let excerpts = excerpts::excerpts(video, &excerpts::trial_chunks(plan));
    let mut found: Vec<Found> = video
        .rungs
        .iter()
        .map(|_| Found {
            need: 0,
            quality: Vec::new(),
        })
        .collect();
    let (mut done_ms, mut looked_at) = (0, 0);
    for excerpt in excerpts {
        let duration_ms = ticks_to_ms(excerpt.duration_ticks()).max(1);
        let part = VideoPlan {
            chunks: vec![excerpt],
            ..video.clone()
        };
        let tell = |so_far: EncodeProgress| {
            progress(EncodeProgress {
                done_ms: done_ms + so_far.done_ms,
                ..so_far
            });
        };
        let made = encode_chunk(work, &part, &ChunkJob::new(0, 1), tell).await?;
        done_ms += duration_ms;
        // Where the source is damaged there is nothing to learn.
        if made.frames > 0 {
            looked_at += 1;
            look_at(work, &part, made.pieces, duration_ms, &mut found).await?;
        }
    }
    let margin = match plan.view {
        PlanView::Index | PlanView::Prefix => OF_THE_BEGINNING,
        PlanView::Whole if looked_at >= ENOUGH => OF_ENOUGH,
        PlanView::Whole => OF_LITTLE,
    };
    Ok(conclude(&video.rungs, &found, margin))
}

/// Weighs what one excerpt became, and compares it with the excerpt at the size of the largest rung.
async fn look_at(
    work: &Workspace<'_>,
    part: &VideoPlan,
    pieces: Vec<PathBuf>,
    duration_ms: i64,
    found: &mut [Found],
) -> Result<(), Error> {
    let usual: Vec<usize> = (0..part.rungs.len()).filter(|i| !part.rungs[*i].hdr).collect();
    let files: Vec<&PathBuf> = usual.iter().filter_map(|i| pieces.get(*i)).collect();
    if let Some(largest) = usual.first().map(|i| &part.rungs[*i]) {
        let measured = likeness::measure(work, part, &files, (largest.width, largest.height)).await?;
        for (place, quality) in usual.iter().zip(measured) {
            found[*place].quality.extend(quality);
        }
    }
    let weighed =
        tokio::task::spawn_blocking(move || pieces.iter().map(|file| weigh(file)).collect::<Result<Vec<_>, _>>()).await;
    let weights = weighed.map_err(|error| Error::new(reelway_domain::Reason::Internal, error.to_string()))?;
    for (found, weight) in found.iter_mut().zip(weights.map_err(Failure::from)?) {
        found.need = found.need.max(bits_per_second(weight, duration_ms));
    }
    Ok(())
}

/// What a segment of such frames would take a second: it has one keyframe, like the shorter excerpt.
fn bits_per_second(weight: Weight, duration_ms: i64) -> u64 {
    let per_second = |bytes: u64, ms: i64| bytes.saturating_mul(8000) / ms.unsigned_abs().max(1);
    per_second(weight.keyframe_bytes, SEGMENT_MS) + per_second(weight.other_bytes, duration_ms)
}

fn conclude(rungs: &[RungSize], found: &[Found], margin: Margin) -> Trial {
    let all_but_smallest = rungs.len().saturating_sub(1);
    let caps = rungs
        .iter()
        .zip(found)
        .take(all_but_smallest)
        .filter(|(_, found)| found.need > 0);
    let caps = caps.map(|(rung, found)| (rung.name.clone(), cap(rung.bitrate_max, found.need, margin)));
    let quality = rungs
        .iter()
        .zip(found)
        .filter_map(|(rung, found)| Some((rung.name.clone(), mean(&found.quality)?)));
    Trial {
        caps: Caps::new(caps),
        quality: quality.collect(),
    }
}

fn cap(ladder: u32, need: u64, margin: Margin) -> u32 {
    let wanted = need.saturating_mul(margin.headroom_percent) / 100;
    u32::try_from(wanted)
        .unwrap_or(u32::MAX)
        .clamp(ladder / margin.ladder_parts, ladder)
}

#[expect(clippy::cast_precision_loss, reason = "counts of excerpts are small")]
fn mean(measured: &[Quality]) -> Option<Quality> {
    let count = measured.len() as f64;
    let vmaf: Option<Vec<f64>> = measured.iter().map(|quality| quality.vmaf).collect();
    (!measured.is_empty()).then(|| Quality {
        vmaf: vmaf.map(|all| all.iter().sum::<f64>() / count),
        ssim: measured.iter().map(|quality| quality.ssim).sum::<f64>() / count,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn caps_have_room_and_bounds() {
        assert_eq!(cap(4_000_000, 1_600_000, OF_ENOUGH), 2_400_000);
        assert_eq!(
            cap(4_000_000, 3_900_000, OF_ENOUGH),
            4_000_000,
            "never above the ladder's"
        );
        assert_eq!(cap(4_000_000, 10, OF_ENOUGH), 1_000_000, "nor next to nothing");
        assert_eq!(cap(4_000_000, 1_200_000, OF_LITTLE), 3_000_000);
        assert_eq!(cap(4_000_000, 10, OF_THE_BEGINNING), 2_000_000, "a title says little");
        let weight = Weight {
            keyframe_bytes: 50_000,
            other_bytes: 100_000,
            frames: 30,
        };
        assert_eq!(bits_per_second(weight, 1000), 900_000);
    }
}
