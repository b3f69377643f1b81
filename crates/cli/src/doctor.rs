//! `reelway doctor`: looks for what would keep a node from working here, and says what to do about it.

mod media;

use reelway_blob::BlobError;
use reelway_catalog::{Catalog, Error as CatalogError, Schema};
use reelway_domain::{Hint, Notice};
use serde::Serialize;

use crate::{
    args::DoctorArgs,
    config::ServeConfig,
    error::CliError,
    exit::Exit,
    output::Output,
    serve::{StoreUrl, bus, check, database_url},
};

/// Below this much free space a node warns: one phone video fills it.
const FREE_BYTES_MIN: u64 = 5 << 30;
/// A worker that is woken for nothing looks, and waits again.
const WAKE_ONE: Notice = Notice {
    hint: Hint::Tasks { count: 1 },
    trace: None,
};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Verdict {
    Ok,
    Warning,
    Failed,
}

/// One thing that was looked at.
#[derive(Debug, Serialize)]
struct Finding {
    check: &'static str,
    verdict: Verdict,
    /// What was found, and what to do about it.
    message: String,
}

/// Looks at everything, even if something fails on the way.
///
/// # Errors
/// If the configuration file can't be read.
pub(crate) async fn run(args: DoctorArgs, out: Output) -> Result<Exit, CliError> {
    let config = ServeConfig::resolve(args.serve)?;
    let mut findings = vec![configuration(&config)];
    findings.extend(media::findings(&config.media).await);
    findings.extend(database(&config).await);
    findings.push(redis(&config).await);
    findings.push(store(&config).await);
    for finding in &findings {
        if out.is_json {
            out.json(finding);
        } else {
            let mark = match finding.verdict {
                Verdict::Ok => "ok     ",
                Verdict::Warning => "warning",
                Verdict::Failed => "FAILED ",
            };
            out.line(format_args!("{mark} {:<14} {}", finding.check, finding.message));
        }
    }
    let failed = findings.iter().any(|finding| finding.verdict == Verdict::Failed);
    Ok(if failed { Exit::Failed } else { Exit::Done })
}

impl Finding {
    fn new(check: &'static str, verdict: Verdict, message: impl Into<String>) -> Self {
        Self {
            check,
            verdict,
            message: message.into(),
        }
    }

    fn failed(check: &'static str, error: &CliError) -> Self {
        let hint: String = error.hints.iter().map(|hint| format!(" ({hint})")).collect();
        Self::new(check, Verdict::Failed, format!("{}{hint}", error.message))
    }
}

fn configuration(config: &ServeConfig) -> Finding {
    match check(config) {
        Ok(()) => Finding::new(
            "configuration",
            Verdict::Ok,
            format!("data in {}", config.data.display()),
        ),
        Err(error) => Finding::failed("configuration", &error),
    }
}

/// The database, and what is in it if it can be asked.
async fn database(config: &ServeConfig) -> Vec<Finding> {
    let url = database_url(config.database.as_deref(), &config.data);
    let looked = async {
        let catalog = Catalog::open(&url).await?;
        let schema = match catalog.ping().await {
            Ok(()) => catalog.schema().await,
            Err(error) => Err(error),
        };
        catalog.close().await;
        schema
    };
    match looked.await {
        Ok(schema) => vec![
            Finding::new("database", Verdict::Ok, "it can be opened and answers"),
            fits(schema, config.is_whole()),
        ],
        Err(error @ CatalogError::Locked(_)) => vec![Finding::new("database", Verdict::Warning, error.to_string())],
        Err(error) => vec![Finding::new("database", Verdict::Failed, error.to_string())],
    }
}

fn fits(schema: Schema, is_whole: bool) -> Finding {
    let (verdict, message) = match schema {
        Schema::Current => (Verdict::Ok, "it is this release's".to_owned()),
        Schema::Older { .. } if is_whole => (Verdict::Ok, "a node brings it up to date when it starts".to_owned()),
        Schema::Older { .. } => (
            Verdict::Warning,
            "it is older than this release needs; run `reelway migrate`".to_owned(),
        ),
        Schema::Newer {
            version,
            compatible: true,
        } => (
            Verdict::Ok,
            format!("migration {version} is newer than this release, which works with it"),
        ),
        Schema::Newer { version, .. } => (Verdict::Failed, CatalogError::NewerSchema(version).to_string()),
    };
    Finding::new("schema", verdict, message)
}

async fn redis(config: &ServeConfig) -> Finding {
    if config.redis.is_none() {
        return Finding::new(
            "redis",
            Verdict::Ok,
            "none is configured: the bus is within the process",
        );
    }
    match bus(config) {
        Ok(bus) => match bus.publish(&[WAKE_ONE]).await {
            Ok(()) => Finding::new("redis", Verdict::Ok, "it takes what is published"),
            // Nothing is lost without Redis.
            Err(error) => Finding::new(
                "redis",
                Verdict::Warning,
                format!("{error}; servers work without it, but hear of each other later"),
            ),
        },
        Err(error) => Finding::failed("redis", &error),
    }
}

async fn store(config: &ServeConfig) -> Finding {
    if !config.roles.iter().any(|role| role.uses_store()) {
        return Finding::new("store", Verdict::Ok, "these roles have nothing to do with it");
    }
    let at = match StoreUrl::of(config) {
        Ok(at) => at,
        Err(error) => return Finding::failed("store", &error),
    };
    let looked = async {
        let store = match at.open(config).await {
            Ok(store) => store,
            Err(error @ BlobError::InUse { .. }) => return Ok((Verdict::Warning, error.to_string())),
            Err(error) => return Err(error.to_string()),
        };
        store.check().await.map_err(|error| error.to_string())?;
        let free = store.free_bytes().await.map_err(|error| error.to_string())?;
        let Some(free) = free else {
            return Ok((Verdict::Ok, "writable".to_owned()));
        };
        let verdict = if free < FREE_BYTES_MIN {
            Verdict::Warning
        } else {
            Verdict::Ok
        };
        Ok((verdict, format!("writable, {} GiB free", free >> 30)))
    };
    match looked.await {
        Ok((verdict, message)) => Finding::new("store", verdict, message),
        Err(message) => Finding::new("store", Verdict::Failed, message),
    }
}
