//! Uploads.

use bytes::Bytes;
use reelway::v1;
use reelway_catalog::Upload;
use reelway_domain::{SourceState, UploadKind, UploadState};
use reelway_rpc::{
    ProtoEnum as _,
    convert::{error, timestamp},
};

/// An upload as clients see it.
#[must_use]
pub fn upload(row: &Upload) -> v1::Upload {
    let partial = row.kind == UploadKind::Partial;
    // What has ended doesn't expire any more, but for parts, whose bytes are in another upload by then.
    let expires = row.state == UploadState::Receiving || (partial && row.state == UploadState::Complete);
    let source = (row.state == UploadState::Complete).then_some(row.source_state);
    v1::Upload {
        id: row.id.to_string(),
        state: row.state.to_proto().into(),
        file_name: row.file_name.clone(),
        content_type: row.content_type.clone(),
        metadata: row.metadata.clone().into_iter().collect(),
        size_bytes: row.size,
        durable_offset: row.durable_offset.0,
        expected_sha256: row
            .expected_sha256
            .map_or_else(Bytes::new, |digest| Bytes::copy_from_slice(&digest)),
        job_id: row.job.map_or_else(String::new, |job| job.to_string()),
        error: row.error.as_ref().map(error),
        create_time: Some(timestamp(row.created_at)),
        update_time: Some(timestamp(row.updated_at)),
        expire_time: expires.then(|| timestamp(row.expires_at)),
        complete_time: row.completed_at.map(timestamp),
        client_state: row.client_state.clone(),
        partial,
        part_upload_ids: row.parts.iter().map(ToString::to_string).collect(),
        tail_offset: row.tail_offset.map(|offset| offset.0),
        source_state: source
            .map_or(v1::SourceState::Unspecified, SourceState::to_proto)
            .into(),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use reelway_domain::{Failure, FileEpoch, JobId, Offset, Reason, Tenant, Timestamp, UploadId, WriterEpoch};

    use super::*;

    fn row() -> Upload {
        Upload {
            id: UploadId::new(),
            tenant: Tenant::single(),
            state: UploadState::Receiving,
            file_name: "a.mp4".into(),
            content_type: "video/mp4".into(),
            metadata: BTreeMap::from([("k".into(), "v".into())]),
            size: None,
            durable_offset: Offset(7),
            writer_epoch: WriterEpoch(2),
            writer: None,
            file_epoch: FileEpoch::FIRST,
            webhook_url: None,
            client_state: "tus".into(),
            kind: UploadKind::Whole,
            parts: Vec::new(),
            tail_offset: None,
            source_key: None,
            source_state: SourceState::Stored,
            trace: None,
            expected_sha256: Some([5; 32]),
            job: Some(JobId::new()),
            error: None,
            created_at: Timestamp(1_000),
            updated_at: Timestamp(2_000),
            expires_at: Timestamp(3_000),
            completed_at: None,
        }
    }

    #[test]
    fn an_upload_on_its_way() {
        let row = row();
        let told = upload(&row);
        assert_eq!(told.id, row.id.to_string());
        assert_eq!(told.state(), v1::UploadState::Receiving);
        assert_eq!((told.size_bytes, told.durable_offset), (None, 7));
        assert_eq!(told.expected_sha256, vec![5; 32]);
        assert_eq!(told.job_id, row.job.unwrap().to_string());
        assert_eq!(told.metadata["k"], "v");
        assert_eq!(told.expire_time.unwrap().seconds, 3);
        assert_eq!((told.error, told.complete_time), (None, None));
        assert_eq!((told.client_state.as_str(), told.partial), ("tus", false));
    }

    #[test]
    fn parts_and_what_is_made_of_them() {
        let complete = |kind| Upload {
            kind,
            state: UploadState::Complete,
            ..row()
        };
        let part = upload(&complete(UploadKind::Partial));
        assert!(part.partial && part.expire_time.is_some());
        assert_eq!(upload(&complete(UploadKind::Whole)).expire_time, None);
        let part = UploadId::new();
        let joined = Upload {
            parts: vec![part, part],
            ..complete(UploadKind::Joined)
        };
        assert_eq!(upload(&joined).part_upload_ids, [part.to_string(), part.to_string()]);
    }

    #[test]
    fn an_upload_that_ended() {
        let failed = Upload {
            state: UploadState::Failed,
            error: Some(Failure::new(Reason::FileChecksumMismatch, "other bytes")),
            job: None,
            ..row()
        };
        let told = upload(&failed);
        assert_eq!(told.error.unwrap().reason, "FILE_CHECKSUM_MISMATCH");
        assert_eq!((told.job_id.as_str(), told.expire_time), ("", None));
    }
}
