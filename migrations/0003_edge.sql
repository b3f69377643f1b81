-- Who may call, what a tenant may have, and uploads that are put together from others.

-- Keys that callers show. Only a digest of the secret is kept: it is long and random, so a fast one is safe.
CREATE TABLE api_keys (
    id              TEXT PRIMARY KEY,
    tenant          TEXT NOT NULL REFERENCES tenants (id),
    name            TEXT NOT NULL,
    secret_sha256   BYTEA NOT NULL,
    -- A JSON array of words.
    scopes          TEXT NOT NULL,
    created_at_ms   BIGINT NOT NULL,
    expires_at_ms   BIGINT,
    revoked_at_ms   BIGINT,
    -- To the minute: not every call is worth a write.
    last_used_at_ms BIGINT
);
CREATE INDEX api_keys_by_tenant ON api_keys (tenant, id);

-- What a tenant may have and has. NULL: what the servers give to those without a limit of their own. Bytes are reserved when an upload of known length is created, become
-- stored when it is complete, and are free again when it comes to nothing or is deleted.
ALTER TABLE tenants ADD COLUMN bytes_max BIGINT CHECK (bytes_max >= 0);
ALTER TABLE tenants ADD COLUMN uploads_open_max BIGINT CHECK (uploads_open_max >= 0);
ALTER TABLE tenants ADD COLUMN bytes_reserved BIGINT NOT NULL DEFAULT 0 CHECK (bytes_reserved >= 0);
ALTER TABLE tenants ADD COLUMN bytes_stored BIGINT NOT NULL DEFAULT 0 CHECK (bytes_stored >= 0);
-- How many of its uploads receive.
ALTER TABLE tenants ADD COLUMN uploads_open BIGINT NOT NULL DEFAULT 0 CHECK (uploads_open >= 0);

-- What of its tenant's quota an upload holds: reserved while bytes may come, stored from then on; 0 when they are gone.
ALTER TABLE uploads ADD COLUMN quota_bytes BIGINT NOT NULL DEFAULT 0 CHECK (quota_bytes >= 0);
-- What there is already counts too.
UPDATE uploads SET quota_bytes = COALESCE(size_bytes, durable_offset) WHERE state IN ('receiving', 'complete');
UPDATE tenants SET
    uploads_open = (SELECT COUNT(*) FROM uploads WHERE tenant = tenants.id AND state = 'receiving'),
    bytes_reserved = (SELECT CAST(COALESCE(SUM(quota_bytes), 0) AS BIGINT) FROM uploads
                      WHERE tenant = tenants.id AND state = 'receiving'),
    bytes_stored = (SELECT CAST(COALESCE(SUM(quota_bytes), 0) AS BIGINT) FROM uploads
                    WHERE tenant = tenants.id AND state = 'complete');
-- A text of the client's own.
ALTER TABLE uploads ADD COLUMN client_state TEXT NOT NULL DEFAULT '';
-- What the upload is for: a file, one part of another upload, or put together from such parts.
ALTER TABLE uploads ADD COLUMN kind TEXT NOT NULL DEFAULT 'whole' CHECK (kind IN ('whole', 'partial', 'joined'));

-- What a joined upload is put together from, in this order.
CREATE TABLE upload_joins (
    upload_id TEXT NOT NULL REFERENCES uploads (id) ON DELETE CASCADE,
    position  BIGINT NOT NULL CHECK (position >= 0),
    part_id   TEXT NOT NULL REFERENCES uploads (id),
    PRIMARY KEY (upload_id, position)
);
CREATE INDEX upload_joins_by_part ON upload_joins (part_id);
-- Partial uploads expire also when they are complete.
CREATE INDEX uploads_parts_expiring ON uploads (expires_at_ms) WHERE state = 'complete' AND kind = 'partial';
CREATE INDEX uploads_joining ON uploads (id) WHERE state = 'receiving' AND kind = 'joined';
