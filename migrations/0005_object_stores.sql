-- Uploads in a bucket: what it holds of each one that is not complete, and which object a complete one is.

-- The multipart upload that `parts` belong to, and the key of the object that it becomes.
ALTER TABLE uploads ADD COLUMN multipart_id TEXT;
ALTER TABLE uploads ADD COLUMN multipart_key TEXT;
-- The lowest part number that no writer has used, or may still use. Whoever takes over from a writer that didn't end well skips as
-- many numbers as that one may have on their way.
ALTER TABLE uploads ADD COLUMN part_next BIGINT NOT NULL DEFAULT 1 CHECK (part_next >= 1);
-- The object that holds all of a complete upload; NULL on a disk.
ALTER TABLE uploads ADD COLUMN source_key TEXT;

-- Bytes behind the last part, in the order of their offsets and without a gap: too few to be a part.
CREATE TABLE rests (
    upload_id    TEXT NOT NULL REFERENCES uploads (id) ON DELETE CASCADE,
    start_offset BIGINT NOT NULL CHECK (start_offset >= 0),
    end_offset   BIGINT NOT NULL,
    object_key   TEXT NOT NULL,
    PRIMARY KEY (upload_id, start_offset),
    CHECK (end_offset > start_offset)
);
