//! The arguments of `reelway upload`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use reelway::v1;
use reelway_domain::limits::PRIORITY_MAX;

use super::ClientArgs;
use crate::byte_size::ByteSize;

/// What `reelway upload` takes.
#[derive(Debug, Clone, Args)]
pub(crate) struct UploadArgs {
    /// The files, uploaded one after another.
    #[arg(required = true, value_name = "FILE")]
    pub(crate) files: Vec<PathBuf>,
    #[command(flatten)]
    pub(crate) client: ClientArgs,
    /// What to make of the files: fast, standard, quality, hevc, av1, or none to store them only.
    #[arg(long, value_name = "NAME", env = "REELWAY_PRESET", default_value = reelway_domain::DEFAULT_PRESET)]
    pub(crate) preset: String,
    /// From -100 to 100: a job with a higher number gets workers sooner.
    #[arg(long, value_name = "NUMBER", env = "REELWAY_PRIORITY", default_value_t = 0, allow_negative_numbers = true,
          value_parser = clap::value_parser!(i32).range(-i64::from(PRIORITY_MAX)..=i64::from(PRIORITY_MAX)))]
    pub(crate) priority: i32,
    /// What becomes of the stored source when the job has succeeded [default: as the server's rule for the preset says]
    #[arg(long, value_name = "ACTION", value_enum)]
    pub(crate) source: Option<SourceFate>,
    /// Don't wait for the job: end when the file is stored.
    #[arg(long)]
    pub(crate) no_wait: bool,
    /// The media type [default: by the file name's extension]
    #[arg(long, value_name = "TYPE")]
    pub(crate) content_type: Option<String>,
    /// Tell this URL when the file is stored and how its job ended, beside those that the servers are configured with.
    #[arg(long, value_name = "URL")]
    pub(crate) webhook_url: Option<String>,
    /// Read the file once more before, and have its SHA-256 verified by the server.
    #[arg(long)]
    pub(crate) sha256: bool,
    /// Send at most so many bytes a second; k, M and G stand for powers of 1024.
    #[arg(long, value_name = "RATE")]
    pub(crate) limit_rate: Option<ByteSize>,
    /// Put the bytes straight into the servers' bucket, several parts at once, past the servers. Where that can't be, they go through
    /// the servers as usual. The job begins when all of the file is there.
    #[arg(long, conflicts_with = "limit_rate")]
    pub(crate) direct: bool,
    /// Begin anew even if an interrupted upload of the same file could be continued.
    #[arg(long)]
    pub(crate) no_resume: bool,
    /// Keep this key and value with the upload; repeat it for several.
    #[arg(long, value_name = "KEY=VALUE", value_parser = key_value)]
    pub(crate) metadata: Vec<(String, String)>,
}

/// What becomes of a source when its job has succeeded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum SourceFate {
    /// It stays.
    Keep,
    /// It is removed.
    Delete,
    /// It is moved to the archive store.
    Archive,
}

impl From<SourceFate> for v1::SourceAction {
    fn from(fate: SourceFate) -> Self {
        match fate {
            SourceFate::Keep => Self::Keep,
            SourceFate::Delete => Self::Delete,
            SourceFate::Archive => Self::Archive,
        }
    }
}

fn key_value(text: &str) -> Result<(String, String), String> {
    let (key, value) = text.split_once('=').ok_or("it must look like KEY=VALUE")?;
    if key.is_empty() {
        return Err("the key is empty".to_owned());
    }
    Ok((key.to_owned(), value.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metadata_is_a_key_and_a_value() {
        assert_eq!(key_value("a=b=c"), Ok(("a".to_owned(), "b=c".to_owned())));
        assert!(key_value("a").is_err() && key_value("=b").is_err());
    }
}
