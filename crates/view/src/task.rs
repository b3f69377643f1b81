//! Tasks.

use reelway::v1;
use reelway_catalog::Task;
use reelway_rpc::{
    ProtoEnum as _,
    convert::{error, timestamp},
};

/// A task as clients see it.
#[must_use]
pub fn task(row: &Task) -> v1::Task {
    v1::Task {
        id: row.id.to_string(),
        job_id: row.job.to_string(),
        kind: row.kind.to_proto().into(),
        index: row.index,
        state: row.state.to_proto().into(),
        attempt: row.attempt,
        attempt_max: row.attempt_max,
        lease_epoch: row.lease_epoch.0,
        lease_owner: row.lease_owner.clone().unwrap_or_default(),
        // At most `limits::TASKS_PER_JOB_MAX`.
        predecessors_pending: i32::try_from(row.pending).unwrap_or(i32::MAX),
        ready_at_offset: row.ready_at_offset.map(|offset| offset.0),
        error: row.error.as_ref().map(error),
        stderr_tail: row.stderr_tail.clone(),
        create_time: Some(timestamp(row.created_at)),
        update_time: Some(timestamp(row.updated_at)),
    }
}

#[cfg(test)]
mod tests {
    use reelway_domain::{Failure, JobId, LeaseEpoch, Offset, Reason, TaskId, TaskKind, TaskState, Timestamp};

    use super::*;

    #[test]
    fn a_task_that_is_tried_again() {
        let row = Task {
            id: TaskId::new(),
            job: JobId::new(),
            kind: TaskKind::Video,
            index: 2,
            state: TaskState::Queued,
            pending: 1,
            ready_at_offset: Some(Offset(9)),
            weight_ms: 6_000,
            memory_mib: 0,
            attempt: 1,
            attempt_max: 4,
            lease_epoch: LeaseEpoch(8),
            lease_owner: None,
            result: None,
            error: Some(Failure::new(Reason::EncoderFailed, "exit 1")),
            stderr_tail: "last line".into(),
            created_at: Timestamp(1_000),
            updated_at: Timestamp(2_000),
        };
        let told = task(&row);
        assert_eq!(
            (told.id.clone(), told.job_id.clone()),
            (row.id.to_string(), row.job.to_string())
        );
        assert_eq!(
            (told.kind(), told.state()),
            (v1::TaskKind::Video, v1::TaskState::Queued)
        );
        assert_eq!(
            (told.index, told.attempt, told.attempt_max, told.lease_epoch),
            (2, 1, 4, 8)
        );
        assert_eq!((told.predecessors_pending, told.ready_at_offset), (1, Some(9)));
        assert_eq!(
            (told.lease_owner.as_str(), told.stderr_tail.as_str()),
            ("", "last line")
        );
        assert_eq!(told.error.unwrap().reason, "ENCODER_FAILED");
    }
}
