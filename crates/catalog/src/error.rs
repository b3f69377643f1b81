//! What can go wrong in the catalog, and what callers hear of it.

use std::path::PathBuf;

use reelway_domain::{Failure, FieldViolation, Reason, UploadId, UploadState};
use sqlx::error::ErrorKind;

/// A failure of the catalog itself. Outcomes that belong to normal life (no such row, lease lost) are values, not errors.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The database refused or did not answer.
    #[error("the catalog's database failed: {0}")]
    Database(#[from] sqlx::Error),
    /// A migration failed.
    #[error("migrating the catalog failed: {0}")]
    Migrate(sqlx::migrate::MigrateError),
    /// The schema is newer than this binary.
    #[error("the catalog's schema has migration {0}, which this binary does not know; run a newer reelway")]
    NewerSchema(i64),
    /// A catalog was not copied.
    #[error(transparent)]
    Copy(#[from] crate::CopyError),
    /// Another process uses the SQLite file.
    #[error("another reelway process uses {}; stop it, or use Postgres for several processes", .0.display())]
    Locked(PathBuf),
    /// There is no such SQLite file.
    #[error("there is no database {}; `reelway migrate` and `reelway serve` make it", .0.display())]
    Absent(PathBuf),
    /// The lock file or the database's directory could not be made.
    #[error("could not prepare {}: {source}", path.display())]
    Prepare {
        /// The file or directory.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The URL names no database that is known here.
    #[error("{0:?} is not a database URL; use sqlite:///FILE or postgres://USER@HOST/DATABASE")]
    Url(String),
    /// A stored row is not what this code writes.
    #[error("a row of the catalog can't be read: {0}")]
    Corrupt(String),
    /// The request id was used before with another request.
    #[error("the request id {0} was used before with another request")]
    RequestIdReused(String),
    /// The tenant would have more than it may have.
    #[error("the tenant's quota: {0}")]
    Quota(#[from] crate::QuotaError),
    /// The tenant has no such partial upload, or it came to nothing.
    #[error("upload {0} is not a partial upload that can be put together with others")]
    PartUnusable(UploadId),
    /// The upload is one part of another, and no file by itself.
    #[error("upload {0} is one part of another upload; nothing is made of it alone")]
    NoFile(UploadId),
    /// The parts of an upload are longer together than an upload may be, in bytes.
    #[error("the parts are {0} bytes together, more than an upload may have")]
    JoinedTooLong(i64),
    /// The upload's bytes were removed after a job had succeeded.
    #[error("the bytes of upload {0} were removed after a job had succeeded")]
    SourceRemoved(UploadId),
    /// The upload came to nothing, so it can't have another job.
    #[error("upload {id} is {state} and can't be processed")]
    UploadEnded {
        /// The upload.
        id: UploadId,
        /// How it ended.
        state: UploadState,
    },
}

/// Whether this code is to blame, so that trying again doesn't help. Everything else is the database's state at this moment:
/// it is away, ends connections, only reads, has no room, or chose this statement to give way.
fn is_mistake(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Database(refusal) => !matches!(refusal.kind(), ErrorKind::Other),
        sqlx::Error::RowNotFound
        | sqlx::Error::ColumnNotFound(_)
        | sqlx::Error::ColumnIndexOutOfBounds { .. }
        | sqlx::Error::ColumnDecode { .. }
        | sqlx::Error::Decode(_)
        | sqlx::Error::Encode(_)
        | sqlx::Error::TypeNotFound { .. } => true,
        _ => false,
    }
}

impl From<serde_json::Error> for Error {
    fn from(error: serde_json::Error) -> Self {
        Self::Corrupt(error.to_string())
    }
}

impl From<reelway_domain::StateError> for Error {
    fn from(error: reelway_domain::StateError) -> Self {
        Self::Corrupt(error.to_string())
    }
}

impl From<reelway_domain::IdError> for Error {
    fn from(error: reelway_domain::IdError) -> Self {
        Self::Corrupt(error.to_string())
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        match &error {
            Error::RequestIdReused(id) => {
                let message = "the request id was used before with another request; make a new UUID for a new request";
                Failure::new(Reason::RequestIdReused, message).with("requestId", id)
            }
            Error::UploadEnded { id, state } => {
                let reason = match state {
                    UploadState::Expired => Reason::UploadExpired,
                    UploadState::Aborted => Reason::UploadAborted,
                    UploadState::Failed | UploadState::Receiving | UploadState::Complete => Reason::UploadFailed,
                };
                Failure::new(reason, format!("{error}; upload the file again")).with("uploadId", id)
            }
            Error::SourceRemoved(id) => {
                let message =
                    "the source was removed after a job had succeeded, as that job was to do; upload the file again";
                Failure::new(Reason::SourceRemoved, message).with("uploadId", id)
            }
            Error::PartUnusable(id) => {
                let message = "no such partial upload, or it came to nothing";
                Failure::new(Reason::PartUnusable, message).with("partUploadId", id)
            }
            Error::NoFile(_) => Failure::invalid(vec![FieldViolation {
                field: "upload_id".into(),
                description: error.to_string(),
            }]),
            Error::JoinedTooLong(size) => Failure::new(Reason::SizeExceeded, error.to_string()).with("sizeBytes", size),
            Error::Quota(refusal) => (*refusal).into(),
            Error::Corrupt(_) => Failure::new(Reason::Internal, error.to_string()),
            Error::Database(source) if is_mistake(source) => {
                tracing::error!(%error, "the database refused what this code wrote");
                Failure::new(Reason::Internal, "the catalog's database refused the change")
            }
            _ => {
                tracing::warn!(error = %error, "catalog unavailable");
                Failure::new(
                    Reason::CatalogUnavailable,
                    "the catalog's database did not answer; try again",
                )
            }
        }
    }
}
