//! Puts hints into the streams.

use fred::{error::Error, interfaces::StreamsInterface as _, types::Value};
use futures_util::future::try_join_all;
use reelway_domain::{Hint, Notice};

use super::{
    entry::{self, Fields},
    health,
    link::Link,
    session::{ANSWER_MAX, Session},
    settings::Keys,
    trouble::Trouble,
};
use crate::{BusError, WAKES_MAX};

/// Entries that are kept of task wake-ups. Many more than there are waiting workers would only make them look in vain.
pub(super) const TASKS_LEN_MAX: i64 = 1024;
/// Entries that are kept of other hints: as far as a reader may be behind.
const EVENTS_LEN_MAX: i64 = 16_384;
/// Entries that are on their way at a time.
const PIPELINED_MAX: usize = 256;

/// Publishes all of them, or says that it is not known.
pub(super) async fn publish(link: &Link, keys: &Keys, notices: &[Notice]) -> Result<(), BusError> {
    match deliver(link, keys, notices).await {
        Ok(()) => {
            link.health().accepts();
            metrics::counter!("reelway_bus_published_total").increment(notices.len() as u64);
            Ok(())
        }
        Err(trouble) => {
            link.health().fails(&trouble);
            health::count("publish", &trouble);
            Err(trouble.into())
        }
    }
}

async fn deliver(link: &Link, keys: &Keys, notices: &[Notice]) -> Result<(), Trouble> {
    let session = link.session().await?;
    let entries: Vec<_> = notices.iter().flat_map(|notice| entries(keys, notice)).collect();
    let sent = async {
        for batch in entries.chunks(PIPELINED_MAX) {
            // Written one behind the other before the first is answered.
            try_join_all(
                batch
                    .iter()
                    .map(|(key, len_max, fields)| add(&session, key, *len_max, fields.clone())),
            )
            .await?;
        }
        Ok(())
    };
    session.ask(ANSWER_MAX, sent).await
}

/// Where a notice goes: the stream, its length, and the entry, as often as it is to be there.
fn entries<'a>(keys: &'a Keys, notice: &Notice) -> impl Iterator<Item = (&'a str, i64, Fields)> + use<'a> {
    let (key, len_max, count) = match notice.hint {
        Hint::Tasks { count } => (keys.tasks.as_str(), TASKS_LEN_MAX, count.min(WAKES_MAX)),
        Hint::Events { .. } | Hint::Upload { .. } | Hint::Writer { .. } | Hint::WriterAsked { .. } => {
            (keys.events.as_str(), EVENTS_LEN_MAX, 1)
        }
    };
    let fields = entry::of_notice(notice);
    (0..count).map(move |_| (key, len_max, fields.clone()))
}

/// Adds an entry to a stream of about this length.
pub(super) async fn add(session: &Session, key: &str, len_max: i64, fields: Fields) -> Result<(), Error> {
    let cap = ("MAXLEN", "~", len_max);
    session
        .client
        .xadd::<Value, _, _, _, _>(key, false, cap, "*", fields)
        .await?;
    Ok(())
}
