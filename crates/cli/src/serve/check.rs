//! Settings that can't work are refused at the start, with the reason and what to do.

use std::path::{Path, PathBuf};

use reelway_rpc::STREAM_WINDOW_BYTES;

use crate::{config::ServeConfig, error::CliError, serve_args::Role};

/// Refuses a configuration that can't work.
///
/// # Errors
/// A usage error that names the setting.
pub(crate) fn check(config: &ServeConfig) -> Result<(), CliError> {
    if config.roles.len() < Role::ALL.len() {
        let message = "--role: this release runs all roles in one process; leave the option out";
        return Err(CliError::usage(message));
    }
    if config.redis.is_some() {
        return Err(CliError::usage(
            "--redis: this release runs in one process, whose bus is within it; leave the option out",
        ));
    }
    store_dir(config)?;
    stream_window(config)?;
    for (option, address) in [
        ("--http", config.http),
        ("--grpc", config.grpc),
        ("--admin", config.admin),
    ] {
        if !address.ip().is_loopback() && !config.insecure {
            let message =
                format!("{option} {address} can be reached from other machines, and nobody has to authenticate");
            return Err(
                CliError::usage(message).hint("listen on 127.0.0.1, or say --insecure if the network is yours alone")
            );
        }
    }
    Ok(())
}

/// The directory of the store.
///
/// # Errors
/// A usage error if the store is not a directory.
pub(crate) fn store_dir(config: &ServeConfig) -> Result<PathBuf, CliError> {
    let Some(url) = &config.store else {
        return Ok(config.data.join("store"));
    };
    match url.strip_prefix("file://") {
        Some(dir) if Path::new(dir).is_absolute() && !dir.contains('?') => Ok(PathBuf::from(dir)),
        _ => Err(CliError::usage(format!(
            "--store {url}: this release keeps bytes on the local disk; use file:///DIR"
        ))),
    }
}

/// How far a client may send ahead on one stream, if that is configured.
///
/// # Errors
/// A usage error if it is out of range.
pub(crate) fn stream_window(config: &ServeConfig) -> Result<Option<u32>, CliError> {
    let Some(bytes) = config.stream_window else {
        return Ok(None);
    };
    let window = u32::try_from(bytes)
        .ok()
        .filter(|window| STREAM_WINDOW_BYTES.contains(window));
    let refused = || CliError::usage(format!("--stream-window {bytes}: it must be 64k to 16M"));
    window.ok_or_else(refused).map(Some)
}

/// The URL of the catalog.
pub(crate) fn database_url(database: Option<&str>, data: &Path) -> String {
    database.map_or_else(
        || format!("sqlite://{}", data.join("catalog.sqlite").display()),
        str::to_owned,
    )
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;
    use crate::args::{Cli, Command};

    fn config(options: &[&str]) -> ServeConfig {
        let cli = Cli::try_parse_from(["reelway", "serve"].iter().chain(options)).expect("options");
        let Command::Serve(args) = cli.command else {
            panic!("another command")
        };
        ServeConfig::resolve(*args).expect("no file")
    }

    #[test]
    fn what_can_not_work_is_refused_by_name() {
        let cases: [(&[&str], &str); 6] = [
            (&["--stream-window", "17M"], "--stream-window"),
            (&["--role", "edge"], "--role"),
            (&["--redis", "redis://127.0.0.1"], "--redis"),
            (&["--store", "s3://bucket/prefix"], "--store"),
            (&["--store", "file://relative"], "--store"),
            (&["--grpc", "0.0.0.0:50051"], "--grpc"),
        ];
        for (options, named) in cases {
            let error = check(&config(options)).expect_err(named);
            assert!(error.message.starts_with(named), "{error}");
        }
        assert!(check(&config(&[])).is_ok());
        assert!(check(&config(&["--grpc", "0.0.0.0:50051", "--insecure"])).is_ok());
    }
}
