//! How what was made gets from the store to players.

use reelway_edge::Delivery;

use super::store_url::StoreUrl;
use crate::{
    config::ServeConfig,
    error::CliError,
    serve_args::{PlaybackAccess, PlaybackDelivery},
};

/// Refuses what the store can't do, and what would give away what only some may see.
///
/// # Errors
/// A usage error that names the option.
pub(super) fn check(config: &ServeConfig) -> Result<(), CliError> {
    let delivery = of(config)?;
    let store = match StoreUrl::of_outputs(config)? {
        Some(outputs) => outputs,
        None => StoreUrl::of(config)?,
    };
    if delivery != Delivery::Proxied && store.is_disk() {
        let message = "--playback-delivery: what is in a directory can only be had from this server";
        return Err(
            CliError::usage(message).hint("say --store or --output-store s3://BUCKET/PREFIX, or leave the option out")
        );
    }
    if matches!(delivery, Delivery::Public(_)) && config.edge.playback == PlaybackAccess::Signed {
        let message = "--playback-delivery public: whoever has seen a public address can use it for ever, \
                       and --playback signed says that nobody may";
        return Err(CliError::usage(message).hint("say --playback-delivery presigned"));
    }
    Ok(())
}

/// How segments get to players.
///
/// # Errors
/// A usage error if only half of it is said.
pub(super) fn of(config: &ServeConfig) -> Result<Delivery, CliError> {
    match (config.edge.delivery, config.edge.playback_public_url.clone()) {
        (PlaybackDelivery::Proxy, None) => Ok(Delivery::Proxied),
        (PlaybackDelivery::Presigned, None) => Ok(Delivery::Presigned),
        (PlaybackDelivery::Public, Some(base)) => Ok(Delivery::Public(base)),
        (PlaybackDelivery::Public, None) => {
            let message = "--playback-delivery public: it is of no use without --playback-public-url";
            Err(CliError::usage(message))
        }
        (PlaybackDelivery::Proxy | PlaybackDelivery::Presigned, Some(_)) => {
            let message = "--playback-public-url: nobody is sent there without --playback-delivery public";
            Err(CliError::usage(message))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::testing::config;

    const S3: &str = "s3://b/p";
    const CDN: [&str; 2] = ["--playback-public-url", "https://cdn.example/p"];

    fn given(store: &str, options: &[&str]) -> ServeConfig {
        config(&[&["--store", store][..], options].concat())
    }

    #[test]
    fn buckets_are_read_in_three_ways() {
        let base = CDN[1].parse().expect("a base");
        for (options, delivery) in [
            (&[][..], Delivery::Proxied),
            (&["--playback-delivery", "proxy"], Delivery::Proxied),
            (
                &["--playback-delivery", "presigned", "--playback", "signed"],
                Delivery::Presigned,
            ),
            (
                &["--playback-delivery", "public", CDN[0], CDN[1]],
                Delivery::Public(base),
            ),
        ] {
            let config = given(S3, options);
            assert_eq!(check(&config).and_then(|()| of(&config)).ok(), Some(delivery));
        }
    }

    #[test]
    fn what_can_not_work_is_refused_by_name() {
        let (how, disk) = ("--playback-delivery", "file:///srv/reelway");
        for (store, options, named) in [
            (disk, &[how, "presigned"][..], how),
            (disk, &[how, "public", CDN[0], CDN[1]], how),
            (S3, &[how, "public"], how),
            (S3, &[how, "public", CDN[0], CDN[1], "--playback", "signed"], how),
            (S3, &CDN, CDN[0]),
            (S3, &[how, "presigned", CDN[0], CDN[1]], CDN[0]),
        ] {
            let error = check(&given(store, options)).expect_err(named);
            assert!(error.message.starts_with(named), "{options:?}: {error}");
        }
    }

    #[test]
    fn what_counts_is_where_outputs_are() {
        let (how, disk) = ("--playback-delivery", "file:///srv/reelway");
        let apart = |sources, outputs| given(sources, &[how, "presigned", "--output-store", outputs]);
        assert!(check(&apart(disk, S3)).is_ok());
        assert!(check(&apart(S3, disk)).is_err());
    }
}
