//! The task graph of a job: what is to be done, in which order, and from which byte on.

use crate::{Offset, TaskKind};

/// Names a task within its job before it has an id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct TaskRef {
    /// What the task does.
    pub kind: TaskKind,
    /// Which one of its kind, from 0.
    pub index: i32,
}

/// How much of the upload a task needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReadyAt {
    /// All of it.
    Complete,
    /// Every byte below an offset.
    Offset(Offset),
}

/// A task that is to be added to a job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewTask {
    /// What it does, and which one of its kind it is.
    pub task: TaskRef,
    /// What must have succeeded before.
    pub after: Vec<TaskRef>,
    /// How much of the upload must be there.
    pub ready_at: ReadyAt,
    /// How much of the source it turns into renditions, in milliseconds; 0 if it makes none.
    pub weight_ms: i64,
    /// How long after the job's creation somebody who watches from the start will want it, in milliseconds: what is wanted
    /// sooner is claimed sooner.
    pub due_ms: i64,
    /// What it takes of a worker's memory, in MiB, by estimate.
    pub memory_mib: i64,
}

impl ReadyAt {
    /// The offset up to which the upload must be there; `None` if all of it must.
    #[must_use]
    pub fn offset(self) -> Option<i64> {
        match self {
            Self::Complete => None,
            Self::Offset(offset) => Some(offset.0),
        }
    }
}

impl TaskRef {
    /// The only task of its kind.
    #[must_use]
    pub fn only(kind: TaskKind) -> Self {
        Self { kind, index: 0 }
    }
}

impl NewTask {
    /// A task that needs the whole upload and makes no rendition.
    #[must_use]
    pub fn new(task: TaskRef, after: Vec<TaskRef>) -> Self {
        Self {
            task,
            after,
            ready_at: ReadyAt::Complete,
            weight_ms: 0,
            due_ms: 0,
            memory_mib: 0,
        }
    }
}

/// How much of an upload must be there before anything is looked for in it, in bytes: most headers fit.
const FIRST_LOOK_BYTES: i64 = 64 << 10;

/// The tasks that every job begins with; the plan task adds the rest. Both wait for more if what is there doesn't tell enough.
#[must_use]
pub fn first_tasks() -> Vec<NewTask> {
    let probe = TaskRef::only(TaskKind::Probe);
    let early = |task, after| NewTask {
        ready_at: ReadyAt::Offset(Offset(FIRST_LOOK_BYTES)),
        ..NewTask::new(task, after)
    };
    vec![early(probe, vec![]), early(TaskRef::only(TaskKind::Plan), vec![probe])]
}
