//! How a bucket is used.

use std::str::FromStr;

use reelway_blob::{BucketSettings, Encryption, EncryptionError};
use serde::Deserialize;

use crate::serve_args::ServeOptions;

/// How a bucket encrypts: `AES256` or `kms:KEY`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub(crate) struct StoreEncryption(Encryption);

impl FromStr for StoreEncryption {
    type Err = EncryptionError;

    fn from_str(text: &str) -> Result<Self, EncryptionError> {
        text.parse().map(Self)
    }
}

impl TryFrom<String> for StoreEncryption {
    type Error = EncryptionError;

    fn try_from(text: String) -> Result<Self, EncryptionError> {
        text.parse()
    }
}

/// Takes what is said of the bucket out of the options.
pub(super) fn take(options: &mut ServeOptions) -> BucketSettings {
    BucketSettings {
        endpoint: options.store_endpoint.take(),
        storage_class: options.store_storage_class.take(),
        encryption: options.store_encryption.take().map(|given| given.0),
        upload_memory_bytes_max: options.upload_memory.take().map(|bytes| bytes.0),
    }
}

/// Takes what is said of the bucket for what jobs make out of the options.
pub(super) fn take_outputs(options: &mut ServeOptions) -> BucketSettings {
    BucketSettings {
        endpoint: options.output_store_endpoint.take(),
        storage_class: options.output_store_storage_class.take(),
        encryption: options.output_store_encryption.take().map(|given| given.0),
        // Uploads go elsewhere.
        upload_memory_bytes_max: None,
    }
}

/// Takes what is said of the bucket that sources are moved to out of the options.
pub(super) fn take_archive(options: &mut ServeOptions) -> BucketSettings {
    BucketSettings {
        endpoint: options.archive_store_endpoint.take(),
        storage_class: options.archive_store_storage_class.take(),
        encryption: options.archive_store_encryption.take().map(|given| given.0),
        // One source is moved at a time.
        upload_memory_bytes_max: None,
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use crate::config::testing::{config, resolve};

    #[test]
    fn flags_win_over_the_file() {
        let file = tempfile::NamedTempFile::new().expect("a file");
        let text = "store-encryption = 'AES256'\nstore-storage-class = 'STANDARD_IA'\nupload-memory = '64M'";
        fs::write(file.path(), text).expect("a written file");
        let path = file.path().to_str().expect("a plain path");
        let found = resolve(&["--config", path, "--store-encryption", "kms:mine"]).expect("good options");
        let expected = [
            "--store-encryption",
            "kms:mine",
            "--store-storage-class",
            "STANDARD_IA",
            "--upload-memory",
            "64M",
        ];
        assert_eq!(found.bucket, config(&expected).bucket);
        fs::write(file.path(), "store-encryption = 'rot13'").expect("a written file");
        let error = resolve(&["--config", path])
            .expect_err("no such encryption")
            .to_string();
        assert!(
            error.contains("store-encryption") && error.contains("AES256"),
            "{error}"
        );
    }
}
