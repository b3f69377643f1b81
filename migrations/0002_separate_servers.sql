-- What several servers on one catalog need: who writes an upload and into which file, what the deployment agreed on,
-- webhooks, and the trace that a row belongs to.

-- The server process whose writer is the newest; NULL before the first, and once it can't write any more.
ALTER TABLE uploads ADD COLUMN writer TEXT;
-- Which of the upload's files the newest writer writes; of a complete upload: which holds all of it. 0: the first.
ALTER TABLE uploads ADD COLUMN file_epoch BIGINT NOT NULL DEFAULT 0 CHECK (file_epoch >= 0);
ALTER TABLE uploads ADD COLUMN webhook_url TEXT;
ALTER TABLE uploads ADD COLUMN trace_context TEXT;
ALTER TABLE jobs ADD COLUMN trace_context TEXT;

-- The files that an upload was written to after the first: a writer in another process doesn't share one, because
-- nothing can stop a write of a process that was paused or cut off. `start_offset` was the durable offset when the file
-- was begun: below it the bytes are in the files before.
CREATE TABLE upload_files (
    upload_id    TEXT NOT NULL REFERENCES uploads (id) ON DELETE CASCADE,
    epoch        BIGINT NOT NULL CHECK (epoch >= 1),
    start_offset BIGINT NOT NULL CHECK (start_offset >= 0),
    PRIMARY KEY (upload_id, epoch)
);

-- What all processes of a deployment must agree on, for example which store the bytes are in.
CREATE TABLE settings (
    name  TEXT PRIMARY KEY,
    value TEXT NOT NULL
);

-- Webhooks that are to be delivered, one row per message and receiver, written with the change that they tell of. Delivered
-- and given up ones stay for a while, to be looked at.
CREATE TABLE webhooks (
    -- What is told: the same for every receiver and every try.
    message_id      TEXT NOT NULL,
    -- Empty: the receivers of the configuration, which the change didn't know; a server that does makes a row for each.
    url             TEXT NOT NULL,
    -- Of the URL: a slow one must not keep the others waiting.
    host            TEXT NOT NULL,
    tenant          TEXT NOT NULL,
    event           TEXT NOT NULL CHECK (event IN ('upload.completed', 'job.succeeded', 'job.failed')),
    upload_id       TEXT NOT NULL,
    job_id          TEXT,
    body            TEXT NOT NULL,
    state           TEXT NOT NULL CHECK (state IN ('pending', 'delivered', 'given_up')),
    -- How often it was tried; a result counts only under the number of its own try.
    attempt         BIGINT NOT NULL DEFAULT 0 CHECK (attempt >= 0),
    -- When it is tried next; while it is being tried: when another server may.
    next_at_ms      BIGINT NOT NULL,
    error           TEXT,
    trace_context   TEXT,
    created_at_ms   BIGINT NOT NULL,
    updated_at_ms   BIGINT NOT NULL,
    PRIMARY KEY (message_id, url),
    CHECK (url <> '' OR state = 'pending'),
    CHECK (state <> 'given_up' OR error IS NOT NULL)
);
CREATE INDEX webhooks_due ON webhooks (next_at_ms) WHERE state = 'pending';
CREATE INDEX webhooks_unaddressed ON webhooks (message_id) WHERE url = '';
CREATE INDEX webhooks_ended ON webhooks (updated_at_ms) WHERE state <> 'pending';
CREATE INDEX webhooks_by_upload ON webhooks (upload_id);

-- The key (job_id, kind, idx) finds a job's tasks as well, and each index costs with every claim.
DROP INDEX tasks_by_job;

-- For what is removed by age, and for what is counted all the time.
CREATE INDEX request_ids_by_age ON request_ids (created_at_ms);
CREATE INDEX jobs_living ON jobs (state) WHERE state IN ('queued', 'running');

-- The oldest migration that a binary must know to work with this schema. Only migrations that take something away raise it.
INSERT INTO settings (name, value) VALUES ('schema.oldest_binary', '2');
