//! What `--store`, `--output-store` and `--archive-store` name.

use std::{
    fmt, io,
    path::{Path, PathBuf},
};

use reelway_blob::{BlobError, BucketSettings, BucketStore, BucketUrl, DiskStore, Sharing, Store};

use crate::{config::ServeConfig, error::CliError};

/// What keeps the bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum StoreUrl {
    /// A directory.
    Disk {
        /// The directory.
        dir: PathBuf,
        /// Whether several processes use it.
        sharing: Sharing,
    },
    /// A bucket, which any number of processes use.
    Bucket(BucketUrl),
}

impl StoreUrl {
    /// The store of a configuration.
    ///
    /// # Errors
    /// A usage error if it is neither a directory nor a bucket.
    pub(crate) fn of(config: &ServeConfig) -> Result<Self, CliError> {
        match &config.store {
            Some(url) => parse("--store", url),
            None => Ok(Self::Disk {
                dir: config.data.join("store"),
                sharing: Sharing::Exclusive,
            }),
        }
    }

    /// The store for what jobs make, if another one than [`Self::of`] is named.
    ///
    /// # Errors
    /// A usage error if it is neither a directory nor a bucket.
    pub(crate) fn of_outputs(config: &ServeConfig) -> Result<Option<Self>, CliError> {
        let Some(url) = &config.output_store else {
            return Ok(None);
        };
        let (sources, outputs) = (Self::of(config)?, parse("--output-store", url)?);
        // The prefix of a bucket may be said twice, with settings that differ; a directory has none.
        let is_same = sources == outputs && (config.bucket == config.output_bucket || outputs.is_disk());
        Ok((!is_same).then_some(outputs))
    }

    /// The store that sources are moved to after success, if one is named.
    ///
    /// # Errors
    /// A usage error if it is neither a directory nor a bucket, or is where sources are uploaded to.
    pub(crate) fn of_archive(config: &ServeConfig) -> Result<Option<Self>, CliError> {
        let Some(url) = &config.archive_store else {
            return Ok(None);
        };
        let archive = parse("--archive-store", url)?;
        if archive.is_at(&Self::of(config)?) {
            let message = format!("--archive-store {url}: sources are there already");
            return Err(CliError::usage(message).hint("name another directory, bucket or prefix than --store does"));
        }
        Ok(Some(archive))
    }

    /// Whether both are one place, however it is used.
    pub(crate) fn is_at(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Disk { dir, .. }, Self::Disk { dir: other, .. }) => dir == other,
            (Self::Bucket(url), Self::Bucket(other)) => url == other,
            _ => false,
        }
    }

    /// Whether it is a directory.
    pub(crate) fn is_disk(&self) -> bool {
        matches!(self, Self::Disk { .. })
    }

    /// Opens the store; `settings` say how a bucket is used.
    ///
    /// # Errors
    /// Why it can't be used.
    pub(crate) async fn open(self, settings: &BucketSettings) -> Result<Store, BlobError> {
        match self {
            Self::Disk { dir, sharing } => {
                let place = dir.clone();
                let opened = tokio::task::spawn_blocking(move || DiskStore::open(dir, sharing)).await;
                let failed = |error| BlobError::Io {
                    operation: "open",
                    path: place,
                    source: io::Error::other(error),
                };
                Ok(opened.map_err(failed)??.into())
            }
            Self::Bucket(url) => Ok(BucketStore::open(&url, settings).await?.into()),
        }
    }
}

impl fmt::Display for StoreUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Disk { dir, .. } => write!(f, "{}", dir.display()),
            Self::Bucket(url) => write!(f, "{url}"),
        }
    }
}

fn parse(option: &str, url: &str) -> Result<StoreUrl, CliError> {
    let refused = |why: String| CliError::usage(format!("{option} {url}: {why}"));
    if url.starts_with("s3://") || url.starts_with("gs://") {
        let bucket = url.parse().map(StoreUrl::Bucket);
        return bucket.map_err(|_| refused("it must look like s3://BUCKET/PREFIX or gs://BUCKET/PREFIX".to_owned()));
    }
    let path = url.strip_prefix("file://").unwrap_or_default();
    let (dir, query) = path.split_once('?').unwrap_or((path, ""));
    if !Path::new(dir).is_absolute() {
        return Err(refused("it must look like file:///DIR, with the whole path".to_owned()));
    }
    let mut sharing = None;
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let given = match pair.split_once('=') {
            Some(("shared", "true")) => Sharing::Shared,
            Some(("shared", "false")) => Sharing::Exclusive,
            Some(("shared", _)) | None => return Err(refused(format!("{pair:?} must be shared=true or shared=false"))),
            Some((key, _)) => return Err(refused(format!("{key:?} is not known; there is only shared=true"))),
        };
        if sharing.replace(given).is_some() {
            return Err(refused("shared is given twice".to_owned()));
        }
    }
    Ok(StoreUrl::Disk {
        dir: PathBuf::from(dir),
        sharing: sharing.unwrap_or(Sharing::Exclusive),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::testing::config;

    #[test]
    fn a_directory_is_shared_only_if_that_is_said() {
        for (url, sharing) in [
            ("file:///srv/reelway", Sharing::Exclusive),
            ("file:///srv/reelway?", Sharing::Exclusive),
            ("file:///srv/reelway?shared=false", Sharing::Exclusive),
            ("file:///srv/reelway?shared=true", Sharing::Shared),
        ] {
            let dir = PathBuf::from("/srv/reelway");
            assert_eq!(
                parse("--store", url).expect(url),
                StoreUrl::Disk { dir, sharing },
                "{url}"
            );
        }
    }

    #[test]
    fn outputs_have_a_store_of_their_own_only_if_it_is_another() {
        let of = |options: &[&str]| StoreUrl::of_outputs(&config(options)).expect("good options");
        assert_eq!(of(&["--store", "s3://b/p"]), None);
        for url in ["s3://b/p", "file:///srv/reelway"] {
            assert_eq!(of(&["--store", url, "--output-store", url]), None, "{url}");
        }
        for outputs in ["s3://b/q", "gs://b/p", "file:///srv/reelway"] {
            let found = of(&["--store", "s3://b/p", "--output-store", outputs]);
            assert_eq!(found, Some(parse("", outputs).expect(outputs)));
        }
        let class = ["--output-store-storage-class", "STANDARD_IA"];
        let same = ["--store", "s3://b/p", "--output-store", "s3://b/p"];
        assert!(of(&[&same[..], &class].concat()).is_some(), "in another class");
    }

    #[test]
    fn sources_are_moved_to_another_place_than_they_are_at() {
        let of = |options: &[&str]| StoreUrl::of_archive(&config(options));
        assert_eq!(of(&["--store", "s3://b/p"]).expect("good options"), None);
        for archive in ["s3://b/q", "gs://b/p", "file:///srv/reelway"] {
            let found = of(&["--store", "s3://b/p", "--archive-store", archive]).expect("good options");
            assert_eq!(found, Some(parse("", archive).expect(archive)));
        }
        for (store, archive) in [("s3://b/p", "s3://b/p"), ("file:///srv/a", "file:///srv/a?shared=true")] {
            let error = of(&["--store", store, "--archive-store", archive]).expect_err(archive);
            assert!(error.message.contains("already"), "{error}");
        }
    }

    #[test]
    fn what_is_not_understood_is_named() {
        for (url, named) in [
            ("s3:///prefix", "s3://BUCKET/PREFIX"),
            ("gs://a b", "gs://BUCKET/PREFIX"),
            ("file://relative", "whole path"),
            ("/srv/reelway", "file:///DIR"),
            ("file:///srv?sharde=true", "\"sharde\""),
            ("file:///srv?shared=yes", "\"shared=yes\""),
            ("file:///srv?shared", "\"shared\""),
            ("file:///srv?shared=true&shared=false", "twice"),
        ] {
            let error = parse("--output-store", url).expect_err(url);
            assert!(error.message.starts_with("--output-store"), "{error}");
            assert!(error.message.contains(named), "{url}: {error}");
        }
    }
}
