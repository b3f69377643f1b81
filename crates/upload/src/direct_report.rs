//! What clients say they have put into the bucket, held against what the bucket has.

use std::{collections::HashMap, sync::Arc};

use reelway::v1::{ReportUploadPartsRequest, UploadedPart};
use reelway_auth::{Identity, Scope};
use reelway_blob::{BucketStore, ListedPart};
use reelway_catalog::{Counted, Upload};
use reelway_domain::{Failure, Reason, Sample, UploadId, UploadState, limits};
use reelway_rpc::request::{all_valid, require_id, violation};

use crate::{
    caller::check_grant,
    direct::{check_receives, superseded},
    ended::Stopped,
    meter,
    server::Shared,
};

/// What a part is to be. One that counts already has its ETag.
struct Expected {
    size_bytes: i64,
    counted: Option<String>,
}

impl Shared {
    /// Counts parts that the bucket has as they were handed out and reported. Gives the upload as it is then.
    ///
    /// # Errors
    /// `PART_MISMATCH` if one of them is otherwise, and none counts; `WRITER_SUPERSEDED` if the epoch that the caller names is not the
    /// newest; `UPLOAD_COMPLETE` and others if nothing can be written any more.
    pub(crate) async fn report_parts(
        self: &Arc<Self>,
        caller: &Identity,
        request: &ReportUploadPartsRequest,
    ) -> Result<Upload, Failure> {
        let id = require_id::<UploadId>("upload_id", &request.upload_id)?;
        caller.require_upload(id, Scope::UploadsWrite)?;
        if request.parts.len() > limits::DIRECT_PARTS_MAX {
            let description = format!("at most {}", limits::DIRECT_PARTS_MAX);
            all_valid(vec![violation("parts", description)])?;
        }
        let upload = self.find(&caller.tenant, id).await?;
        check_grant(caller, &upload)?;
        check_receives(&upload)?;
        let (bucket, _) = self.direct_bucket(&upload)?;
        if upload.writer_epoch.0 != request.writer_epoch {
            return Err(superseded(upload));
        }
        let seen = self.seen(bucket, &upload, &request.parts).await?;
        if seen.is_empty() {
            return Ok(upload);
        }
        let (epoch, expiry) = (upload.writer_epoch, self.settings.expiry);
        match self.catalog.count_direct_parts(id, epoch, expiry, &seen).await? {
            Counted::Superseded => Err(superseded(self.told(&upload.tenant, id, Stopped::Fenced).await?)),
            Counted::Done { upload: row, bytes } => {
                meter::direct_bytes().increment(bytes.unsigned_abs());
                let durable_offset = row.durable_offset.0;
                self.bus.sample(Sample::Upload {
                    upload: id,
                    durable_offset,
                });
                Ok(row)
            }
        }
    }

    /// The parts of a report that don't count yet, as the bucket has them.
    async fn seen(
        &self,
        bucket: &BucketStore,
        upload: &Upload,
        reported: &[UploadedPart],
    ) -> Result<Vec<(u32, String)>, Failure> {
        let numbers = || reported.iter().filter_map(|part| u32::try_from(part.number).ok());
        let (Some(first), Some(last)) = (numbers().min(), numbers().max()) else {
            return Ok(Vec::new());
        };
        // In this order: a part may be counted in between, and then it is in the second.
        let handed_out = self.catalog.direct_parts(upload.id, upload.writer_epoch).await?;
        let staged = self.catalog.staged(upload.id).await?;
        let Some(multipart) = &staged.multipart else {
            return Err(mismatch(upload, first, "no parts were handed out"));
        };
        let mut expected: HashMap<u32, Expected> = HashMap::new();
        expected.extend(handed_out.into_iter().map(|part| {
            let (size_bytes, counted) = (part.size_bytes, None);
            (part.number, Expected { size_bytes, counted })
        }));
        expected.extend(staged.parts.iter().map(|part| {
            let counted = (!part.is_lost()).then(|| part.etag.clone());
            let size_bytes = part.size_bytes;
            (part.number, Expected { size_bytes, counted })
        }));
        let there = bucket.parts_there(multipart, first, last).await?;
        let mut seen = Vec::with_capacity(reported.len());
        for part in reported {
            seen.extend(check(upload, part, &expected, &there)?);
        }
        Ok(seen)
    }
}

/// The number and the ETag of a part that is as it should be; `None` if it counts already.
fn check(
    upload: &Upload,
    reported: &UploadedPart,
    expected: &HashMap<u32, Expected>,
    there: &[ListedPart],
) -> Result<Option<(u32, String)>, Failure> {
    let number = u32::try_from(reported.number).unwrap_or(0);
    let wrong = |why| Err(mismatch(upload, number, why));
    let Some(expected) = expected.get(&number) else {
        return wrong("it was not handed out to this writer");
    };
    let etag = quoted(&reported.etag);
    if let Some(counted) = &expected.counted {
        return match quoted(counted) == etag {
            true => Ok(None),
            false => wrong("it counts already, with another ETag"),
        };
    }
    // Some stores keep a part that was put again beside the earlier one until the upload is completed, which names the ETag.
    let versions = || there.iter().filter(|part| part.number == number);
    let is_right = |part: &&ListedPart| part.etag == etag;
    match versions().find(is_right).or_else(|| versions().next()) {
        None => wrong("the store doesn't have it"),
        Some(there) if there.size_bytes != expected.size_bytes.unsigned_abs() => wrong("it has another length"),
        Some(there) if there.etag != etag => wrong("it has another ETag in the store"),
        Some(there) => Ok(Some((number, there.etag.clone()))),
    }
}

fn quoted(etag: &str) -> String {
    format!("\"{}\"", etag.trim_matches('"'))
}

fn mismatch(upload: &Upload, number: u32, why: &str) -> Failure {
    debug_assert_eq!(upload.state, UploadState::Receiving, "others are refused before");
    Failure::new(
        Reason::PartMismatch,
        format!("part {number}: {why}; nothing of the report counts"),
    )
    .with("uploadId", upload.id)
    .with("partNumber", number)
}
