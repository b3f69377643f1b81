//! What a client is told of an upload, and of this server.

use std::time::{Duration, SystemTime};

use axum::response::{IntoResponse as _, Response};
use http::{HeaderMap, HeaderValue, StatusCode};
use reelway::v1::Upload;

use super::{
    checksum,
    fields::{
        TUS_CHECKSUM_ALGORITHM, TUS_EXTENSION, TUS_MAX_SIZE, TUS_VERSION, UPLOAD_EXPIRES, UPLOAD_OFFSET, VERSION,
    },
};
use crate::{Settings, tail};

/// The extensions.
const EXTENSIONS: HeaderValue = HeaderValue::from_static(
    "creation,creation-with-upload,creation-defer-length,expiration,checksum,checksum-trailer,termination,concatenation,\
     concatenation-unfinished",
);
/// The last second that a date of HTTP can name: the end of the year 9999.
const DATE_SECONDS_MAX: u64 = 253_402_300_799;

/// What this server can do.
pub(super) fn options(settings: &Settings) -> Response {
    let mut response = StatusCode::OK.into_response();
    let headers = response.headers_mut();
    headers.insert(TUS_VERSION, VERSION);
    headers.insert(TUS_EXTENSION, EXTENSIONS);
    headers.insert(TUS_MAX_SIZE, HeaderValue::from(settings.upload_bytes_max));
    headers.insert(TUS_CHECKSUM_ALGORITHM, checksum::ALGORITHMS);
    tail::offer(headers);
    response
}

/// Says where to go on.
pub(super) fn offset(headers: &mut HeaderMap, upload: &Upload) {
    headers.insert(UPLOAD_OFFSET, HeaderValue::from(upload.durable_offset));
}

/// Says when the upload will be removed, if that is so.
pub(super) fn expiry(headers: &mut HeaderMap, upload: &Upload) {
    let seconds = upload.expire_time.and_then(|at| u64::try_from(at.seconds).ok());
    let Some(seconds) = seconds.filter(|seconds| *seconds <= DATE_SECONDS_MAX) else {
        return;
    };
    let date = httpdate::fmt_http_date(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds));
    // A date always is a value.
    headers.extend(HeaderValue::try_from(date).ok().map(|date| (UPLOAD_EXPIRES, date)));
}
