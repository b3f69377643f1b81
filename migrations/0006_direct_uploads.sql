-- Parts that clients put straight into the bucket: handed out, with a number that nobody else uses, and not counted yet. A part that
-- counts moves to `parts`.
CREATE TABLE direct_parts (
    upload_id    TEXT NOT NULL REFERENCES uploads (id) ON DELETE CASCADE,
    number       BIGINT NOT NULL CHECK (number >= 1),
    -- Only what was handed out to the newest writer can count.
    writer_epoch BIGINT NOT NULL,
    start_offset BIGINT NOT NULL CHECK (start_offset >= 0),
    size_bytes   BIGINT NOT NULL CHECK (size_bytes > 0),
    -- What the store was seen to have; NULL: nothing yet.
    etag         TEXT,
    PRIMARY KEY (upload_id, number)
);
