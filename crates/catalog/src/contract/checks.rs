//! Illegal rows can't be stored, whoever writes them.

use super::{db::Db, on_both};

on_both!(illegal_rows_are_refused);

/// What breaks a rule if it is set in rows that are legal.
const ILLEGAL: [(&str, &str); 37] = [
    ("tenants", "event_seq = -1"),
    ("tenants", "bytes_max = -1"),
    ("tenants", "uploads_open_max = -1"),
    ("tenants", "bytes_reserved = -1"),
    ("tenants", "bytes_stored = -1"),
    ("tenants", "uploads_open = -1"),
    ("uploads", "quota_bytes = -1"),
    ("uploads", "state = 'done'"),
    ("uploads", "state = 'complete'"),
    ("uploads", "state = 'failed'"),
    ("uploads", "error = '{}'"),
    ("uploads", "completed_at_ms = 1"),
    ("uploads", "durable_offset = -1"),
    ("uploads", "durable_offset = 11, size_bytes = 10"),
    (
        "uploads",
        "state = 'complete', completed_at_ms = 1, size_bytes = 10, durable_offset = 9",
    ),
    ("uploads", "writer_epoch = -1"),
    ("uploads", "freed = 1"),
    ("uploads", "state = 'aborted', freed = 2"),
    ("uploads", "tenant = 'nobody'"),
    ("uploads", "kind = 'half'"),
    ("jobs", "state = 'done'"),
    ("jobs", "state = 'cancelled'"),
    ("jobs", "finished_at_ms = 1"),
    ("jobs", "state = 'failed', finished_at_ms = 1"),
    ("jobs", "state = 'succeeded', finished_at_ms = 1"),
    ("jobs", "playable_at_ms = 1"),
    ("jobs", "upload_id = 'none'"),
    ("tasks", "kind = 'nap'"),
    ("tasks", "pending = -1"),
    ("tasks", "attempt = attempt_max + 1"),
    ("tasks", "state = 'running'"),
    (
        "tasks",
        "state = 'running', pending = 1, lease_owner = 'w', lease_expires_at_ms = 1",
    ),
    ("tasks", "lease_owner = 'w'"),
    ("tasks", "lease_expires_at_ms = 1"),
    ("tasks", "state = 'succeeded'"),
    ("tasks", "result = '{}'"),
    ("tasks", "state = 'failed'"),
];

async fn illegal_rows_are_refused(db: &Db) {
    db.receiving().await;
    for (table, change) in ILLEGAL {
        let refused = db.raw(&format!("UPDATE {table} SET {change}")).await;
        let violation = refused
            .as_ref()
            .err()
            .and_then(|e| e.as_database_error())
            .map(sqlx::error::DatabaseError::kind);
        assert!(
            matches!(
                violation,
                Some(sqlx::error::ErrorKind::CheckViolation | sqlx::error::ErrorKind::ForeignKeyViolation)
            ),
            "{table}: {change}: {refused:?}"
        );
    }
    let twice = "INSERT INTO job_events (job_id, seq, tenant, tenant_seq, upload_id, change, created_at_ms)
                 SELECT job_id, seq + 1, tenant, tenant_seq, upload_id, change, 0 FROM job_events";
    assert!(db.raw(twice).await.is_err(), "a tenant's numbers are unique");
    assert!(
        db.raw("INSERT INTO task_edges (before_id, after_id) VALUES ('a', 'b')")
            .await
            .is_err()
    );
}
