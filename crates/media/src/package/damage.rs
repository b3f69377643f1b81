//! How much of the source is missing, and whether that may be.

use reelway_domain::{Failure, Reason};

use super::{inconsistent, joined::Joined};
use crate::{AudioPlan, TICKS_PER_SECOND, VideoPlan};

/// Audio may be shorter than planned by so much: containers round durations.
const AUDIO_SHORT_MS_MAX: i64 = 100;
/// Or by so much of its duration.
const AUDIO_SHORT_PERCENT_MAX: i64 = 1;

/// What is missing of the video.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct VideoDamage {
    /// How many frames were planned.
    pub(super) planned: i64,
    /// How many were not made, in the rendition that lacks most.
    pub(super) missing: i64,
}

/// Counts frames against the plan.
pub(super) fn of_video(plan: &VideoPlan, rungs: &[Joined<'_>]) -> Result<VideoDamage, Failure> {
    let segments = || plan.chunks.iter().flat_map(|chunk| &chunk.segments);
    let planned: i64 = segments().map(|s| s.frames).sum();
    let made = |rung: &Joined<'_>| rung.spans.iter().filter_map(|s| s.piece).map(|p| p.frames).sum::<i64>();
    let Some((fewest, rung)) = rungs
        .iter()
        .map(|rung| (made(rung), rung))
        .min_by_key(|(made, _)| *made)
    else {
        return Err(inconsistent("the plan has no rungs"));
    };
    if rungs.iter().any(|rung| made(rung) > planned) {
        return Err(inconsistent(format!(
            "there are more than the planned {planned} frames"
        )));
    }
    let missing = planned - fewest;
    let percent = percent(missing, planned);
    if percent <= plan.missing_percent_max && fewest > 0 {
        return Ok(VideoDamage { planned, missing });
    }
    let mut pieces = rung.spans.iter().filter_map(|s| s.piece).peekable();
    let short = segments().find(|s| {
        let made = pieces.next_if(|p| p.number == s.number).map_or(0, |p| p.frames);
        made < s.frames
    });
    let first_s = seconds(short.map_or(0, |s| s.start_ticks));
    let max = plan.missing_percent_max;
    let message = format!(
        "{missing} of {planned} frames ({percent:.2} %) can't be decoded, the first after second {first_s:.3}; \
         the ladder allows {max} %: send an undamaged file, or choose a ladder that allows more"
    );
    Err(Failure::new(Reason::SourceDamaged, message)
        .with("missingFrames", missing)
        .with("frames", planned)
        .with("firstMissingSeconds", format!("{first_s:.3}")))
}

/// Measures the audio against the plan; `made` is `None` if there is no sound at all, and `silenced_ms` of it stand
/// in for what can't be decoded. With video it may lack as much as the video, otherwise only what rounding explains.
pub(super) fn check_audio(
    plan: &AudioPlan,
    made: Option<&Joined<'_>>,
    silenced_ms: i64,
    video: Option<&VideoPlan>,
) -> Result<(), Failure> {
    let spans = made.iter().flat_map(|made| &made.spans);
    let heard = spans.filter(|span| span.piece.is_some()).map(|span| span.duration);
    let made_ms = heard.sum::<std::time::Duration>().as_millis();
    let missing_ms = plan.duration_ms - i64::try_from(made_ms).unwrap_or(i64::MAX) + silenced_ms;
    let rounding_ms = AUDIO_SHORT_MS_MAX.max(plan.duration_ms * AUDIO_SHORT_PERCENT_MAX / 100);
    let percent_max = video.map_or(0.0, |video| video.missing_percent_max);
    let percent = percent(missing_ms, plan.duration_ms);
    if missing_ms <= rounding_ms || percent <= percent_max {
        return Ok(());
    }
    let duration_ms = plan.duration_ms;
    let message = format!(
        "{missing_ms} of {duration_ms} ms of audio ({percent:.2} %) can't be decoded: send an undamaged file, or choose \
         a ladder that allows more"
    );
    Err(Failure::new(Reason::SourceDamaged, message)
        .with("missingMs", missing_ms)
        .with("durationMs", duration_ms))
}

#[expect(
    clippy::cast_precision_loss,
    reason = "counts of frames and milliseconds stay far below 2^52"
)]
fn percent(part: i64, whole: i64) -> f64 {
    if whole > 0 {
        part as f64 * 100.0 / whole as f64
    } else {
        0.0
    }
}

#[expect(clippy::cast_precision_loss, reason = "times stay far below 2^52 ticks")]
fn seconds(ticks: i64) -> f64 {
    ticks as f64 / TICKS_PER_SECOND as f64
}
