-- One history for SQLite and Postgres: TEXT for ids, words and JSON, BIGINT for numbers and for times, which are
-- milliseconds since 1970 (the names end in _ms). CHECKs make illegal rows impossible to store.

CREATE TABLE tenants (
    id        TEXT PRIMARY KEY,
    -- Numbers all events of the tenant; taken under this row's lock, so the order of numbers is the order of commits.
    event_seq BIGINT NOT NULL DEFAULT 0 CHECK (event_seq >= 0)
);

CREATE TABLE uploads (
    id              TEXT PRIMARY KEY,
    tenant          TEXT NOT NULL REFERENCES tenants (id),
    state           TEXT NOT NULL CHECK (state IN ('receiving', 'complete', 'failed', 'aborted', 'expired')),
    file_name       TEXT NOT NULL,
    content_type    TEXT NOT NULL,
    metadata        TEXT NOT NULL,
    size_bytes      BIGINT CHECK (size_bytes >= 0),
    durable_offset  BIGINT NOT NULL DEFAULT 0 CHECK (durable_offset >= 0),
    writer_epoch    BIGINT NOT NULL DEFAULT 0 CHECK (writer_epoch >= 0),
    expected_sha256 BYTEA,
    job_id          TEXT,
    error           TEXT,
    -- 1 when the bytes of an upload that came to nothing are gone from the store.
    freed           BIGINT NOT NULL DEFAULT 0 CHECK (freed IN (0, 1)),
    created_at_ms   BIGINT NOT NULL,
    updated_at_ms   BIGINT NOT NULL,
    expires_at_ms   BIGINT NOT NULL,
    completed_at_ms BIGINT,
    CHECK (size_bytes IS NULL OR durable_offset <= size_bytes),
    CHECK (state <> 'complete' OR (size_bytes IS NOT NULL AND durable_offset = size_bytes)),
    CHECK ((state = 'complete') = (completed_at_ms IS NOT NULL)),
    CHECK ((state = 'failed') = (error IS NOT NULL)),
    CHECK (freed = 0 OR state IN ('failed', 'aborted', 'expired'))
);
CREATE INDEX uploads_by_tenant ON uploads (tenant, id);
CREATE INDEX uploads_expiring ON uploads (expires_at_ms) WHERE state = 'receiving';
CREATE INDEX uploads_to_free ON uploads (id) WHERE freed = 0 AND state IN ('failed', 'aborted', 'expired');

-- The parts of uploads whose store takes them in parts (object stores). On a disk an upload is one file without parts.
CREATE TABLE parts (
    upload_id     TEXT NOT NULL REFERENCES uploads (id) ON DELETE CASCADE,
    number        BIGINT NOT NULL CHECK (number >= 1),
    start_offset  BIGINT NOT NULL CHECK (start_offset >= 0),
    size_bytes    BIGINT NOT NULL CHECK (size_bytes > 0),
    etag          TEXT NOT NULL,
    created_at_ms BIGINT NOT NULL,
    PRIMARY KEY (upload_id, number),
    UNIQUE (upload_id, start_offset)
);

CREATE TABLE jobs (
    id                     TEXT PRIMARY KEY,
    tenant                 TEXT NOT NULL REFERENCES tenants (id),
    upload_id              TEXT NOT NULL REFERENCES uploads (id),
    state                  TEXT NOT NULL CHECK (state IN ('queued', 'running', 'succeeded', 'failed', 'cancelled')),
    preset                 TEXT NOT NULL,
    ladder                 TEXT NOT NULL,
    source                 TEXT,
    plan                   TEXT,
    renditions             TEXT NOT NULL DEFAULT '[]',
    -- What players may see: the key prefix of the playlists of the one package attempt that won.
    published_prefix       TEXT,
    poster_key             TEXT,
    error                  TEXT,
    attempts               BIGINT NOT NULL DEFAULT 0 CHECK (attempts >= 0),
    missing_frames         BIGINT NOT NULL DEFAULT 0 CHECK (missing_frames >= 0),
    event_seq              BIGINT NOT NULL DEFAULT 0 CHECK (event_seq >= 0),
    created_at_ms          BIGINT NOT NULL,
    updated_at_ms          BIGINT NOT NULL,
    started_at_ms          BIGINT,
    playable_at_ms         BIGINT,
    finished_at_ms         BIGINT,
    CHECK ((state IN ('succeeded', 'failed', 'cancelled')) = (finished_at_ms IS NOT NULL)),
    CHECK ((state = 'failed') = (error IS NOT NULL)),
    CHECK ((playable_at_ms IS NULL) = (published_prefix IS NULL)),
    CHECK (state <> 'succeeded' OR published_prefix IS NOT NULL)
);
CREATE INDEX jobs_by_tenant ON jobs (tenant, id);
CREATE INDEX jobs_by_upload ON jobs (upload_id, id);

CREATE TABLE tasks (
    id                  TEXT PRIMARY KEY,
    job_id              TEXT NOT NULL REFERENCES jobs (id) ON DELETE CASCADE,
    kind                TEXT NOT NULL
        CHECK (kind IN ('probe', 'plan', 'video', 'audio', 'poster', 'package', 'finish')),
    idx                 BIGINT NOT NULL CHECK (idx >= 0),
    state               TEXT NOT NULL CHECK (state IN ('queued', 'running', 'succeeded', 'failed', 'cancelled')),
    -- How many predecessors are not done yet.
    pending             BIGINT NOT NULL CHECK (pending >= 0),
    -- Claimable when the upload's durable offset has reached this; NULL: when the upload is complete.
    ready_at_offset     BIGINT CHECK (ready_at_offset >= 0),
    weight_ms           BIGINT NOT NULL DEFAULT 0 CHECK (weight_ms >= 0),
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
CREATE INDEX tasks_by_job ON tasks (job_id, id);
CREATE INDEX tasks_claimable ON tasks (id) WHERE state = 'queued' AND pending = 0;
CREATE INDEX tasks_leased ON tasks (lease_expires_at_ms) WHERE state = 'running';

CREATE TABLE task_edges (
    before_id TEXT NOT NULL REFERENCES tasks (id) ON DELETE CASCADE,
    after_id  TEXT NOT NULL REFERENCES tasks (id) ON DELETE CASCADE,
    PRIMARY KEY (before_id, after_id)
);
CREATE INDEX task_edges_after ON task_edges (after_id);

CREATE TABLE job_events (
    job_id        TEXT NOT NULL REFERENCES jobs (id) ON DELETE CASCADE,
    seq           BIGINT NOT NULL CHECK (seq >= 1),
    tenant        TEXT NOT NULL,
    tenant_seq    BIGINT NOT NULL CHECK (tenant_seq >= 1),
    upload_id     TEXT NOT NULL,
    change        TEXT NOT NULL,
    created_at_ms BIGINT NOT NULL,
    PRIMARY KEY (job_id, seq),
    UNIQUE (tenant, tenant_seq)
);

CREATE TABLE outbox (
    id            TEXT PRIMARY KEY,
    message       TEXT NOT NULL,
    created_at_ms BIGINT NOT NULL
);

CREATE TABLE request_ids (
    tenant        TEXT NOT NULL,
    method        TEXT NOT NULL,
    request_id    TEXT NOT NULL,
    request_hash  BYTEA NOT NULL,
    resource_id   TEXT NOT NULL,
    created_at_ms BIGINT NOT NULL,
    PRIMARY KEY (tenant, method, request_id)
);
