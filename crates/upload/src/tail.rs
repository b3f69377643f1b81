//! PutUploadTail: the last bytes of a file, sent ahead of the rest so that its index can be read early.
//!
//! A tail is a preview. It counts for nothing but early work: the upload holds what its writers sent, and when they are done the
//! tail is compared with that and goes. So it needs no writer and no epoch; an upload has one at most, and the first that is whole
//! stays. Sending the same again is fine, another one is refused. What is refused changes nothing for the upload.

use std::sync::Arc;

use reelway::v1::PutUploadTailRequest;
use reelway_auth::{Identity, Scope};
use reelway_blob::{SourcePlace, StoreTail};
use reelway_catalog::{Error, TailSet, Upload};
use reelway_domain::{Failure, Offset, Reason, UploadId, UploadKind, UploadState, limits};
use reelway_rpc::{
    request::{require_id, violation},
    to_status,
};
use tokio::time::timeout;
use tokio_stream::{Stream, StreamExt as _};
use tonic::{Code, Status};

use crate::{
    caller::check_grant,
    ended::{not_found, not_writable, outcome, shutting_down},
    intake::too_large,
    meter,
    server::Shared,
};

/// Why no tail came of a call.
enum Cut {
    /// The client hears of a failure.
    Refused(Failure),
    /// Its connection broke, or what it sent is not a message.
    Broken(Status),
}

impl<E: Into<Failure>> From<E> for Cut {
    fn from(error: E) -> Self {
        Self::Refused(error.into())
    }
}

impl Shared {
    /// Receives a tail and makes it known. Gives the upload as it is then.
    ///
    /// # Errors
    /// `TAIL_UNUSABLE` if the upload takes no tail, or has another one; `SIZE_EXCEEDED` if it is too long or goes past the upload's
    /// end, `SIZE_MISMATCH` if it ends before, `OFFSET_MISMATCH` if a message doesn't follow the one before; `FIELD_INVALID`,
    /// `CHUNK_TOO_LARGE`, `STREAM_IDLE`; `QUOTA_EXCEEDED` if the tenant may not have the tail beside the file, `WRITER_SUPERSEDED` if
    /// another call sends the tail; and what the upload's state, the catalog or the store say.
    pub(crate) async fn put_tail<S>(self: &Arc<Self>, caller: &Identity, mut messages: S) -> Result<Upload, Status>
    where
        S: Stream<Item = Result<PutUploadTailRequest, Status>> + Unpin,
    {
        let putting = timeout(limits::TAIL_TIME_MAX, self.receive_tail(caller, &mut messages));
        match putting.await {
            Ok(Ok(upload)) => Ok(upload),
            Ok(Err(Cut::Refused(failure))) => Err(to_status(&failure)),
            Ok(Err(Cut::Broken(status))) => Err(status),
            Err(_) => Err(to_status(&too_slow())),
        }
    }

    async fn receive_tail<S>(self: &Arc<Self>, caller: &Identity, messages: &mut S) -> Result<Upload, Cut>
    where
        S: Stream<Item = Result<PutUploadTailRequest, Status>> + Unpin,
    {
        let first = self.next_run(messages).await?.unwrap_or_default();
        let id = require_id::<UploadId>("upload_id", &first.upload_id)?;
        caller.require_upload(id, Scope::UploadsWrite)?;
        let upload = self.find(&caller.tenant, id).await?;
        check_grant(caller, &upload)?;
        let place = Place::of(&upload, &first)?;
        let tail = place.next;
        let receiving = self.drafts.begin(id);
        let draft = tokio::select! {
            biased;
            () = receiving.superseded() => return Err(superseded(&upload).into()),
            draft = self.fill_draft(id, place, first, messages) => draft?,
        };
        if upload.tail_offset.is_some() {
            return match draft.is_like_kept().await? {
                true => Ok(upload),
                false => Err(another_tail(&upload).into()),
            };
        }
        Ok(self.publish_tail(&upload, tail, draft).await?)
    }

    /// Receives the bytes of a tail.
    async fn fill_draft<S>(
        &self,
        id: UploadId,
        mut place: Place,
        first: PutUploadTailRequest,
        messages: &mut S,
    ) -> Result<StoreTail, Cut>
    where
        S: Stream<Item = Result<PutUploadTailRequest, Status>> + Unpin,
    {
        let mut draft = self.store.begin_tail(id, place.next, place.end).await?;
        let mut run = Some(first);
        while let Some(message) = run {
            place.accept(&message)?;
            draft = draft.append(message.data).await?;
            run = self.next_run(messages).await?;
        }
        place.check_end()?;
        Ok(draft)
    }

    /// The next message; `None` when the client has ended its side.
    async fn next_run<S>(&self, messages: &mut S) -> Result<Option<PutUploadTailRequest>, Cut>
    where
        S: Stream<Item = Result<PutUploadTailRequest, Status>> + Unpin,
    {
        let arrived = tokio::select! {
            biased;
            () = self.shutdown.cancelled() => return Err(shutting_down().into()),
            arrived = timeout(self.settings.idle_max, messages.next()) => arrived,
        };
        match arrived {
            Ok(next) => match next.transpose() {
                // The transport says so of a message over the limit, before it reads it.
                Err(status) if status.code() == Code::OutOfRange => Err(too_large().into()),
                Err(status) => Err(Cut::Broken(status)),
                Ok(message) => Ok(message),
            },
            Err(_) => Err(too_slow().into()),
        }
    }

    /// The bytes first, then the word that they are there.
    async fn publish_tail(&self, upload: &Upload, tail: Offset, draft: StoreTail) -> Result<Upload, Failure> {
        let id = upload.id;
        draft.keep().await?;
        let set = self.catalog.set_tail(&upload.tenant, id, tail).await;
        if let Err(Error::Quota(_)) = &set {
            self.remove_tail(id, tail).await;
        }
        match set? {
            TailSet::Set(upload) => {
                meter::tails().increment(1);
                tracing::info!(upload.id = %id, tail_offset = tail.0, "tail is there");
                Ok(upload)
            }
            TailSet::Unknown => {
                self.remove_tail(id, tail).await;
                Err(not_found(id))
            }
            TailSet::Refused(now) => {
                self.remove_tail(id, tail).await;
                check_receiving(&now)?;
                Err(another_tail(&now))
            }
        }
    }

    /// Compares the tail of an upload whose bytes are all there with what they are, and gives the one that is right. One that
    /// differs is dropped: what was made of it is found to differ when the whole file is looked at.
    pub(crate) async fn prove_tail(&self, upload: &Upload, place: &SourcePlace, size: Offset) -> Option<Offset> {
        let (id, tail) = (upload.id, upload.tail_offset?);
        match self.store.tail_is_like(place, tail, size).await {
            Ok(true) => return Some(tail),
            Ok(false) => {
                tracing::warn!(upload.id = %id, tail_offset = tail.0, "the tail is not what the file ends with");
            }
            Err(error) => tracing::warn!(upload.id = %id, %error, "the tail can't be compared with the file"),
        }
        meter::tails_dropped().increment(1);
        if let Err(error) = self.catalog.drop_tail(&upload.tenant, id).await {
            tracing::warn!(upload.id = %id, %error, "a wrong tail could not be forgotten");
        }
        self.remove_tail(id, tail).await;
        None
    }

    /// Removes the bytes of a tail. What fails here is done by the next sweep.
    pub(crate) async fn remove_tail(&self, id: UploadId, tail: Offset) {
        if let Err(error) = self.store.remove_tail(id, tail).await {
            tracing::warn!(upload.id = %id, %error, "a tail could not be removed");
        }
    }
}

/// Where the messages of a tail belong.
#[derive(Debug)]
struct Place {
    upload_id: String,
    /// Where the next message begins.
    next: Offset,
    /// Where the upload ends.
    end: Offset,
}

impl Place {
    /// The place of a tail whose first message this is.
    fn of(upload: &Upload, first: &PutUploadTailRequest) -> Result<Self, Failure> {
        check_receiving(upload)?;
        let Some(size) = upload.size else {
            let message = "the upload's length is not known; name it first, or send no tail";
            return Err(unusable(upload, message));
        };
        let tail = first.offset;
        if tail <= 0 {
            let description = "must be positive: a tail is not the whole file";
            return Err(Failure::invalid(vec![violation("offset", description)]));
        }
        if tail >= size {
            let message = "the tail begins where the upload has ended";
            return Err(Failure::new(Reason::SizeExceeded, message)
                .with("offset", tail)
                .with("sizeBytes", size));
        }
        if size.abs_diff(tail) > limits::TAIL_BYTES_MAX {
            let message = format!(
                "a tail may have at most {} bytes; begin it later, or write the file in order",
                limits::TAIL_BYTES_MAX
            );
            return Err(Failure::new(Reason::SizeExceeded, message)
                .with("tailBytes", size.abs_diff(tail))
                .with("tailBytesMax", limits::TAIL_BYTES_MAX));
        }
        if upload.tail_offset.is_some_and(|known| known.0 != tail) {
            return Err(another_tail(upload));
        }
        Ok(Self {
            upload_id: upload.id.to_string(),
            next: Offset(tail),
            end: Offset(size),
        })
    }

    /// Takes one message.
    fn accept(&mut self, message: &PutUploadTailRequest) -> Result<(), Failure> {
        if !message.upload_id.is_empty() && message.upload_id != self.upload_id {
            let description = "must be empty or the same in all messages of a stream";
            return Err(Failure::invalid(vec![violation("upload_id", description)]));
        }
        if message.data.is_empty() {
            return Err(Failure::invalid(vec![violation("data", "must not be empty")]));
        }
        if message.data.len() > limits::CHUNK_BYTES_MAX {
            return Err(too_large().with("chunkBytes", message.data.len()));
        }
        if message.offset != self.next.0 {
            let text = "the message doesn't begin where the one before ended; send the tail again, without a gap";
            return Err(Failure::new(Reason::OffsetMismatch, text)
                .with("offset", message.offset)
                .with("expectedOffset", self.next));
        }
        let end = self.next.advanced(message.data.len());
        if end > self.end {
            let text = "the tail goes past the upload's length; nothing of it was kept";
            return Err(Failure::new(Reason::SizeExceeded, text)
                .with("offset", message.offset)
                .with("chunkBytes", message.data.len())
                .with("sizeBytes", self.end));
        }
        self.next = end;
        Ok(())
    }

    fn check_end(&self) -> Result<(), Failure> {
        if self.next == self.end {
            return Ok(());
        }
        let message = "the tail ended before the upload's length; nothing of it was kept; send all of it";
        Err(Failure::new(Reason::SizeMismatch, message)
            .with("offset", self.next)
            .with("sizeBytes", self.end))
    }
}

/// Whether a tail is of any use for the upload.
fn check_receiving(upload: &Upload) -> Result<(), Failure> {
    if upload.state == UploadState::Complete {
        return Err(unusable(upload, "the upload is complete and needs no tail"));
    }
    if upload.state != UploadState::Receiving {
        return outcome(upload.clone()).map(drop);
    }
    match upload.kind {
        UploadKind::Whole => Ok(()),
        UploadKind::Joined => Err(not_writable(upload.id)),
        UploadKind::Partial => Err(unusable(
            upload,
            "the upload is a part of another one and is not looked at by itself",
        )),
    }
}

fn another_tail(upload: &Upload) -> Failure {
    let failure = unusable(
        upload,
        "the upload has another tail already, which stays; go on with the file",
    );
    match upload.tail_offset {
        Some(tail) => failure.with("tailOffset", tail),
        None => failure,
    }
}

fn unusable(upload: &Upload, message: &str) -> Failure {
    Failure::new(Reason::TailUnusable, message).with("uploadId", upload.id)
}

fn superseded(upload: &Upload) -> Failure {
    let message = "another call sends the tail of this upload now";
    Failure::new(Reason::WriterSuperseded, message).with("uploadId", upload.id)
}

fn too_slow() -> Failure {
    let message = "the tail came too slowly and was dropped; go on with the file";
    Failure::new(Reason::StreamIdle, message)
}
