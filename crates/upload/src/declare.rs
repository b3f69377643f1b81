//! The length of an upload that was created without one.

use reelway_catalog::{Commit, Upload};
use reelway_domain::{Failure, Offset, Reason, limits};
use reelway_rpc::request::{all_valid, violation};

use crate::{complete::size_mismatch, ended::Stopped, writer::Writer};

/// Checks a length that a client names, before anything is known of the upload.
///
/// # Errors
/// `FIELD_INVALID` if no upload can have it.
pub(crate) fn check_size(size: Option<i64>) -> Result<(), Failure> {
    let is_right = size.is_none_or(|size| (0..=limits::UPLOAD_BYTES_MAX).contains(&size));
    let wrong =
        (!is_right).then(|| violation("chunk.size_bytes", format!("must be 0 to {}", limits::UPLOAD_BYTES_MAX)));
    all_valid(wrong.into_iter().collect())
}

/// Checks the length that a client names against the one that an upload has.
///
/// # Errors
/// `SIZE_FIXED` if it has another one.
pub(crate) fn check_same(upload: &Upload, named: i64) -> Result<(), Failure> {
    match upload.size {
        Some(size) if size != named => {
            let message = "the upload's length is known and can't become another";
            Err(Failure::new(Reason::SizeFixed, message)
                .with("uploadId", upload.id)
                .with("sizeBytes", size)
                .with("namedSizeBytes", named))
        }
        _ => Ok(()),
    }
}

impl Writer {
    /// Records the length, if it isn't yet.
    pub(crate) async fn declare(&mut self, size: i64) -> Result<(), Stopped> {
        check_same(&self.row, size)?;
        if self.row.size.is_some() {
            return Ok(());
        }
        if size < self.row.durable_offset.0 {
            return Err(size_mismatch(&self.row, Offset(size)).into());
        }
        let (id, epoch) = (self.row.id, self.row.writer_epoch);
        match self.shared.catalog.declare_size(id, epoch, size).await? {
            Commit::Superseded => Err(Stopped::Fenced),
            Commit::Done(row) => {
                self.row = row;
                Ok(())
            }
        }
    }
}
