//! The one table of reasons: what each means over gRPC, over HTTP, and for a task's next attempt.

use std::{collections::BTreeMap, fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// The gRPC status codes that Reelway answers with, by their numbers on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(i32)]
pub enum GrpcCode {
    /// The request is wrong whatever the state of the server.
    InvalidArgument = 3,
    /// It took too long.
    DeadlineExceeded = 4,
    /// There is no such thing, or it is not the caller's.
    NotFound = 5,
    /// There is such a thing already.
    AlreadyExists = 6,
    /// The caller is known and may not do this.
    PermissionDenied = 7,
    /// Something is used up.
    ResourceExhausted = 8,
    /// The state must change first.
    FailedPrecondition = 9,
    /// Ask for the state and go on from there.
    Aborted = 10,
    /// Past the end.
    OutOfRange = 11,
    /// Not offered here.
    Unimplemented = 12,
    /// A defect of the server.
    Internal = 13,
    /// Try the same again later.
    Unavailable = 14,
    /// Nobody knows who calls.
    Unauthenticated = 16,
}

/// Whether another attempt can help.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Retry {
    /// The same input gives the same failure.
    Never,
    /// Another attempt, perhaps elsewhere, may succeed.
    WithBackoff,
}

macro_rules! reasons {
    ($($(#[doc = $meaning:literal])+ $variant:ident = $word:literal, $code:ident, $http:literal, $retry:ident;)+) => {
        /// Why something failed. The words are API: clients branch on them.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
        pub enum Reason {
            $($(#[doc = $meaning])+ #[serde(rename = $word)] $variant,)+
        }

        impl Reason {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// The word of `google.rpc.ErrorInfo.reason`.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word,)+ }
            }

            /// What it means, in a sentence for whoever reads the documentation.
            #[must_use]
            pub fn meaning(self) -> &'static str {
                match self { $(Self::$variant => concat!($($meaning),+).trim_ascii(),)+ }
            }

            /// The gRPC status code.
            #[must_use]
            pub fn grpc_code(self) -> GrpcCode {
                match self { $(Self::$variant => GrpcCode::$code,)+ }
            }

            /// The HTTP status code.
            #[must_use]
            pub fn http_status(self) -> u16 {
                match self { $(Self::$variant => $http,)+ }
            }

            /// Whether a task that failed for this reason is tried again.
            #[must_use]
            pub fn retry(self) -> Retry {
                match self { $(Self::$variant => Retry::$retry,)+ }
            }
        }

        impl FromStr for Reason {
            type Err = ();

            fn from_str(word: &str) -> Result<Self, ()> {
                match word { $($word => Ok(Self::$variant),)+ _ => Err(()) }
            }
        }
    };
}

reasons! {
    /// The request is in another version of tus than the one that is spoken here.
    TusVersionUnsupported = "TUS_VERSION_UNSUPPORTED", FailedPrecondition, 412, Never;
    /// Fields of the request are wrong; each is listed.
    FieldInvalid = "FIELD_INVALID", InvalidArgument, 400, Never;
    /// The body is not what its media type says: the message names the place.
    BodyMalformed = "BODY_MALFORMED", InvalidArgument, 400, Never;
    /// The body is longer than this kind of request may be.
    BodyTooLarge = "BODY_TOO_LARGE", InvalidArgument, 413, Never;
    /// The body is of a media type that isn't taken here.
    ContentTypeUnsupported = "CONTENT_TYPE_UNSUPPORTED", InvalidArgument, 415, Never;
    /// Nothing is served under this path.
    PathUnknown = "PATH_UNKNOWN", Unimplemented, 404, Never;
    /// The path doesn't answer to this method; the `Allow` header lists those that it does.
    MethodNotAllowed = "METHOD_NOT_ALLOWED", Unimplemented, 405, Never;
    /// The page token is not one that this list gave.
    PageTokenInvalid = "PAGE_TOKEN_INVALID", InvalidArgument, 400, Never;
    /// The request names nobody who calls.
    CredentialsMissing = "CREDENTIALS_MISSING", Unauthenticated, 401, Never;
    /// What the request shows is not a valid key, token or grant here, or not any more.
    CredentialsInvalid = "CREDENTIALS_INVALID", Unauthenticated, 401, Never;
    /// The caller may not do this.
    PermissionMissing = "PERMISSION_MISSING", PermissionDenied, 403, Never;
    /// Too many requests in too short a time.
    RateLimited = "RATE_LIMITED", ResourceExhausted, 429, WithBackoff;
    /// As many uploads are open at the same time as the tenant may have.
    UploadsTooMany = "UPLOADS_TOO_MANY", ResourceExhausted, 429, WithBackoff;
    /// The tenant's quota of bytes doesn't allow it. Waiting doesn't help, so it is not 429.
    QuotaExceeded = "QUOTA_EXCEEDED", ResourceExhausted, 403, Never;
    /// The request id was used before with another request.
    RequestIdReused = "REQUEST_ID_REUSED", AlreadyExists, 409, Never;
    /// No such upload.
    UploadNotFound = "UPLOAD_NOT_FOUND", NotFound, 404, Never;
    /// The upload expired.
    UploadExpired = "UPLOAD_EXPIRED", NotFound, 410, Never;
    /// The upload was aborted.
    UploadAborted = "UPLOAD_ABORTED", FailedPrecondition, 410, Never;
    /// The upload failed and can't be continued.
    UploadFailed = "UPLOAD_FAILED", FailedPrecondition, 409, Never;
    /// The upload is complete and can't be aborted.
    UploadComplete = "UPLOAD_COMPLETE", FailedPrecondition, 409, Never;
    /// The chunk begins after the durable offset.
    OffsetMismatch = "OFFSET_MISMATCH", Aborted, 409, Never;
    /// Another stream writes this upload now.
    WriterSuperseded = "WRITER_SUPERSEDED", Aborted, 409, Never;
    /// A chunk is not what its checksum says; it was dropped.
    ChunkChecksumMismatch = "CHUNK_CHECKSUM_MISMATCH", InvalidArgument, 460, Never;
    /// The whole file is not what its SHA-256 says.
    FileChecksumMismatch = "FILE_CHECKSUM_MISMATCH", InvalidArgument, 460, Never;
    /// A chunk is larger than a message may be.
    ChunkTooLarge = "CHUNK_TOO_LARGE", InvalidArgument, 413, Never;
    /// The chunk would go past the upload's length; nothing of it was stored.
    SizeExceeded = "SIZE_EXCEEDED", OutOfRange, 413, Never;
    /// The upload can't end here: its length is another.
    SizeMismatch = "SIZE_MISMATCH", FailedPrecondition, 409, Never;
    /// The upload's length is known and can't become another.
    SizeFixed = "SIZE_FIXED", FailedPrecondition, 400, Never;
    /// The upload is put together from others, and no client writes it.
    UploadNotWritable = "UPLOAD_NOT_WRITABLE", FailedPrecondition, 403, Never;
    /// The upload takes no tail ahead of time, or not this one: the message says why. The upload itself goes on as if none was sent.
    TailUnusable = "TAIL_UNUSABLE", FailedPrecondition, 409, Never;
    /// What is named as a part is not one: unknown, ended without being complete, or not created as one.
    PartUnusable = "PART_UNUSABLE", FailedPrecondition, 400, Never;
    /// Bytes of this upload can't go straight into the bucket: the message says why. Write them over gRPC or HTTP.
    DirectUnavailable = "DIRECT_UNAVAILABLE", FailedPrecondition, 409, Never;
    /// The store doesn't have a part as it was reported, and nothing of the report counts; or not as it was when it counted, and it is
    /// handed out again.
    PartMismatch = "PART_MISMATCH", FailedPrecondition, 409, Never;
    /// Nothing arrived for too long; what came is kept.
    StreamIdle = "STREAM_IDLE", DeadlineExceeded, 408, Never;
    /// The source was removed after a job had succeeded. Upload the file again to make something else of it.
    SourceRemoved = "SOURCE_REMOVED", FailedPrecondition, 410, Never;
    /// There is no store that sources could be moved to.
    ArchiveUnavailable = "ARCHIVE_UNAVAILABLE", FailedPrecondition, 409, Never;
    /// No such job.
    JobNotFound = "JOB_NOT_FOUND", NotFound, 404, Never;
    /// The job's state doesn't allow this.
    JobStateConflict = "JOB_STATE_CONFLICT", FailedPrecondition, 409, Never;
    /// The resume token is not valid here.
    ResumeTokenInvalid = "RESUME_TOKEN_INVALID", OutOfRange, 410, Never;
    /// Another worker has the task, or nobody; what this one did counts for nothing.
    LeaseLost = "LEASE_LOST", Aborted, 409, Never;
    /// The store has no room.
    StorageFull = "STORAGE_FULL", ResourceExhausted, 507, WithBackoff;
    /// The store doesn't answer, or with an error.
    StoreUnavailable = "STORE_UNAVAILABLE", Unavailable, 503, WithBackoff;
    /// The catalog doesn't answer, or with an error.
    CatalogUnavailable = "CATALOG_UNAVAILABLE", Unavailable, 503, WithBackoff;
    /// A service behind this server doesn't answer.
    ServiceUnavailable = "SERVICE_UNAVAILABLE", Unavailable, 503, WithBackoff;
    /// The server is going down; another one will answer.
    ShuttingDown = "SHUTTING_DOWN", Unavailable, 503, WithBackoff;
    /// This server doesn't offer that.
    FeatureUnavailable = "FEATURE_UNAVAILABLE", Unimplemented, 501, Never;
    /// The source has no bytes.
    SourceEmpty = "SOURCE_EMPTY", FailedPrecondition, 422, Never;
    /// The source is not a media file that is known here.
    SourceNotMedia = "SOURCE_NOT_MEDIA", FailedPrecondition, 422, Never;
    /// The container holds neither video nor audio.
    SourceNoStreams = "SOURCE_NO_STREAMS", FailedPrecondition, 422, Never;
    /// The codec is unknown or not allowed here.
    SourceCodecUnsupported = "SOURCE_CODEC_UNSUPPORTED", FailedPrecondition, 422, Never;
    /// The source ends before its index says.
    SourceTruncated = "SOURCE_TRUNCATED", FailedPrecondition, 422, Never;
    /// More of the source can't be decoded than the ladder allows.
    SourceDamaged = "SOURCE_DAMAGED", FailedPrecondition, 422, Never;
    /// The source is beyond what this server takes: pixels, duration, streams.
    SourceLimitExceeded = "SOURCE_LIMIT_EXCEEDED", FailedPrecondition, 422, Never;
    /// Fewer frames came out than the plan said; another way of seeking may find them.
    OutputShort = "OUTPUT_SHORT", FailedPrecondition, 422, WithBackoff;
    /// ffmpeg ended with an error that the input doesn't explain.
    EncoderFailed = "ENCODER_FAILED", Internal, 500, WithBackoff;
    /// ffmpeg needed more memory than it may have; another attempt does with less.
    EncoderOutOfMemory = "ENCODER_OUT_OF_MEMORY", ResourceExhausted, 507, WithBackoff;
    /// ffmpeg made no progress for too long and was killed.
    EncoderStalled = "ENCODER_STALLED", Internal, 500, WithBackoff;
    /// The worker that held the lease was not heard of again.
    WorkerLost = "WORKER_LOST", Unavailable, 503, WithBackoff;
    /// A defect of the server.
    Internal = "INTERNAL", Internal, 500, WithBackoff;
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One field of a request that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FieldViolation {
    /// The field's path in the request, for example `ladder.rungs[2].bitrate_max`.
    pub field: String,
    /// What is wrong and what would be right.
    pub description: String,
}

/// A failure as callers hear of it: a reason to branch on, a sentence to read, and what varies in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{reason}: {message}")]
pub struct Failure {
    /// The word to branch on.
    pub reason: Reason,
    /// What was wrong and what to do.
    pub message: String,
    /// What varies in the message, by lowerCamelCase key.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub metadata: BTreeMap<String, String>,
    /// For [`Reason::FieldInvalid`]: every field that is wrong.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub violations: Vec<FieldViolation>,
}

impl Failure {
    /// A failure with a sentence.
    pub fn new(reason: Reason, message: impl Into<String>) -> Self {
        Self {
            reason,
            message: message.into(),
            metadata: BTreeMap::new(),
            violations: Vec::new(),
        }
    }

    /// The same with one more metadata entry.
    #[must_use]
    pub fn with(mut self, key: &str, value: impl fmt::Display) -> Self {
        self.metadata.insert(key.to_owned(), value.to_string());
        self
    }

    /// A refusal that lists every wrong field.
    #[must_use]
    pub fn invalid(violations: Vec<FieldViolation>) -> Self {
        let listed: Vec<String> = violations
            .iter()
            .map(|v| format!("{}: {}", v.field, v.description))
            .collect();
        Self {
            violations,
            ..Self::new(Reason::FieldInvalid, listed.join("; "))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_unique_and_round_trip() {
        for reason in Reason::ALL {
            assert_eq!(reason.as_str().parse(), Ok(*reason));
            assert!(reason.as_str().len() <= 63, "the limit of google.rpc.ErrorInfo");
            assert!(reason.meaning().ends_with('.'), "{reason}: {}", reason.meaning());
        }
    }

    #[test]
    fn a_failure_names_every_field() {
        let field = |f: &str| FieldViolation {
            field: f.into(),
            description: "is wrong".into(),
        };
        let failure = Failure::invalid(vec![field("a"), field("b")]);
        assert_eq!(failure.to_string(), "FIELD_INVALID: a: is wrong; b: is wrong");
    }
}
