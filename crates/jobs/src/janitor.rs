//! The janitor: removes rows that nobody needs any more.

use std::time::Duration;

use reelway_catalog::{Catalog, Error};
use tokio_util::sync::CancellationToken;

use crate::trouble::Trouble;

/// How often rows are removed.
const CLEAN_EVERY: Duration = Duration::from_secs(3600);
/// How long request ids count, and how long webhooks that were delivered or given up can be looked at.
const KEPT_FOR: Duration = Duration::from_secs(7 * 24 * 3600);
/// Rows that are removed at a time, so that nobody waits for long.
const BATCH_MAX: u64 = 1000;

/// Cleans at start and every hour until `shutdown`.
pub async fn run(catalog: Catalog, shutdown: CancellationToken) {
    let mut trouble = Trouble::new("janitor");
    let janitor = async {
        loop {
            let pause = trouble.pause(clean(&catalog).await, CLEAN_EVERY);
            tokio::time::sleep(pause).await;
        }
    };
    shutdown.run_until_cancelled(janitor).await;
}

async fn clean(catalog: &Catalog) -> Result<(), Error> {
    while catalog.forget_requests(KEPT_FOR, BATCH_MAX as i64).await? == BATCH_MAX {}
    while catalog.forget_webhooks(KEPT_FOR, BATCH_MAX as i64).await? == BATCH_MAX {}
    Ok(())
}

#[cfg(test)]
mod tests {
    use reelway_catalog::RequestId;

    use super::*;
    use crate::testing::{Fixture, new_upload};

    #[tokio::test]
    async fn two_janitors_remove_what_is_old() {
        let fixture = Fixture::on_postgres().await;
        let (old, young) = (BATCH_MAX + 1, 3);
        let insert = format!(
            "INSERT INTO request_ids SELECT 'default', 'CreateUpload', n::text, '', '', 0 FROM generate_series(1, {old}) n"
        );
        fixture.database().execute(&insert);
        for number in 0..young {
            let mut new = new_upload();
            new.request = Some(RequestId {
                id: format!("young {number}"),
                method: "CreateUpload",
                request_hash: [0; 32],
            });
            fixture.create(new).await;
        }
        let another = fixture.another_catalog().await;
        let (one, two) = tokio::join!(clean(&fixture.catalog), clean(&another));
        one.unwrap();
        two.unwrap();
        assert_eq!(fixture.database().number("SELECT COUNT(*) FROM request_ids"), young);
    }
}
