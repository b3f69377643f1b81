//! What can't be said of a store.

use reelway_blob::BucketUrl;

use super::store_url::StoreUrl;
use crate::{config::ServeConfig, error::CliError};

/// Less has no room for two of the shortest parts: no upload would get on.
const UPLOAD_MEMORY_BYTES_MIN: u64 = 16 << 20;
/// Classes of S3 whose objects must be brought back before anybody can read them, which takes minutes to days.
const COLD_CLASSES: [&str; 2] = ["GLACIER", "DEEP_ARCHIVE"];

/// Refuses options that the store has no use for, or that keep it from working.
///
/// # Errors
/// A usage error that names the option.
pub(super) fn check(config: &ServeConfig) -> Result<(), CliError> {
    match StoreUrl::of(config)? {
        StoreUrl::Disk { .. } => on_disk(config),
        StoreUrl::Bucket(url) => in_bucket(config, &url),
    }
}

fn on_disk(config: &ServeConfig) -> Result<(), CliError> {
    let settings = &config.bucket;
    let given = [
        ("--store-endpoint", settings.endpoint.is_some()),
        ("--store-encryption", settings.encryption.is_some()),
        ("--store-storage-class", settings.storage_class.is_some()),
        ("--upload-memory", settings.upload_memory_bytes_max.is_some()),
    ];
    let Some((option, _)) = given.iter().find(|(_, is_given)| *is_given) else {
        return Ok(());
    };
    let message = format!("{option}: it is for a store that is a bucket, and this one is a directory");
    Err(CliError::usage(message).hint("say --store s3://BUCKET/PREFIX, or leave the option out"))
}

fn in_bucket(config: &ServeConfig, url: &BucketUrl) -> Result<(), CliError> {
    let settings = &config.bucket;
    if let Some(endpoint) = &settings.endpoint {
        let is_known = matches!(endpoint.scheme(), "http" | "https");
        // A URL with a password would show it wherever the endpoint is shown.
        if !is_known || !endpoint.username().is_empty() || endpoint.password().is_some() {
            return Err(CliError::usage("--store-endpoint: it must look like https://HOST:PORT"));
        }
    }
    if url.is_google() && settings.encryption.is_some() {
        let message = "--store-encryption: Google Cloud Storage encrypts everything";
        return Err(CliError::usage(message).hint("set a default key of the bucket to use one of your own"));
    }
    if let Some(class) = &settings.storage_class {
        let is_name = !class.is_empty()
            && class
                .bytes()
                .all(|c| c.is_ascii_uppercase() || b"0123456789_-".contains(&c));
        if !is_name {
            let message = format!("--store-storage-class {class}: it must be a name like STANDARD_IA");
            return Err(CliError::usage(message));
        }
        if !url.is_google() && COLD_CLASSES.contains(&class.as_str()) {
            let message = format!("--store-storage-class {class}: what is in it can't be read at once");
            return Err(CliError::usage(message).hint("GLACIER_IR can, and lifecycle rules can move old sources later"));
        }
    }
    match settings.upload_memory_bytes_max {
        Some(bytes) if bytes < UPLOAD_MEMORY_BYTES_MIN => Err(CliError::usage(format!(
            "--upload-memory {bytes}: it must be 16M or more"
        ))),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::testing::config;

    #[test]
    fn options_fit_the_store() {
        let s3 = ["--store", "s3://b/p"];
        for fine in [
            &["--store-encryption", "AES256", "--store-storage-class", "STANDARD_IA"][..],
            &["--store-encryption", "kms:arn:aws:kms:eu-west-1:1:key/a"],
            &["--store-endpoint", "http://127.0.0.1:9000", "--upload-memory", "32M"],
        ] {
            let options = [&s3[..], fine].concat();
            assert!(check(&config(&options)).is_ok(), "{options:?}");
        }
    }

    #[test]
    fn what_does_not_fit_is_refused_by_name() {
        let (s3, gs, disk) = ("s3://b/p", "gs://b/p", "file:///srv/reelway");
        for (store, option, value) in [
            (disk, "--store-endpoint", "http://127.0.0.1:9000"),
            (disk, "--store-encryption", "AES256"),
            (disk, "--store-storage-class", "STANDARD_IA"),
            (disk, "--upload-memory", "64M"),
            (gs, "--store-encryption", "AES256"),
            (s3, "--store-endpoint", "ftp://127.0.0.1"),
            (s3, "--store-endpoint", "http://key:secret@127.0.0.1"),
            (s3, "--store-storage-class", "standard ia"),
            (s3, "--store-storage-class", "DEEP_ARCHIVE"),
            (s3, "--upload-memory", "8M"),
        ] {
            let error = check(&config(&["--store", store, option, value])).expect_err(value);
            assert!(error.message.starts_with(option), "{error}");
            assert!(!error.message.contains("secret"), "{error}");
        }
    }
}
