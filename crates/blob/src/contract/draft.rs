//! An upload on its way into a store, with what a catalog would know of it.

use bytes::Bytes;
use reelway_domain::{FileEpoch, Offset, Staged, StagedChange, UploadId, WriterEpoch, limits};

use crate::{Begin, BlobError, Extent, SourcePlace, Staging, Store, Synced};

pub(super) struct Draft {
    pub(super) id: UploadId,
    staged: Staged,
    epoch: WriterEpoch,
    /// Up to where it is durable.
    pub(super) durable: Offset,
}

pub(super) fn offset(bytes: usize) -> Offset {
    Offset(i64::try_from(bytes).unwrap())
}

impl Draft {
    pub(super) async fn begin(store: &Store) -> Self {
        let id = UploadId::new();
        store.create_upload(id).await.unwrap();
        Self {
            id,
            staged: Staged {
                multipart: None,
                parts: Vec::new(),
                rests: Vec::new(),
                next_number: 1,
            },
            epoch: WriterEpoch(0),
            durable: Offset::ZERO,
        }
    }

    /// The next writer, which goes on behind what is durable.
    pub(super) async fn writer(&mut self, store: &Store) -> Staging {
        self.epoch = WriterEpoch(self.epoch.0 + 1);
        self.staged.next_number += u32::try_from(limits::PARTS_IN_FLIGHT_MAX).unwrap();
        let begin = Begin {
            upload: self.id,
            epoch: self.epoch,
            file: FileEpoch::FIRST,
            size: None,
            staged: Some(self.staged.clone()),
            is_watched: false,
        };
        store.open_writer(begin).await.unwrap()
    }

    /// Writes from the durable offset to the end of `content`, and makes it durable.
    pub(super) async fn write(&mut self, writer: &Staging, content: &Bytes) {
        let from = usize::try_from(self.durable.0).unwrap();
        for at in (from..content.len()).step_by(1 << 20) {
            let piece = content.slice(at..content.len().min(at + (1 << 20)));
            writer.write_at(offset(at), piece).await.unwrap();
        }
        let synced = writer.sync(Extent::Everything, offset(content.len())).await.unwrap();
        assert_eq!(synced.offset, offset(content.len()), "everything is asked for");
        self.record(writer, synced).await;
    }

    /// Ends the upload; gives where it is.
    pub(super) async fn complete(&mut self, writer: &Staging, size: usize) -> Result<SourcePlace, BlobError> {
        let synced = writer.finish(offset(size)).await?;
        self.record(writer, synced).await;
        Ok(SourcePlace {
            upload: self.id,
            file: FileEpoch::FIRST,
            key: writer.assemble(offset(size)).await?,
        })
    }

    async fn record(&mut self, writer: &Staging, synced: Synced) {
        let StagedChange {
            multipart,
            parts,
            rests,
        } = synced.change.clone();
        let parts_end = parts.last().map_or(Offset::ZERO, reelway_domain::StoredPart::to);
        let rests_begin = rests.first().map_or(Offset(i64::MAX), |rest| rest.from);
        let staged = &mut self.staged;
        staged.multipart = multipart.or(staged.multipart.take());
        if let Some(last) = parts.last() {
            staged.next_number = staged.next_number.max(last.number + 1);
        }
        staged.parts.extend(parts);
        staged
            .rests
            .retain(|rest| rest.from >= parts_end && rest.from < rests_begin);
        staged.rests.extend(rests);
        self.durable = synced.offset;
        writer.recorded(&synced.change).await;
    }
}
