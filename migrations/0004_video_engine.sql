-- What encoding beside the upload needs: more kinds of tasks, the order in which workers take them, and what is known of a file
-- before its last byte.

-- The kinds of a task stand in a CHECK, which SQLite can't change: the table is made anew, the same way on both databases.
CREATE TABLE kept_edges AS SELECT before_id, after_id FROM task_edges;
DROP TABLE task_edges;
DROP INDEX tasks_claimable;
DROP INDEX tasks_leased;
ALTER TABLE tasks RENAME TO tasks_before;

CREATE TABLE tasks (
    id                  TEXT PRIMARY KEY,
    job_id              TEXT NOT NULL REFERENCES jobs (id) ON DELETE CASCADE,
    kind                TEXT NOT NULL
        CHECK (kind IN ('probe', 'plan', 'lead', 'trial', 'video', 'audio', 'subtitles', 'poster', 'storyboard', 'download',
                        'verify', 'package', 'finish')),
    idx                 BIGINT NOT NULL CHECK (idx >= 0),
    state               TEXT NOT NULL CHECK (state IN ('queued', 'running', 'succeeded', 'failed', 'cancelled')),
    -- How many predecessors are not done yet.
    pending             BIGINT NOT NULL CHECK (pending >= 0),
    -- Claimable when the upload's durable offset has reached this; NULL: when the upload is complete.
    ready_at_offset     BIGINT CHECK (ready_at_offset >= 0),
    weight_ms           BIGINT NOT NULL DEFAULT 0 CHECK (weight_ms >= 0),
    -- When somebody who watches from the start will want it: the one that is due first is claimed first.
    due_ms              BIGINT NOT NULL DEFAULT 0,
    -- What it takes of a worker's memory, in MiB, by estimate.
    memory_mib          BIGINT NOT NULL DEFAULT 0 CHECK (memory_mib >= 0),
    attempt             BIGINT NOT NULL DEFAULT 0 CHECK (attempt >= 0),
    attempt_max         BIGINT NOT NULL CHECK (attempt_max >= 1),
    run_at_ms           BIGINT NOT NULL,
    lease_epoch         BIGINT NOT NULL DEFAULT 0 CHECK (lease_epoch >= 0),
    lease_owner         TEXT,
    lease_expires_at_ms BIGINT,
    result              TEXT,
    error               TEXT,
    stderr_tail         TEXT NOT NULL DEFAULT '',
    created_at_ms       BIGINT NOT NULL,
    updated_at_ms       BIGINT NOT NULL,
    UNIQUE (job_id, kind, idx),
    CHECK (attempt <= attempt_max),
    CHECK (state <> 'running' OR pending = 0),
    CHECK ((state = 'running') = (lease_owner IS NOT NULL)),
    CHECK ((state = 'running') = (lease_expires_at_ms IS NOT NULL)),
    CHECK ((state = 'succeeded') = (result IS NOT NULL)),
    CHECK (state <> 'failed' OR error IS NOT NULL)
);
INSERT INTO tasks (id, job_id, kind, idx, state, pending, ready_at_offset, weight_ms, due_ms, attempt, attempt_max, run_at_ms,
                   lease_epoch, lease_owner, lease_expires_at_ms, result, error, stderr_tail, created_at_ms, updated_at_ms)
    SELECT id, job_id, kind, idx, state, pending, ready_at_offset, weight_ms, created_at_ms, attempt, attempt_max, run_at_ms,
           lease_epoch, lease_owner, lease_expires_at_ms, result, error, stderr_tail, created_at_ms, updated_at_ms
    FROM tasks_before;
DROP TABLE tasks_before;
CREATE INDEX tasks_claimable ON tasks (due_ms, id) WHERE state = 'queued' AND pending = 0;
CREATE INDEX tasks_leased ON tasks (lease_expires_at_ms) WHERE state = 'running';

CREATE TABLE task_edges (
    before_id TEXT NOT NULL REFERENCES tasks (id) ON DELETE CASCADE,
    after_id  TEXT NOT NULL REFERENCES tasks (id) ON DELETE CASCADE,
    PRIMARY KEY (before_id, after_id)
);
CREATE INDEX task_edges_after ON task_edges (after_id);
INSERT INTO task_edges (before_id, after_id) SELECT before_id, after_id FROM kept_edges;
DROP TABLE kept_edges;

-- Higher is sooner.
ALTER TABLE jobs ADD COLUMN priority BIGINT NOT NULL DEFAULT 0 CHECK (priority BETWEEN -100 AND 100);
-- For what a tenant has before a job; it serves those who count all of them too.
DROP INDEX jobs_living;
CREATE INDEX jobs_living ON jobs (tenant, id, state) WHERE state IN ('queued', 'running');
-- How much the published playlists hold, in segments of all renditions: a publication replaces only a smaller one.
ALTER TABLE jobs ADD COLUMN published_segments BIGINT NOT NULL DEFAULT 0 CHECK (published_segments >= 0);
-- Keys of what is published beside the playlists.
ALTER TABLE jobs ADD COLUMN download_key TEXT;
-- Names of files below the published prefix.
ALTER TABLE jobs ADD COLUMN manifest_name TEXT;
ALTER TABLE jobs ADD COLUMN storyboard_name TEXT;

-- The offset from which on another task can be claimed; NULL if none waits for one. A commit that passes it wakes workers.
ALTER TABLE uploads ADD COLUMN wake_at_offset BIGINT CHECK (wake_at_offset >= 0);
-- Where the tail begins that was sent ahead of time.
ALTER TABLE uploads ADD COLUMN tail_offset BIGINT CHECK (tail_offset >= 0);

-- An older binary would claim tasks of kinds that it doesn't know.
UPDATE settings SET value = '4' WHERE name = 'schema.oldest_binary';
