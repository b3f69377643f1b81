//! Bytes that go straight from a client into the bucket: URLs for the parts that are due next.
//!
//! Such a client is a writer as any other, with an epoch of its own that its reports name (invariant 3). It has no stream and no seat in
//! the registry: nothing is under way in this process, so whoever writes next has nobody to wait for. What the displaced client still
//! puts there are parts with numbers that nobody names.

use std::{sync::Arc, time::Duration};

use reelway::v1::{CreateUploadPartsRequest, CreateUploadPartsResponse, UploadPart};
use reelway_auth::{Identity, Scope};
use reelway_blob::BucketStore;
use reelway_catalog::{DirectPart, DirectParts, Opened, Reserved, Upload};
use reelway_domain::{
    Failure, Multipart, Offset, Reason, Staged, StoredPart, Tenant, UploadId, UploadKind, UploadState, WriterEpoch,
    limits,
};
use reelway_rpc::{
    convert::timestamp,
    request::{all_valid, require_id, violation},
};

use crate::{
    caller::check_grant,
    ended::{Stopped, not_found, not_writable, outcome},
    grant::{end_of, parse_lifetime},
    server::Shared,
};

/// Parts that were handed out, with what they belong to.
type Handed = (Multipart, Vec<DirectPart>);

impl Shared {
    /// Makes the caller the writer, unless it is, and signs URLs for the parts that are due next.
    ///
    /// # Errors
    /// `DIRECT_UNAVAILABLE` if the store takes no bytes from clients, or not of this upload; `WRITER_SUPERSEDED` if the epoch that the
    /// caller names is not the newest; `UPLOAD_COMPLETE` and others if nothing can be written any more.
    pub(crate) async fn create_parts(
        self: &Arc<Self>,
        caller: &Identity,
        request: &CreateUploadPartsRequest,
    ) -> Result<CreateUploadPartsResponse, Failure> {
        let id = require_id::<UploadId>("upload_id", &request.upload_id)?;
        caller.require_upload(id, Scope::UploadsWrite)?;
        let lifetime = check_lifetime(request)?;
        let upload = self.find(&caller.tenant, id).await?;
        check_grant(caller, &upload)?;
        check_receives(&upload)?;
        let (bucket, size) = self.direct_bucket(&upload)?;
        // Before anybody is displaced for nothing.
        let staged = self.catalog.staged(id).await?;
        check_staged(&upload, &staged)?;
        let is_due = upload.durable_offset.0 < size || staged.parts.iter().any(StoredPart::is_lost);
        let upload = match request.writer_epoch {
            Some(epoch) if upload.writer_epoch.0 == epoch => upload,
            Some(_) => return Err(superseded(upload)),
            None => self.open_direct(&caller.tenant, id).await?,
        };
        let (upload, parts) = match is_due {
            true => self.hand_out(bucket, upload, size, request.part_count).await?,
            false => (upload, None),
        };
        let parts = match parts {
            Some((multipart, parts)) => signed(bucket, &multipart, &parts, lifetime).await?,
            None => Vec::new(),
        };
        Ok(CreateUploadPartsResponse {
            writer_epoch: upload.writer_epoch.0,
            parts,
            expire_time: Some(timestamp(end_of(lifetime))),
            upload: Some(reelway_view::upload(&upload)),
        })
    }

    /// The bucket that takes this upload's bytes from clients, and the upload's length.
    pub(crate) fn direct_bucket(&self, upload: &Upload) -> Result<(&BucketStore, i64), Failure> {
        let Some(bucket) = self.store.bucket() else {
            return Err(unavailable(
                upload,
                "this server keeps its bytes on a disk, not in a bucket",
            ));
        };
        if !bucket.takes_direct_parts() {
            return Err(unavailable(
                upload,
                "URLs for parts can't be signed for this kind of bucket",
            ));
        }
        match upload.size {
            Some(size) => Ok((bucket, size)),
            None => Err(unavailable(upload, "the upload's length is not known")),
        }
    }

    /// Takes the writing over for somebody who sends nothing through here.
    async fn open_direct(self: &Arc<Self>, tenant: &Tenant, id: UploadId) -> Result<Upload, Failure> {
        let row = match self.catalog.open_writer(tenant, id, self.store.writer_id()).await? {
            Opened::Unknown => return Err(not_found(id)),
            Opened::Ended(upload) => {
                check_receives(&upload)?;
                return Err(superseded(upload));
            }
            Opened::Writer(row) => row,
        };
        if row.file_epoch.0 == row.writer_epoch.0 {
            self.announce(&row);
        }
        self.registry.end_before(id, row.writer_epoch);
        // No write of this writer is under way in any process.
        self.catalog.let_go(id, row.writer_epoch).await?;
        Ok(row)
    }

    /// The parts that are due next, with what they belong to.
    async fn hand_out(
        &self,
        bucket: &BucketStore,
        upload: Upload,
        size: i64,
        asked: i32,
    ) -> Result<(Upload, Option<Handed>), Failure> {
        let (id, epoch) = (upload.id, upload.writer_epoch);
        let staged = self.catalog.staged(id).await?;
        check_staged(&upload, &staged)?;
        let begun = match staged.multipart {
            Some(_) => None,
            None => Some(bucket.begin_multipart(id, epoch).await?),
        };
        let asked = DirectParts {
            multipart: begun.clone(),
            part_bytes: part_bytes(size),
            count: part_count(asked),
            number_max: BucketStore::PART_NUMBER_MAX,
        };
        let reserved = self
            .catalog
            .reserve_direct_parts(id, epoch, self.settings.expiry, &asked)
            .await?;
        match reserved {
            Reserved::Superseded => {
                self.drop_multipart(bucket, begun.as_ref()).await;
                let now = self.told(&upload.tenant, id, Stopped::Fenced).await?;
                Err(superseded(now))
            }
            Reserved::Done {
                upload,
                multipart,
                parts,
            } => {
                self.drop_multipart(bucket, begun.as_ref().filter(|begun| **begun != multipart))
                    .await;
                if parts.is_empty() && upload.durable_offset.0 < size {
                    return Err(unavailable(
                        &upload,
                        "all part numbers are used up: it was taken over too often",
                    ));
                }
                Ok((upload, Some((multipart, parts))))
            }
        }
    }

    /// Ends a multipart upload that was begun for nothing. What is left if that fails goes with the upload.
    async fn drop_multipart(&self, bucket: &BucketStore, multipart: Option<&Multipart>) {
        if let Some(multipart) = multipart
            && let Err(error) = bucket.end_multipart(multipart).await
        {
            tracing::debug!(%error, "a multipart upload that nobody needs is left");
        }
    }
}

/// Gives each part the URL under which it is taken.
async fn signed(
    bucket: &BucketStore,
    multipart: &Multipart,
    parts: &[DirectPart],
    lifetime: Duration,
) -> Result<Vec<UploadPart>, Failure> {
    let mut with_urls = Vec::with_capacity(parts.len());
    for part in parts {
        with_urls.push(UploadPart {
            number: i32::try_from(part.number).unwrap_or(i32::MAX),
            offset: part.from.0,
            size_bytes: part.size_bytes,
            url: bucket.sign_part(multipart, part.number, lifetime).await?,
        });
    }
    Ok(with_urls)
}

fn check_lifetime(request: &CreateUploadPartsRequest) -> Result<Duration, Failure> {
    let mut violations = Vec::new();
    let lifetime = parse_lifetime(request.lifetime.as_ref());
    if lifetime.is_none() {
        let description = format!("must be above 0 and at most {} s", limits::GRANT_LIFETIME_MAX.as_secs());
        violations.push(violation("lifetime", description));
    }
    if request.part_count < 0 {
        violations.push(violation("part_count", "must not be negative"));
    }
    all_valid(violations)?;
    lifetime.ok_or_else(|| Failure::new(Reason::Internal, "a field was lost"))
}

/// Clients write it, and it isn't over.
pub(crate) fn check_receives(upload: &Upload) -> Result<(), Failure> {
    if upload.kind == UploadKind::Joined {
        return Err(not_writable(upload.id));
    }
    match upload.state {
        UploadState::Receiving => Ok(()),
        UploadState::Complete => {
            let message = "the upload is complete; there is nothing left to write";
            Err(Failure::new(Reason::UploadComplete, message).with("uploadId", upload.id))
        }
        _ => outcome(upload.clone()).map(drop),
    }
}

/// Parts can follow only parts: what is shorter was stored as something else, which only a stream can go on from.
fn check_staged(upload: &Upload, staged: &Staged) -> Result<(), Failure> {
    let end = staged.parts.last().map_or(Offset::ZERO, StoredPart::to);
    if end == upload.durable_offset && staged.rests.is_empty() {
        return Ok(());
    }
    Err(unavailable(
        upload,
        "it was written by a stream, which ended inside of a part",
    ))
}

fn part_bytes(size: i64) -> i64 {
    i64::try_from(BucketStore::direct_part_bytes(size.unsigned_abs())).unwrap_or(i64::MAX)
}

fn part_count(asked: i32) -> usize {
    match usize::try_from(asked) {
        Ok(0) | Err(_) => limits::DIRECT_PARTS_DEFAULT,
        Ok(count) => count.min(limits::DIRECT_PARTS_MAX),
    }
}

/// What a client hears that is not the newest writer.
pub(crate) fn superseded(upload: Upload) -> Failure {
    let epoch: WriterEpoch = upload.writer_epoch;
    match outcome(upload) {
        Err(failure) => failure.with("writerEpoch", epoch),
        Ok(upload) => {
            let message = "another writer completed this upload; ask for it to see what became of it";
            Failure::new(Reason::WriterSuperseded, message).with("uploadId", upload.id)
        }
    }
}

/// The bytes of this upload have to come through the server.
fn unavailable(upload: &Upload, why: &str) -> Failure {
    let message = format!("bytes can't go straight into the store: {why}; write them over gRPC or HTTP");
    Failure::new(Reason::DirectUnavailable, message).with("uploadId", upload.id)
}
