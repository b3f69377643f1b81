//! From a body to chunks: each in its place, none past the end, and verified where that was asked for.

use std::mem;

use bytes::Bytes;
use http::HeaderMap;
use reelway::v1::{StreamUploadRequest, Upload, UploadChunk};
use reelway_domain::{Failure, Reason};

use super::{
    Append,
    arriving::{Arrived, Arriving},
    digest::Running,
    stream::Sender,
};

/// Hands one body on.
pub(super) struct Feed<'a> {
    append: &'a Append,
    digest: Option<Running>,
    /// Where the next byte belongs.
    offset: i64,
    /// Where the upload ends, or must end at the latest, in bytes.
    end: i64,
    /// The service is to hear of a body that goes past the upload's length.
    strict: bool,
    /// The bytes that take the last place. They are held back until the body has ended: handed on, they would complete an upload
    /// whose body goes on. `Content-Length` isn't enough to know that, since there may be none.
    held: Bytes,
}

impl<'a> Feed<'a> {
    /// For a body that belongs at the end of what `upload` has.
    pub(super) fn new(append: &'a Append, upload: &Upload, upload_bytes_max: i64) -> Self {
        let size = upload.size_bytes.or(append.size);
        Self {
            append,
            digest: append.expected.as_ref().map(super::Expected::begin),
            offset: append.offset,
            end: size.unwrap_or(upload_bytes_max),
            strict: append.strict && size.is_some(),
            held: Bytes::new(),
        }
    }

    /// Whether there is room for a body of the length that it says it has.
    fn check_announced(&self, arriving: &Arriving) -> Result<(), Failure> {
        let announced = arriving.announced().unwrap_or(0);
        let announced = i64::try_from(announced).unwrap_or(i64::MAX);
        if announced > self.end.saturating_sub(self.offset) {
            return Err(self.exceeded());
        }
        Ok(())
    }

    /// Hands the body on. Returns when it has ended, or nobody takes any more. Dropping the sender tells the service that this is
    /// all; it makes it durable then.
    pub(super) async fn run(&mut self, arriving: &mut Arriving, sender: Option<Sender>) -> Result<(), Failure> {
        let fed = match self.check_announced(arriving) {
            Ok(()) => self.hand_on(arriving, sender.as_ref()).await,
            announced => announced,
        };
        if matches!(&fed, Err(failure) if failure.reason == Reason::SizeExceeded) && self.strict {
            // A place past the end says enough.
            send(sender.as_ref(), Some(chunk(self.end.saturating_add(1), Bytes::new()))).await;
        }
        fed
    }

    async fn hand_on(&mut self, arriving: &mut Arriving, sender: Option<&Sender>) -> Result<(), Failure> {
        loop {
            let chunk = match arriving.next().await {
                Arrived::Bytes(data) => match self.accept(data)? {
                    Some(chunk) => chunk,
                    None => continue,
                },
                Arrived::End(trailers) => {
                    let last = self.last(trailers.as_ref())?;
                    send(sender, last).await;
                    return Ok(());
                }
                Arrived::Cut => {
                    send(sender, self.rest()).await;
                    return Ok(());
                }
                Arrived::TooSlow => {
                    send(sender, self.rest()).await;
                    let message = "the body came too slowly; what arrived is kept";
                    return Err(Failure::new(Reason::StreamIdle, message));
                }
            };
            if !send(sender, Some(chunk)).await {
                return Ok(());
            }
        }
    }

    /// The chunk of these bytes; `None` if they are held back.
    fn accept(&mut self, data: Bytes) -> Result<Option<UploadChunk>, Failure> {
        let begin = self.offset;
        self.offset = begin.saturating_add(i64::try_from(data.len()).unwrap_or(i64::MAX));
        if self.offset > self.end {
            return Err(self.exceeded());
        }
        if let Some(digest) = &mut self.digest {
            digest.update(&data);
        }
        if self.offset == self.end {
            self.held = data;
            return Ok(None);
        }
        Ok(Some(chunk(begin, data)))
    }

    /// What is left to send of a whole body, if anything.
    fn last(&mut self, trailers: Option<&HeaderMap>) -> Result<Option<UploadChunk>, Failure> {
        let is_verified = match (self.digest.take(), &self.append.expected) {
            (Some(digest), Some(expected)) => expected.verify(digest, trailers).map(|()| true)?,
            _ => false,
        };
        if !is_verified && !self.append.is_last {
            return Ok(self.rest());
        }
        let held = mem::take(&mut self.held);
        let begin = self.offset - i64::try_from(held.len()).unwrap_or_default();
        Ok(Some(UploadChunk {
            flush: is_verified,
            finish: self.append.is_last,
            ..chunk(begin, held)
        }))
    }

    /// What is left to send of a body that breaks off, if anything.
    fn rest(&mut self) -> Option<UploadChunk> {
        let held = mem::take(&mut self.held);
        let begin = self.offset - i64::try_from(held.len()).unwrap_or_default();
        (!held.is_empty()).then(|| chunk(begin, held))
    }

    fn exceeded(&self) -> Failure {
        let message = "the body goes past the upload's end; the bytes that have no place were not stored";
        Failure::new(Reason::SizeExceeded, message).with("sizeBytes", self.end)
    }
}

fn chunk(offset: i64, data: Bytes) -> UploadChunk {
    UploadChunk {
        offset,
        data,
        ..UploadChunk::default()
    }
}

/// Whether somebody takes it.
async fn send(sender: Option<&Sender>, chunk: Option<UploadChunk>) -> bool {
    match (sender, chunk) {
        (Some(sender), Some(chunk)) => sender.send(StreamUploadRequest { chunk: Some(chunk) }).await.is_ok(),
        (_, chunk) => chunk.is_none(),
    }
}
