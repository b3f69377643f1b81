//! How far a job is, from the states of its tasks and the newest samples. Pure arithmetic.
//!
//! Each kind of task has a share of the whole ([`share`]), and kinds that the job doesn't have are left out. The lead is video like
//! the rest of it. Within a kind, a task counts by how much of the source it turns into renditions; if none does, each task
//! counts the same. A
//! task that succeeded is done in full, one that runs as far as its newest sample says, any other not at all. Until the
//! whole plan is there, everything that it may add is expected, and of a plan that grows with the bytes nobody knows how much.

use std::collections::HashMap;

use reelway_domain::{JobState, LeaseEpoch, TaskId, TaskKind, TaskState, limits};

/// What a job that has not succeeded stays below, in percent.
const UNFINISHED_MAX: f64 = 99.9;

/// How much what is planned counts while the plan grows with the bytes.
const GROWING_SHARE: f64 = 0.5;

/// What matters of a task.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Part {
    pub(crate) task: TaskId,
    pub(crate) kind: TaskKind,
    pub(crate) index: i32,
    pub(crate) state: TaskState,
    pub(crate) lease_epoch: LeaseEpoch,
    /// How much of the source it turns into renditions, in milliseconds.
    pub(crate) weight_ms: i64,
}

/// What a worker told last of a task.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Running {
    pub(crate) lease_epoch: LeaseEpoch,
    /// How much of the source is done, in milliseconds.
    pub(crate) done_ms: i64,
    /// Source seconds a second.
    pub(crate) speed: f64,
}

/// How far a job is.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Measure {
    /// 0 to 100.
    pub(crate) percent: f64,
    /// Source seconds a second, over all running tasks.
    pub(crate) speed: f64,
    /// How much of the source's video is encoded, at all rungs, in milliseconds.
    pub(crate) video_ms: i64,
    /// The same for each audio track.
    pub(crate) audio_ms: Vec<i64>,
}

/// The share of a kind in the whole, in percent. They add up to 100.
fn share(kind: TaskKind, has_video: bool) -> f64 {
    match kind {
        TaskKind::Probe
        | TaskKind::Plan
        | TaskKind::Trial
        | TaskKind::Subtitles
        | TaskKind::Poster
        | TaskKind::Storyboard
        | TaskKind::Download
        | TaskKind::Verify => 1.0,
        TaskKind::Video => 85.0,
        // Its work is part of the video's.
        TaskKind::Lead => 0.0,
        // The work on a source without video is nearly all audio.
        TaskKind::Audio if has_video => 3.0,
        TaskKind::Audio => 88.0,
        TaskKind::Package | TaskKind::Finish => 2.0,
    }
}

/// Measures a job.
pub(crate) fn measure(state: JobState, parts: &[Part], samples: &HashMap<TaskId, Running>) -> Measure {
    let mut measure = Measure::default();
    for part in parts {
        let done_ms = done_ms(part, samples);
        match part.kind {
            TaskKind::Video => measure.video_ms += done_ms,
            TaskKind::Audio => add_to_track(&mut measure.audio_ms, part.index, done_ms),
            _ => {}
        }
        measure.speed += running(part, samples).map_or(0.0, |sample| sample.speed);
    }
    measure.percent = percent(state, parts, samples);
    measure
}

/// The kind whose share a task is part of.
fn counted_as(kind: TaskKind) -> TaskKind {
    match kind {
        TaskKind::Lead => TaskKind::Video,
        other => other,
    }
}

/// A track is encoded in runs, each a task.
fn add_to_track(tracks_ms: &mut Vec<i64>, index: i32, done_ms: i64) {
    let track = usize::try_from(index).unwrap_or(0) / limits::AUDIO_RUNS_MAX;
    if tracks_ms.len() <= track {
        tracks_ms.resize(track + 1, 0);
    }
    tracks_ms[track] += done_ms;
}

fn percent(state: JobState, parts: &[Part], samples: &HashMap<TaskId, Running>) -> f64 {
    if state == JobState::Succeeded {
        return 100.0;
    }
    let of_kind = |kind| parts.iter().filter(move |part| counted_as(part.kind) == kind);
    // The last plan brings it along.
    let planned = of_kind(TaskKind::Package).next().is_some();
    let has_video = !planned || of_kind(TaskKind::Video).next().is_some();
    let (mut whole, mut done) = (0.0, 0.0);
    for kind in TaskKind::ALL.iter().copied() {
        let exists = of_kind(kind).next().is_some();
        if exists || !planned {
            whole += share(kind, has_video);
        }
        if exists {
            let grows = !planned && matches!(kind, TaskKind::Video | TaskKind::Audio);
            let counts = if grows { GROWING_SHARE } else { 1.0 };
            done += counts * share(kind, has_video) * done_share(of_kind(kind), samples);
        }
    }
    (100.0 * done / whole).clamp(0.0, UNFINISHED_MAX)
}

/// The share of a kind's work that is done, 0 to 1.
#[expect(clippy::cast_precision_loss, reason = "a rounded millisecond changes no percentage")]
fn done_share<'a>(parts: impl Iterator<Item = &'a Part> + Clone, samples: &HashMap<TaskId, Running>) -> f64 {
    let weight_ms: i64 = parts.clone().map(|part| part.weight_ms).sum();
    if weight_ms > 0 {
        let done_ms: i64 = parts.map(|part| done_ms(part, samples)).sum();
        return done_ms as f64 / weight_ms as f64;
    }
    let all = parts.clone().count();
    let done = parts.filter(|part| part.state == TaskState::Succeeded).count();
    done as f64 / all as f64
}

fn done_ms(part: &Part, samples: &HashMap<TaskId, Running>) -> i64 {
    match part.state {
        TaskState::Succeeded => part.weight_ms,
        _ => running(part, samples).map_or(0, |sample| sample.done_ms.clamp(0, part.weight_ms)),
    }
}

/// The sample of a running task; what an earlier claim did is gone with it.
fn running<'a>(part: &Part, samples: &'a HashMap<TaskId, Running>) -> Option<&'a Running> {
    let sample = samples.get(&part.task)?;
    (part.state == TaskState::Running && sample.lease_epoch == part.lease_epoch).then_some(sample)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(kind: TaskKind, state: TaskState, weight_ms: i64) -> Part {
        Part {
            task: TaskId::new(),
            kind,
            index: 0,
            state,
            lease_epoch: LeaseEpoch(2),
            weight_ms,
        }
    }

    fn at(parts: &[Part]) -> f64 {
        measure(JobState::Running, parts, &HashMap::new()).percent
    }

    /// A job with video, in the order in which its tasks end.
    fn parts() -> Vec<Part> {
        let queued = |kind, weight_ms| part(kind, TaskState::Queued, weight_ms);
        vec![
            queued(TaskKind::Probe, 0),
            queued(TaskKind::Plan, 0),
            queued(TaskKind::Lead, 1_000),
            queued(TaskKind::Video, 6_000),
            queued(TaskKind::Video, 3_000),
            queued(TaskKind::Audio, 9_000),
            queued(TaskKind::Poster, 0),
            queued(TaskKind::Package, 0),
            queued(TaskKind::Finish, 0),
        ]
    }

    #[test]
    fn shares_add_up() {
        for has_video in [true, false] {
            let without_video = |kind: &TaskKind| has_video || *kind != TaskKind::Video;
            let kinds = TaskKind::ALL.iter().copied().filter(without_video);
            let sum: f64 = kinds.map(|kind| share(kind, has_video)).sum();
            assert!((sum - 100.0).abs() < 1e-9, "{sum}");
        }
    }

    #[test]
    fn grows_with_each_task_and_ends_with_the_job() {
        let mut parts = parts();
        let mut before = at(&parts[..2]);
        assert_eq!(before.to_bits(), 0.0_f64.to_bits());
        for i in 0..parts.len() {
            parts[i].state = TaskState::Succeeded;
            // The plan adds the tasks after it.
            let now = at(if i < 1 { &parts[..2] } else { &parts });
            assert!(now > before, "task {i}: {before} to {now}");
            before = now;
        }
        assert_eq!(before.to_bits(), UNFINISHED_MAX.to_bits());
        assert_eq!(
            measure(JobState::Succeeded, &parts, &HashMap::new()).percent.to_bits(),
            100.0_f64.to_bits()
        );
    }

    #[test]
    fn what_a_growing_plan_has_so_far_is_not_all() {
        let done = |kind, weight_ms| part(kind, TaskState::Succeeded, weight_ms);
        let mut parts = vec![
            done(TaskKind::Probe, 0),
            done(TaskKind::Plan, 0),
            done(TaskKind::Video, 9_000),
        ];
        parts.push(part(TaskKind::Plan, TaskState::Queued, 0));
        let growing = at(&parts);
        assert!((40.0..50.0).contains(&growing), "{growing}");
        // As much again, and the rest of the graph.
        parts[3].state = TaskState::Succeeded;
        parts.push(part(TaskKind::Video, TaskState::Queued, 9_000));
        parts.push(part(TaskKind::Package, TaskState::Queued, 0));
        assert!(at(&parts) > growing, "{} after {growing}", at(&parts));
    }

    #[test]
    fn a_sample_counts_for_its_claim_only_and_never_beyond_its_task() {
        let mut parts = parts();
        for part in &mut parts[..2] {
            part.state = TaskState::Succeeded;
        }
        parts[3].state = TaskState::Running;
        let idle = measure(JobState::Running, &parts, &HashMap::new());
        let sample = |lease_epoch, done_ms| {
            let running = Running {
                lease_epoch: LeaseEpoch(lease_epoch),
                done_ms,
                speed: 1.5,
            };
            measure(JobState::Running, &parts, &HashMap::from([(parts[3].task, running)]))
        };
        let half = sample(2, 3_000);
        // 3 of 10 seconds of the video, which is 85 of the 95 that the kinds of this job come to.
        assert!(
            (half.percent - idle.percent - 0.3 * 8500.0 / 95.0).abs() < 1e-9,
            "{half:?}"
        );
        assert_eq!(
            (half.video_ms, half.audio_ms.as_slice(), half.speed.to_bits()),
            (3_000, &[0][..], 1.5_f64.to_bits())
        );
        assert_eq!(sample(1, 3_000), idle, "an earlier claim");
        assert_eq!(sample(2, 99_000).video_ms, 6_000);
        assert_eq!(sample(2, -5).video_ms, 0);
    }

    #[test]
    fn the_runs_of_a_track_count_together() {
        let run = |index, weight_ms| Part {
            index,
            ..part(TaskKind::Audio, TaskState::Succeeded, weight_ms)
        };
        let runs = [run(0, 5_000), run(1, 4_000), run(20_000, 3_000)];
        let measure = measure(JobState::Running, &runs, &HashMap::new());
        assert_eq!(measure.audio_ms, [9_000, 0, 3_000]);
    }

    #[test]
    fn a_source_without_video_is_mostly_audio() {
        let done = |kind, weight_ms| part(kind, TaskState::Succeeded, weight_ms);
        let parts = [
            done(TaskKind::Probe, 0),
            done(TaskKind::Plan, 0),
            done(TaskKind::Audio, 5_000),
            part(TaskKind::Package, TaskState::Queued, 0),
            part(TaskKind::Finish, TaskState::Queued, 0),
        ];
        assert!(at(&parts) > 90.0, "{}", at(&parts));
    }
}
