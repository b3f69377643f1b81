//! Everything that the bucket holds, with what each thing belongs to, for those who look for what is left over.

use std::time::SystemTime;

use futures_util::{Stream, StreamExt as _, stream};
use object_store::{ObjectMeta, ObjectStore as _, path::Path};
use reelway_domain::{JobId, Multipart, UploadId};

use super::{BucketStore, list::not_listed, names::Names, wire::Begun};
use crate::{BlobError, error::Asked as _};

/// Something that the bucket holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Held {
    /// Its key in the bucket.
    pub key: String,
    /// What it belongs to.
    pub owner: Owner,
    /// When it was written or begun. What doesn't say is as young as can be.
    pub since: SystemTime,
    /// What it is.
    pub what: What,
}

/// What something in the bucket is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum What {
    /// An object of so many bytes.
    Object(u64),
    /// A multipart upload that has not ended, by the store's name for it. Its parts cost as objects do, and no listing of objects
    /// shows them.
    Multipart(String),
}

/// What something in the bucket belongs to, by its key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Owner {
    /// An upload.
    Upload(UploadId),
    /// A job.
    Job(JobId),
    /// A check whether the bucket can be written.
    Check,
    /// The store itself.
    Store,
    /// Nobody that we know: others may use the bucket too.
    Nobody,
}

impl BucketStore {
    /// Everything that the bucket holds below its prefix: objects first, then the multipart uploads that have not ended.
    pub fn held(&self) -> impl Stream<Item = Result<Held, BlobError>> + Send + '_ {
        let all = self.inner.names.all();
        let listed = self.inner.objects.list((!all.as_ref().is_empty()).then_some(all));
        let objects = listed.map(move |object| Ok(self.held_object(&object.asked("list", all)?)));
        let begun = stream::once(self.begun()).map(|found| match found {
            Ok(held) => stream::iter(held.into_iter().map(Ok).collect::<Vec<_>>()),
            Err(error) => stream::iter(vec![Err(error)]),
        });
        objects.chain(begun.flatten())
    }

    /// Removes it. It is fine if that was done already.
    ///
    /// # Errors
    /// Those of the bucket.
    pub async fn remove_held(&self, held: &Held) -> Result<(), BlobError> {
        match &held.what {
            What::Object(_) => self.remove_one(&Path::from(held.key.as_str())).await,
            What::Multipart(id) => {
                let (id, key) = (id.clone(), held.key.clone());
                self.end_multipart(&Multipart { id, key }).await
            }
        }
    }

    fn held_object(&self, object: &ObjectMeta) -> Held {
        Held {
            key: object.location.to_string(),
            owner: owner(&self.inner.names, &object.location),
            since: object.last_modified.into(),
            what: What::Object(object.size),
        }
    }

    async fn begun(&self) -> Result<Vec<Held>, BlobError> {
        let (names, mut held) = (&self.inner.names, Vec::new());
        for below in [names.uploads(), names.outputs()] {
            let begun = self.inner.wire.begun(&below).await;
            let begun = begun.map_err(|error| not_listed(&below, error))?;
            held.extend(begun.into_iter().map(|begun| Held {
                owner: owner(names, &Path::from(begun.key.as_str())),
                since: humantime::parse_rfc3339(&begun.at).unwrap_or_else(|_| SystemTime::now()),
                key: begun.key,
                what: What::Multipart(begun.id),
            }));
        }
        Ok(held)
    }
}

impl From<Begun> for Multipart {
    fn from(begun: Begun) -> Self {
        Self {
            id: begun.id,
            key: begun.key,
        }
    }
}

fn owner(names: &Names, key: &Path) -> Owner {
    let first = |below: Path| Some(key.prefix_match(&below)?.next()?.as_ref().to_owned());
    if let Some(name) = first(names.uploads()) {
        return name.parse().map_or(Owner::Nobody, Owner::Upload);
    }
    if let Some(name) = first(names.outputs()) {
        return name.parse().map_or(Owner::Nobody, Owner::Job);
    }
    if first(names.checks()).is_some() {
        return Owner::Check;
    }
    if *key == names.identity() {
        Owner::Store
    } else {
        Owner::Nobody
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_says_what_it_belongs_to() {
        let (upload, job) = (UploadId::new(), JobId::new());
        for prefix in ["", "a/b"] {
            let names = Names::new(Path::from(prefix));
            let at = |rest: String| owner(&names, &names.all().parts().chain(Path::from(rest).parts()).collect());
            assert_eq!(at(format!("uploads/{upload}/source-1")), Owner::Upload(upload));
            assert_eq!(at(format!("outputs/{job}/video-0001-e1/0.m4s")), Owner::Job(job));
            assert_eq!(at("checks/x".to_owned()), Owner::Check);
            assert_eq!(at("store.id".to_owned()), Owner::Store);
            for other in ["uploads/mine/x", "outputs/x", "holiday.mp4"] {
                assert_eq!(at(other.to_owned()), Owner::Nobody, "{other}");
            }
        }
    }
}
