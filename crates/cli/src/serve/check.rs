//! Settings that can't work, or can't work together, are refused at the start: with the reason and what to do.

use std::{net::SocketAddr, time::Duration};

use reelway_blob::Sharing;
use reelway_media::Confinement;
use reelway_rpc::STREAM_WINDOW_BYTES;

use super::{auth, delivery, ports::grpc_ports, store_options, store_url::StoreUrl, upstream, webhooks};
use crate::{config::ServeConfig, error::CliError, serve_args::Role};

/// Whoever asks clients to connect again more often has nothing else to do.
const CONNECTION_AGE_MIN: Duration = Duration::from_secs(1);
/// Nobody needs longer to hear that a server is not ready any more, and a process that takes calls for longer after the
/// wish to stop is killed by whoever waits for it.
const LAME_DUCK_MAX: Duration = Duration::from_secs(300);

/// What looks at a configuration.
type Rule = fn(&ServeConfig) -> Result<(), CliError>;

/// All rules, in the order in which problems are told.
const RULES: [Rule; 16] = [
    known_database,
    several_servers_need_postgres,
    several_servers_need_redis,
    one_process_needs_no_redis,
    plain_redis_prefix,
    several_servers_share_the_store,
    store_options::check,
    delivery::check,
    upstream::check,
    understood_addresses,
    known_callers,
    private_addresses,
    sensible_limits,
    signed_webhooks,
    understood_traces,
    enough_sandbox,
];

/// Refuses a configuration that can't work.
///
/// # Errors
/// A usage error that names the setting.
pub(crate) fn check(config: &ServeConfig) -> Result<(), CliError> {
    RULES.iter().try_for_each(|rule| rule(config))
}

fn known_database(config: &ServeConfig) -> Result<(), CliError> {
    let known = ["sqlite://", "postgres://", "postgresql://"];
    match &config.database {
        Some(url) if !known.iter().any(|scheme| url.starts_with(scheme)) => {
            // The URL itself may hold a password.
            let message = "--database: it must begin with sqlite:// or postgres://";
            Err(CliError::usage(message))
        }
        _ => Ok(()),
    }
}

fn is_sqlite(config: &ServeConfig) -> bool {
    config.database.as_ref().is_none_or(|url| url.starts_with("sqlite://"))
}

fn several_servers_need_postgres(config: &ServeConfig) -> Result<(), CliError> {
    if config.is_whole() || !is_sqlite(config) {
        return Ok(());
    }
    let message = "--role: some roles in this process mean others elsewhere, and SQLite belongs to one process";
    Err(CliError::usage(message).hint("give all of them the same --database postgres://USER@HOST/DATABASE"))
}

fn several_servers_need_redis(config: &ServeConfig) -> Result<(), CliError> {
    if config.is_whole() || config.redis.is_some() {
        return Ok(());
    }
    let message =
        "--role: some roles in this process mean others elsewhere, and without Redis they don't hear of each other";
    Err(CliError::usage(message).hint("give all of them the same --redis redis://HOST"))
}

fn one_process_needs_no_redis(config: &ServeConfig) -> Result<(), CliError> {
    if config.redis.is_none() || !is_sqlite(config) {
        return Ok(());
    }
    let message = "--redis: SQLite belongs to one process, whose bus is within it";
    Err(CliError::usage(message).hint("leave the option out, or use --database postgres://USER@HOST/DATABASE"))
}

fn plain_redis_prefix(config: &ServeConfig) -> Result<(), CliError> {
    let prefix = &config.redis_prefix;
    if !prefix.is_empty() && prefix.chars().all(|c| c.is_ascii_alphanumeric() || "_-.:".contains(c)) {
        return Ok(());
    }
    let message = "--redis-prefix: it must be of letters, digits, and _ - . or :";
    Err(CliError::usage(message))
}

fn several_servers_share_the_store(config: &ServeConfig) -> Result<(), CliError> {
    if config.is_whole() || !config.roles.iter().any(|role| role.uses_store()) {
        return Ok(());
    }
    let stores = [
        ("--store", Some(StoreUrl::of(config)?)),
        ("--output-store", StoreUrl::of_outputs(config)?),
        ("--archive-store", StoreUrl::of_archive(config)?),
    ];
    for (option, store) in stores {
        let Some(StoreUrl::Disk {
            sharing: Sharing::Exclusive,
            ..
        }) = store
        else {
            continue;
        };
        let message = format!(
            "{option}: some roles in this process mean others elsewhere, and this store belongs to one process"
        );
        let hint = format!("put it where all of them see it, and say so: {option} 'file:///DIR?shared=true'");
        return Err(CliError::usage(message).hint(hint));
    }
    Ok(())
}

/// The addresses that this process listens on, with the options that decide them.
fn addresses(config: &ServeConfig) -> Result<Vec<(&'static str, SocketAddr)>, CliError> {
    let grpc = grpc_ports(config)?.into_iter().map(|port| (port.option, port.address));
    let http = config.roles.contains(&Role::Edge).then_some(("--http", config.http));
    Ok(grpc.chain(http).chain([("--admin", config.admin)]).collect())
}

fn understood_addresses(config: &ServeConfig) -> Result<(), CliError> {
    let addresses = addresses(config)?;
    for (at, (option, address)) in addresses.iter().enumerate() {
        let is_same = |(_, other): &&(&str, SocketAddr)| other == address && address.port() != 0;
        if let Some((other, _)) = addresses[..at].iter().find(is_same) {
            return Err(CliError::usage(format!(
                "{option} {address}: it is the address of {other} too"
            )));
        }
    }
    Ok(())
}

fn known_callers(config: &ServeConfig) -> Result<(), CliError> {
    auth::check(config)
}

fn private_addresses(config: &ServeConfig) -> Result<(), CliError> {
    let addresses = addresses(config)?;
    let open = addresses.iter().find(|(_, address)| !address.ip().is_loopback());
    match open {
        Some((option, address)) if !config.insecure && !config.auth.is_required => {
            let message =
                format!("{option} {address} can be reached from other machines, and nobody has to authenticate");
            Err(CliError::usage(message)
                .hint("say --auth required, and make keys with `reelway token create`")
                .hint("or listen on 127.0.0.1, or say --insecure if the network is yours alone"))
        }
        _ => Ok(()),
    }
}

fn sensible_limits(config: &ServeConfig) -> Result<(), CliError> {
    stream_window(config)?;
    if config.max_connection_age < CONNECTION_AGE_MIN {
        return Err(CliError::usage("--max-connection-age: it must be 1s or more"));
    }
    if config.lame_duck > LAME_DUCK_MAX {
        return Err(CliError::usage("--lame-duck: it must be 5m or less"));
    }
    Ok(())
}

fn signed_webhooks(config: &ServeConfig) -> Result<(), CliError> {
    webhooks::settings(config).map(drop)
}

fn understood_traces(config: &ServeConfig) -> Result<(), CliError> {
    if !(0.0..=1.0).contains(&config.trace_ratio) {
        return Err(CliError::usage(format!(
            "--trace-ratio {}: it must be 0 to 1",
            config.trace_ratio
        )));
    }
    Ok(())
}

fn enough_sandbox(config: &ServeConfig) -> Result<(), CliError> {
    let confinement = Confinement::of_this_kernel(config.media.sandbox);
    if !config.roles.contains(&Role::Worker) || confinement.is_enough() {
        return Ok(());
    }
    let message = format!("--sandbox require: this kernel doesn't give all of it ({confinement})");
    Err(CliError::usage(message).hint("use Linux 5.13 or newer with Landlock and seccomp, or --sandbox prefer"))
}

/// How far a client may send ahead on one stream, if that is configured.
///
/// # Errors
/// A usage error if it is out of range.
pub(super) fn stream_window(config: &ServeConfig) -> Result<Option<u32>, CliError> {
    let Some(bytes) = config.stream_window else {
        return Ok(None);
    };
    let window = u32::try_from(bytes)
        .ok()
        .filter(|window| STREAM_WINDOW_BYTES.contains(window));
    let refused = || CliError::usage(format!("--stream-window {bytes}: it must be 64k to 16M"));
    window.ok_or_else(refused).map(Some)
}

#[cfg(test)]
mod tests;
