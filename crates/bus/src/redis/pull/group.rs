//! The consumer group of the workers.

use std::time::Duration;

use fred::{interfaces::StreamsInterface as _, types::Value};
use uuid::Uuid;

use crate::redis::{
    entry::{self, Entry, EntryId},
    follow::BLOCK,
    session::{ANSWER_MAX, Session},
    trouble::Trouble,
};

const GROUP: &str = "workers";
/// What was read so long ago and not acknowledged belonged to somebody who is dead: acknowledging takes no time.
const UNACKNOWLEDGED_MAX: Duration = Duration::from_secs(5);
/// A consumer that did not read for so long is gone, or busy; one that comes back is made again by its next read.
const IDLE_MAX: Duration = Duration::from_secs(600);

/// One consumer of the group. Its name is never used twice, so nobody takes over what another has read.
#[derive(Debug)]
pub(in crate::redis) struct Group {
    key: String,
    consumer: String,
}

impl Group {
    pub(in crate::redis) fn new(key: String) -> Self {
        let consumer = Uuid::now_v7().to_string();
        Self { key, consumer }
    }

    pub(super) fn key(&self) -> &str {
        &self.key
    }

    /// Waits for an entry; `None` if none came for a while.
    pub(super) async fn read(&self, session: &Session) -> Result<Option<Entry>, Trouble> {
        let (group, consumer) = (GROUP, self.consumer.as_str());
        let (count, block) = (Some(1), Some(millis(BLOCK)));
        let client = &session.client;
        let read = client.xreadgroup::<Value, _, _, _, _>(group, consumer, count, block, false, self.key.as_str(), ">");
        Ok(entry::of_streams(session.ask(BLOCK + ANSWER_MAX, read).await?)?.pop())
    }

    /// Takes over an entry that somebody read and did not acknowledge.
    pub(super) async fn claim(&self, session: &Session) -> Result<Option<Entry>, Trouble> {
        let (key, consumer) = (self.key.as_str(), self.consumer.as_str());
        let idle = millis(UNACKNOWLEDGED_MAX);
        let client = &session.client;
        let claim = client.xautoclaim::<Value, _, _, _, _>(key, GROUP, consumer, idle, "0-0", Some(1), false);
        Ok(entry::of_claim(session.ask(ANSWER_MAX, claim).await?)?.pop())
    }

    /// Acknowledges an entry and removes it: nobody else has a use for it.
    pub(super) async fn forget(&self, session: &Session, id: EntryId) -> Result<(), Trouble> {
        let (key, id) = (self.key.as_str(), id.to_string());
        let acknowledge = session.client.xack::<Value, _, _, _>(key, GROUP, id.as_str());
        let delete = session.client.xdel::<Value, _, _>(key, id.as_str());
        let both = async { tokio::try_join!(acknowledge, delete) };
        session.ask(ANSWER_MAX, both).await?;
        Ok(())
    }

    /// Removes consumers that are gone. One that has something pending stays until that is claimed, or it would be lost.
    pub(in crate::redis) async fn tidy(&self, session: &Session) -> Result<(), Trouble> {
        let key = self.key.as_str();
        let list = session.client.xinfo_consumers::<Value, _, _>(key, GROUP);
        let Value::Array(consumers) = session.ask(ANSWER_MAX, list).await? else {
            return Err(Trouble::Unreadable);
        };
        for name in consumers.iter().filter_map(Self::gone) {
            let remove = session.client.xgroup_delconsumer::<Value, _, _, _>(key, GROUP, name);
            session.ask(ANSWER_MAX, remove).await?;
        }
        Ok(())
    }

    /// The name of a consumer without pending entries that has not read for long.
    pub(in crate::redis) fn gone(consumer: &Value) -> Option<&str> {
        let Value::Array(parts) = consumer else { return None };
        let part = |name| {
            parts
                .chunks_exact(2)
                .find(|pair| pair[0].as_bytes() == Some(name))
                .map(|pair| &pair[1])
        };
        let (pending, idle) = (part(b"pending")?.as_u64()?, part(b"idle")?.as_u64()?);
        let is_gone = pending == 0 && idle > millis(IDLE_MAX);
        let name = part(b"name")?.as_bytes()?;
        str::from_utf8(name).ok().filter(|_| is_gone)
    }

    /// Makes the group again if that is what is wrong. Somebody may have flushed Redis, or nobody ever waited before.
    pub(super) async fn heal(&self, session: &Session, trouble: Trouble) -> Result<(), Trouble> {
        match trouble.code() {
            Some("NOGROUP") => {}
            // The stream was removed while this waited.
            Some("UNBLOCKED") => return Ok(()),
            _ => return Err(trouble),
        }
        // From the beginning: what came while there was no group wakes somebody too.
        let create = session
            .client
            .xgroup_create::<Value, _, _, _>(self.key.as_str(), GROUP, "0", true);
        match session.ask(ANSWER_MAX, create).await {
            Err(trouble) if trouble.code() != Some("BUSYGROUP") => Err(trouble),
            _ => Ok(()),
        }
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
