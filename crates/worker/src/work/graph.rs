//! The tasks that make what a plan says: chunks, audio and pictures side by side, then the playlists, then the count.

use std::collections::HashSet;

use reelway_domain::{Ladder, NewTask, Offset, ReadyAt, TaskKind, TaskRef};
use reelway_media::{self as media, ChunkPlan, Plan, PlanView, Rungs, VideoPlan};

use super::{
    audio::RUNS_PER_TRACK,
    internal,
    needs::{self, ready_at},
};

/// All tasks of a plan, each after its predecessors.
pub(super) fn tasks(plan: &Plan, ladder: &Ladder) -> Result<Vec<NewTask>, media::Error> {
    let mut making: Vec<NewTask> = trial(plan).into_iter().collect();
    making.extend(video(plan)?);
    // After the chunks, so that the cores which are free first get the small tasks.
    making.extend(pictures(plan));
    making.extend(audio(plan)?);
    making.extend(subtitles(plan)?);
    making.extend(verify(plan));
    making.extend(assembled(plan, ladder, &making));
    let made = making.iter().map(|task| task.task).collect();
    let package = TaskRef::only(TaskKind::Package);
    making.push(NewTask::new(package, made));
    making.push(NewTask::new(TaskRef::only(TaskKind::Finish), vec![package]));
    Ok(making)
}

/// The tasks of a plan that needs no more than the beginning of the source: pictures and sound of that. What a trial would tell is
/// waited for as soon as the beginning is long enough for one.
pub(super) fn beginning_tasks(plan: &Plan) -> Result<Vec<NewTask>, media::Error> {
    let mut tasks: Vec<NewTask> = trial(plan).into_iter().collect();
    tasks.extend(video(plan)?);
    tasks.extend(audio(plan)?);
    Ok(tasks)
}

/// The tasks of a plan but for those that plans of a beginning have laid out already.
pub(super) fn without_those_of(beginning: &Plan, mut tasks: Vec<NewTask>) -> Result<Vec<NewTask>, media::Error> {
    let there: HashSet<TaskRef> = beginning_tasks(beginning)?.iter().map(|task| task.task).collect();
    tasks.retain(|task| !there.contains(&task.task));
    Ok(tasks)
}

/// The plan that comes after the one of this number: it reaches further, and the last one to the source's end.
pub(super) fn next_plan(number: i32, ready_at: ReadyAt) -> NewTask {
    let task = TaskRef {
        kind: TaskKind::Plan,
        index: number.saturating_add(1),
    };
    NewTask {
        ready_at,
        ..NewTask::new(task, planned())
    }
}

/// What every task that makes something comes after.
fn planned() -> Vec<TaskRef> {
    vec![TaskRef::only(TaskKind::Plan)]
}

/// A task for each chunk, and one more for the smallest rung of each that is led.
fn video(plan: &Plan) -> Result<Vec<NewTask>, media::Error> {
    let mut tasks = Vec::new();
    let Some(video) = &plan.video else {
        return Ok(tasks);
    };
    let led_ms = led_ms(video);
    for (index, chunk) in video.chunks.iter().enumerate() {
        let is_led = index < video.lead_chunks;
        let index = i32::try_from(index).map_err(|error| internal(&error))?;
        let task = |kind| NewTask {
            due_ms: ms(chunk.start_ticks()),
            ready_at: ready_at(plan, kind, index),
            ..NewTask::new(TaskRef { kind, index }, planned())
        };
        let mut whole = NewTask {
            weight_ms: ms(chunk.duration_ticks()),
            memory_mib: media::memory_mib(video, if is_led { Rungs::AllButSmallest } else { Rungs::All }),
            ..task(TaskKind::Video)
        };
        whole.after.extend(trial(plan).map(|trial| trial.task));
        if is_led {
            tasks.push(NewTask {
                memory_mib: media::memory_mib(video, Rungs::Smallest),
                ..task(TaskKind::Lead)
            });
            // What is led can be watched already: the rest is wanted when all of it would have been seen, and takes neither the
            // slot from the sound of it nor a core from the lead.
            whole.after.push(TaskRef {
                kind: TaskKind::Lead,
                index,
            });
            whole.due_ms += led_ms;
            whole.ready_at = after_sound(whole.ready_at, plan, chunk);
        }
        tasks.push(whole);
    }
    Ok(tasks)
}

/// The later of a moment and when the sound of a chunk can be made: of each track, the run that it begins in. Sound that needs all
/// of the source is not waited for.
fn after_sound(ready_at: ReadyAt, plan: &Plan, chunk: &ChunkPlan) -> ReadyAt {
    let start_ms = ms(chunk.start_ticks());
    let sound = plan.audios.iter().enumerate().filter_map(|(track, audio)| {
        let run = audio.runs.iter().rposition(|run| run.start_ms() <= start_ms)?;
        let index = i32::try_from(track * RUNS_PER_TRACK + run).ok()?;
        let ReadyAt::Offset(at) = needs::ready_at(plan, TaskKind::Audio, index) else {
            return None;
        };
        Some(at)
    });
    match ready_at {
        ReadyAt::Complete => ReadyAt::Complete,
        ReadyAt::Offset(at) => ReadyAt::Offset(sound.fold(at, Offset::max)),
    }
}

fn ms(ticks: i64) -> i64 {
    ticks * 1000 / media::TICKS_PER_SECOND
}

/// How long what is led plays, in milliseconds.
fn led_ms(video: &VideoPlan) -> i64 {
    let led = video.chunks.iter().take(video.lead_chunks);
    ms(led.map(ChunkPlan::duration_ticks).sum())
}

/// The trial, which is wanted before all rungs but the smallest of what is led.
fn trial(plan: &Plan) -> Option<NewTask> {
    let video = plan.video.as_ref().filter(|_| !media::trial_chunks(plan).is_empty())?;
    Some(NewTask {
        due_ms: led_ms(video),
        ready_at: ready_at(plan, TaskKind::Trial, 0),
        memory_mib: media::memory_mib(video, Rungs::All),
        ..NewTask::new(TaskRef::only(TaskKind::Trial), planned())
    })
}

/// What was planned for while the source arrived is held against all of it.
fn verify(plan: &Plan) -> Option<NewTask> {
    (plan.view != PlanView::Whole).then(|| NewTask::new(TaskRef::only(TaskKind::Verify), planned()))
}

/// The poster, which nobody waits for while there is nothing to play: it is due when what is led would have been seen, and comes
/// after the first sound.
fn pictures(plan: &Plan) -> Option<NewTask> {
    let video = plan.video.as_ref()?;
    let ready_at = ready_at(plan, TaskKind::Poster, 0);
    Some(NewTask {
        due_ms: led_ms(video),
        ready_at: video
            .chunks
            .first()
            .map_or(ready_at, |first| after_sound(ready_at, plan, first)),
        ..NewTask::new(TaskRef::only(TaskKind::Poster), planned())
    })
}

/// What is put together from pieces that others made: the storyboard from the smallest rung, the file to keep from picture
/// and sound.
fn assembled(plan: &Plan, ladder: &Ladder, making: &[NewTask]) -> Vec<NewTask> {
    let after = |wanted: &dyn Fn(&TaskRef) -> bool| {
        making
            .iter()
            .map(|task| task.task)
            .filter(|task| wanted(task))
            .collect()
    };
    let mut tasks = Vec::new();
    if let Some(video) = &plan.video {
        let is_led = |task: &TaskRef| usize::try_from(task.index).is_ok_and(|index| index < video.lead_chunks);
        let smallest = |task: &TaskRef| match task.kind {
            TaskKind::Lead => true,
            TaskKind::Video => !is_led(task),
            _ => false,
        };
        tasks.push(NewTask::new(TaskRef::only(TaskKind::Storyboard), after(&smallest)));
    }
    if ladder.download {
        let kept = |task: &TaskRef| matches!(task.kind, TaskKind::Lead | TaskKind::Video | TaskKind::Audio);
        tasks.push(NewTask::new(TaskRef::only(TaskKind::Download), after(&kept)));
    }
    tasks
}

/// One task for each run of each track.
fn audio(plan: &Plan) -> Result<Vec<NewTask>, media::Error> {
    let mut tasks = Vec::new();
    for (track, audio) in plan.audios.iter().enumerate() {
        for (place, run) in audio.runs.iter().enumerate() {
            let index = track * RUNS_PER_TRACK + place;
            let kind = TaskKind::Audio;
            let index = i32::try_from(index).map_err(|error| internal(&error))?;
            let start_ms = run.start_ms();
            tasks.push(NewTask {
                weight_ms: run.end_ms().unwrap_or(audio.duration_ms) - start_ms,
                due_ms: start_ms,
                ready_at: ready_at(plan, kind, index),
                ..NewTask::new(TaskRef { kind, index }, planned())
            });
        }
    }
    Ok(tasks)
}

/// One task for each text track. Its words lie all over the source.
fn subtitles(plan: &Plan) -> Result<Vec<NewTask>, media::Error> {
    let index = |place: usize| i32::try_from(place).map_err(|error| internal(&error));
    let task = |place| {
        let task = TaskRef {
            kind: TaskKind::Subtitles,
            index: index(place)?,
        };
        Ok(NewTask::new(task, planned()))
    };
    (0..plan.subtitles.len()).map(task).collect()
}
