-- What becomes of a source when a job has succeeded: it stays, is removed, or is moved to the archive store.

-- What a job wants of it; NULL: that it stays.
ALTER TABLE jobs ADD COLUMN source_action TEXT CHECK (source_action IN ('delete', 'archive'));
-- What jobs that have succeeded want, and what is still to be done; NULL: nothing.
ALTER TABLE uploads ADD COLUMN source_wish TEXT CHECK (source_wish IN ('delete', 'archive'));
-- Where the bytes of a complete upload are; NULL: where they were uploaded to. Of one that is archived, `file_epoch` and `source_key`
-- name its place in the archive store.
ALTER TABLE uploads ADD COLUMN source_state TEXT CHECK (source_state IN ('archived', 'removed'));
-- 1 while bytes are still to be removed from where the source isn't any more.
ALTER TABLE uploads ADD COLUMN source_left BIGINT NOT NULL DEFAULT 0 CHECK (source_left IN (0, 1));
-- How often somebody began to move it: each writes a file or an object of its own. And until when the last one has it for itself.
ALTER TABLE uploads ADD COLUMN source_epoch BIGINT NOT NULL DEFAULT 0 CHECK (source_epoch >= 0);
ALTER TABLE uploads ADD COLUMN source_lease_ms BIGINT;
CREATE INDEX uploads_wished ON uploads (id) WHERE source_wish IS NOT NULL;
CREATE INDEX uploads_left ON uploads (id) WHERE source_left = 1;
