//! `reelway doctor`: looks for what would keep a node from working here, and says what to do about it.

use reelway_blob::DiskStore;
use reelway_catalog::{Catalog, Error as CatalogError};
use reelway_media::{Limits, Tools};
use serde::Serialize;

use crate::{
    args::DoctorArgs,
    config::ServeConfig,
    error::CliError,
    exit::Exit,
    output::Output,
    serve::{check, database_url, store_dir, tools_failure},
};

/// Below this much free space a node warns: one phone video fills it.
const FREE_BYTES_MIN: u64 = 5 << 30;

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
    let findings = [
        configuration(&config),
        media_tools().await,
        sandbox().await,
        database(&config).await,
        store(&config).await,
    ];
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

async fn media_tools() -> Finding {
    match Tools::find(Limits::default()).await {
        Ok(tools) => Finding::new(
            "ffmpeg",
            Verdict::Ok,
            format!("{} at {}", tools.version(), tools.ffmpeg().display()),
        ),
        Err(error) => Finding::failed("ffmpeg", &tools_failure(&error)),
    }
}

async fn sandbox() -> Finding {
    match Tools::find(Limits::default()).await {
        Ok(tools) if tools.confinement().files => Finding::new("sandbox", Verdict::Ok, tools.confinement().to_string()),
        Ok(tools) => Finding::new(
            "sandbox",
            Verdict::Warning,
            format!(
                "{}; use Linux 5.13 or newer before you take files from strangers",
                tools.confinement()
            ),
        ),
        Err(_) => Finding::new("sandbox", Verdict::Failed, "can't be looked at without ffmpeg"),
    }
}

async fn database(config: &ServeConfig) -> Finding {
    let url = database_url(config.database.as_deref(), &config.data);
    let opened = async {
        let catalog = Catalog::open(&url).await?;
        let answer = catalog.ping().await;
        catalog.close().await;
        answer
    };
    match opened.await {
        Ok(()) => Finding::new("database", Verdict::Ok, "it can be opened and answers"),
        Err(error @ CatalogError::Locked(_)) => Finding::new("database", Verdict::Warning, error.to_string()),
        Err(error) => Finding::new("database", Verdict::Failed, error.to_string()),
    }
}

async fn store(config: &ServeConfig) -> Finding {
    let looked = async {
        let dir = store_dir(config)?;
        let broken = |error: &dyn std::fmt::Display| CliError::failed("STORE_UNAVAILABLE", error);
        let opened = tokio::task::spawn_blocking(move || DiskStore::open(dir))
            .await
            .map_err(|error| broken(&error))?;
        let free = opened.map_err(|error| broken(&error))?.free_bytes().await;
        free.map_err(|error| broken(&error))
    };
    match looked.await {
        Ok(free) => {
            let verdict = if free < FREE_BYTES_MIN {
                Verdict::Warning
            } else {
                Verdict::Ok
            };
            Finding::new("store", verdict, format!("writable, {} GiB free", free >> 30))
        }
        Err(error) => Finding::failed("store", &error),
    }
}
