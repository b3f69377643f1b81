//! Where somebody can read an object who has none of our credentials.

use std::time::Duration;

use http::Method;
use object_store::{path::Path, signer::SignedUrlOptions};

use super::{BucketOutput, ObjectReader, names::Names};
use crate::{BlobError, OutputKey, error::Asked as _};

impl ObjectReader {
    /// A URL under which whoever has it can GET or HEAD this object, for as long as said. `kept_as`: what the answer's
    /// Content-Disposition then says. On Google Cloud Storage it is signed for `storage.googleapis.com`, whatever its address says.
    ///
    /// # Errors
    /// [`BlobError::Remote`] if it can't be signed: on Google Cloud Storage, the identity of a machine needs the permission to.
    pub async fn signed_url(&self, method: Method, life: Duration, kept_as: Option<&str>) -> Result<String, BlobError> {
        let query = kept_as.map(|kept_as| ("response-content-disposition", kept_as));
        let options = SignedUrlOptions::new().with_query(query);
        let signer = &self.store.signer;
        let signed = signer.signed_url_opts(method, &self.key, life, &options).await;
        Ok(signed.asked("sign a URL of", &self.key)?.into())
    }
}

impl BucketOutput {
    /// Where the job's outputs are below the prefix of the store, with a slash at the end: for whoever serves the bucket to everybody.
    #[must_use]
    pub fn public_prefix(&self) -> String {
        format!("{}/", Names::new(Path::default()).job(self.job))
    }

    /// Where an output is below the prefix of the store.
    #[must_use]
    pub fn public_name(&self, key: &OutputKey) -> String {
        format!("{}{key}", self.public_prefix())
    }
}
