//! `reelway doctor`: looks for what would keep a node from working here, and says what to do about it; with `--edge-url` also for
//! what lies between a client and the edge, and with `--e2e` for whatever keeps a video from coming out.

mod database;
mod e2e;
mod edge;
mod finding;
mod media;
mod proxy;
mod redis;
mod skew;
mod store;

use std::env;

use self::{
    edge::Edge,
    finding::{Finding, Verdict},
};
use crate::{
    args::{DoctorArgs, TOKEN},
    config::ServeConfig,
    error::CliError,
    exit::Exit,
    output::Output,
    secret,
    serve::check,
    serve_args::Role,
};

/// Looks at everything, even if something fails on the way.
///
/// # Errors
/// If the configuration file or the token can't be read.
pub(crate) async fn run(args: DoctorArgs, out: Output) -> Result<Exit, CliError> {
    let DoctorArgs {
        serve,
        e2e,
        edge_url,
        token_file,
        json: _,
    } = args;
    let config = ServeConfig::resolve(serve)?;
    let variable = env::var(TOKEN).ok().filter(|token| !token.is_empty());
    let token = secret::given("token", variable, token_file.as_deref())?;
    let mut report = Report { out, failed: false };
    report.tell([configuration(&config)]);
    report.tell(media(&config).await);
    report.tell(database::findings(&config).await);
    report.tell(redis::findings(&config).await);
    report.tell(store::findings(&config).await);
    if e2e || edge_url.is_some() {
        let url = edge_url.unwrap_or_else(|| own_edge(&config));
        let edge = Edge::at(&url, token.as_deref(), config.upstream.ca.as_deref())?;
        report.tell(proxy::findings(&edge).await);
        if e2e {
            report.tell(e2e::findings(&edge).await);
        }
    }
    Ok(if report.failed { Exit::Failed } else { Exit::Done })
}

/// Findings on their way out. They are told as they are made: some take their time.
struct Report {
    out: Output,
    failed: bool,
}

impl Report {
    fn tell(&mut self, findings: impl IntoIterator<Item = Finding>) {
        for finding in findings {
            self.failed |= finding.verdict == Verdict::Failed;
            if self.out.is_json {
                self.out.json(&finding);
                continue;
            }
            let mark = match finding.verdict {
                Verdict::Ok => "ok     ",
                Verdict::Warning => "warning",
                Verdict::Failed => "FAILED ",
            };
            self.out
                .line(format_args!("{mark} {:<14} {}", finding.check, finding.message));
            if let Some(advice) = &finding.advice {
                self.out.line(format_args!("{:23}→ {advice}", ""));
            }
        }
    }
}

fn configuration(config: &ServeConfig) -> Finding {
    match check(config) {
        Ok(()) => Finding::ok("configuration", format!("data in {}", config.data.display())),
        Err(error) => Finding::of_error("configuration", &error),
    }
}

/// ffmpeg and what is around it, where it will run.
async fn media(config: &ServeConfig) -> Vec<Finding> {
    if config.roles.contains(&Role::Worker) {
        return media::findings(&config.media).await;
    }
    vec![Finding::ok("ffmpeg", "these roles don't run it")]
}

/// Where a node with these settings can be called.
fn own_edge(config: &ServeConfig) -> String {
    let scheme = if config.tls.is_some() { "https" } else { "http" };
    config
        .public_url
        .clone()
        .unwrap_or_else(|| format!("{scheme}://{}", config.http))
}
