//! What can't be said of a store.

use reelway_blob::{BucketSettings, BucketUrl};
use reelway_domain::{SourceRules, SourceRulesError};

use super::store_url::StoreUrl;
use crate::{config::ServeConfig, error::CliError};

/// Less has no room for two of the shortest parts: no upload would get on.
const UPLOAD_MEMORY_BYTES_MIN: u64 = 16 << 20;
/// Classes of S3 whose objects must be brought back before anybody can read them, which takes minutes to days.
const COLD_CLASSES: [&str; 2] = ["GLACIER", "DEEP_ARCHIVE"];

/// Refuses options that a store has no use for, or that keep it from working.
///
/// # Errors
/// A usage error that names the option.
pub(super) fn check(config: &ServeConfig) -> Result<(), CliError> {
    let sources = StoreUrl::of(config)?;
    fits("--store", &sources, &config.bucket)?;
    match &config.output_store {
        None => nothing_given("--output-store", &config.output_bucket)?,
        Some(_) => {
            let outputs = StoreUrl::of_outputs(config)?.unwrap_or(sources);
            fits("--output-store", &outputs, &config.output_bucket)?;
        }
    }
    match StoreUrl::of_archive(config)? {
        None => nothing_given("--archive-store", &config.archive_bucket),
        Some(archive) => fits("--archive-store", &archive, &config.archive_bucket),
    }?;
    source_rules(config).map(drop)
}

/// What becomes of sources after success.
///
/// # Errors
/// A usage error that names the option.
pub(super) fn source_rules(config: &ServeConfig) -> Result<SourceRules, CliError> {
    let rules = config.preset_source.iter().map(String::as_str);
    SourceRules::new(rules, config.archive_store.is_some()).map_err(|error| {
        let refused = CliError::usage(format!("--preset-source: {error}"));
        match error {
            SourceRulesError::NoArchive(_) => refused.hint("say --archive-store URL"),
            _ => refused,
        }
    })
}

fn fits(option: &str, store: &StoreUrl, settings: &BucketSettings) -> Result<(), CliError> {
    match store {
        StoreUrl::Disk { .. } => nothing_given(option, settings),
        StoreUrl::Bucket(url) => in_bucket(option, url, settings),
    }
}

fn nothing_given(store: &str, settings: &BucketSettings) -> Result<(), CliError> {
    let given = [
        (format!("{store}-endpoint"), settings.endpoint.is_some()),
        (format!("{store}-encryption"), settings.encryption.is_some()),
        (format!("{store}-storage-class"), settings.storage_class.is_some()),
        ("--upload-memory".to_owned(), settings.upload_memory_bytes_max.is_some()),
    ];
    let Some((option, _)) = given.iter().find(|(_, is_given)| *is_given) else {
        return Ok(());
    };
    let message = format!("{option}: it is for a {store} that is a bucket, and this one is none");
    Err(CliError::usage(message).hint(format!("say {store} s3://BUCKET/PREFIX, or leave the option out")))
}

fn in_bucket(store: &str, url: &BucketUrl, settings: &BucketSettings) -> Result<(), CliError> {
    if let Some(endpoint) = &settings.endpoint {
        let is_known = matches!(endpoint.scheme(), "http" | "https");
        // A URL with a password would show it wherever the endpoint is shown.
        if !is_known || !endpoint.username().is_empty() || endpoint.password().is_some() {
            let message = format!("{store}-endpoint: it must look like https://HOST:PORT");
            return Err(CliError::usage(message));
        }
    }
    if url.is_google() && settings.encryption.is_some() {
        let message = format!("{store}-encryption: Google Cloud Storage encrypts everything");
        return Err(CliError::usage(message).hint("set a default key of the bucket to use one of your own"));
    }
    if let Some(class) = &settings.storage_class {
        let option = format!("{store}-storage-class {class}");
        let is_name = !class.is_empty()
            && class
                .bytes()
                .all(|c| c.is_ascii_uppercase() || b"0123456789_-".contains(&c));
        if !is_name {
            let message = format!("{option}: it must be a name like STANDARD_IA");
            return Err(CliError::usage(message));
        }
        if !url.is_google() && COLD_CLASSES.contains(&class.as_str()) {
            let message = format!("{option}: what is in it can't be read at once");
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

    #[test]
    fn what_is_said_of_the_store_for_outputs_fits_that_one() {
        let of = |outputs: &[&str], option: &[&str]| {
            let options = [&["--store", "file:///srv/reelway"], outputs, option].concat();
            check(&config(&options))
        };
        let class = ["--output-store-storage-class", "STANDARD_IA"];
        let bucket = ["--output-store", "s3://b/p"];
        assert!(of(&bucket, &class).is_ok());
        for (outputs, option) in [
            (&[][..], class),
            (&["--output-store", "file:///srv/other"], class),
            (&bucket, ["--output-store-storage-class", "GLACIER"]),
            (&["--output-store", "gs://b/p"], ["--output-store-encryption", "AES256"]),
            (&bucket, ["--output-store-endpoint", "http://key:secret@127.0.0.1"]),
        ] {
            let error = of(outputs, &option).expect_err(option[1]);
            assert!(error.message.starts_with(option[0]), "{error}");
        }
    }
}
