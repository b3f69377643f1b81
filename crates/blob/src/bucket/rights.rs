//! Whether a bucket lets a server do all that it will have to do.

use futures_util::TryStreamExt as _;
use object_store::{ObjectStore as _, ObjectStoreExt as _, PutMultipartOptions, path::Path};

use super::{BucketStore, list::not_listed, wire::WireError};
use crate::{BlobError, error::Asked as _};

/// What is written and read back.
const PROBE: &str = "may this be read back?";

impl BucketStore {
    /// Tries everything once that servers do in a bucket, with an object and a multipart upload of its own, and leaves nothing
    /// behind that it may remove.
    ///
    /// # Errors
    /// [`BlobError::Remote`] with the first operation that doesn't work.
    pub async fn check_rights(&self) -> Result<(), BlobError> {
        let key = self.inner.names.check(&self.writer_id().to_string());
        let store = &self.inner.objects;
        store.put(&key, PROBE.into()).await.asked("write", &key)?;
        let read = async {
            let found = store.get(&key).await.asked("read", &key)?;
            found.bytes().await.asked("read", &key)
        };
        let used = match read.await {
            Ok(_) => self.list_and_send_parts(&key).await,
            Err(error) => Err(error),
        };
        let removed = store.delete(&key).await.asked("remove", &key);
        used.and(removed)
    }

    async fn list_and_send_parts(&self, key: &Path) -> Result<(), BlobError> {
        let (below, inner) = (self.inner.names.checks(), &self.inner);
        let listed = inner.objects.list(Some(&below)).try_next().await;
        listed.asked("list the objects below", &below)?;
        let options = PutMultipartOptions::default();
        let begun = inner.multiparts.create_multipart_opts(key, options).await;
        let id = begun.asked("begin a multipart upload of", key)?;
        let sent = async {
            let part = inner.multiparts.put_part(key, &id, 0, PROBE.into()).await;
            part.asked("send a part of", key)?;
            inner
                .wire
                .begun(&below)
                .await
                .map_err(|error| not_listed(&below, error))?;
            let parts = inner.wire.parts(key, &id, 1, 1).await;
            parts.map_err(|error| parts_not_listed(key, error))
        };
        let sent = sent.await;
        let ended = inner.multiparts.abort_multipart(key, &id).await;
        sent.and(ended.asked("end the multipart upload of", key))
    }
}

fn parts_not_listed(key: &Path, error: WireError) -> BlobError {
    BlobError::Remote {
        operation: "list the parts of the multipart upload of",
        key: key.to_string(),
        source: Box::new(error),
    }
}

#[cfg(test)]
mod tests {
    use http::StatusCode;
    use reelway_testkit::{S3Call, S3Fault, S3Proxy};

    use crate::testing::{At, on_each};

    on_each!(each_right_is_tried_and_the_one_that_is_missing_is_named);

    async fn each_right_is_tried_and_the_one_that_is_missing_is_named(at: At) {
        let bucket = at.bucket();
        let server = bucket.endpoint().trim_start_matches("http://").parse().unwrap();
        let proxy = S3Proxy::before(server).await;
        let store = bucket.open_by(&proxy.url()).await;
        store.check_rights().await.unwrap();
        for (refused, named) in [
            (S3Call::Put, "write"),
            (S3Call::Get, "read"),
            (S3Call::List, "list"),
            (S3Call::Begin, "begin a multipart upload"),
            (S3Call::Part, "send a part"),
            (S3Call::Abort, "end the multipart upload"),
            (S3Call::Delete, "remove"),
        ] {
            proxy.breaks(move |call| (call == refused).then_some(S3Fault::Answer(StatusCode::FORBIDDEN)));
            let told = store.check_rights().await.unwrap_err().to_string();
            assert!(told.contains(&format!("can't {named}")), "{refused:?}: {told}");
            proxy.restore();
        }
        store.check_rights().await.unwrap();
    }
}
