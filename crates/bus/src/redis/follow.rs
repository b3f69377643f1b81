//! Follows a stream from its end, for all subscribers of this process.

use std::{sync::Arc, time::Duration};

use fred::{interfaces::StreamsInterface as _, types::Value};
use reelway_domain::{Hint, Sample};
use tokio::sync::broadcast;

use super::{
    backoff::Backoff,
    entry::{self, Entry, EntryId, Malformed},
    health,
    session::{ANSWER_MAX, Door, Session},
    trouble::Trouble,
};
use crate::Heard;

/// How long Redis waits for a new entry before it answers without. Then the reader sees whether its place still exists.
pub(super) const BLOCK: Duration = Duration::from_secs(2);
/// Entries that are read at a time.
const BATCH_MAX: u64 = 512;

/// Who listens.
pub(super) trait Audience {
    fn hear(&self, entry: &Entry) -> Result<(), Malformed>;
    /// Entries may have gone by.
    fn lose(&self);
}

impl Audience for broadcast::Sender<Heard> {
    fn hear(&self, entry: &Entry) -> Result<(), Malformed> {
        match entry.notice()?.hint {
            Hint::Tasks { .. } => Err(Malformed),
            hint => {
                // Fails only without subscribers, and then nobody waits.
                let _ = self.send(Heard::Hint(hint));
                Ok(())
            }
        }
    }

    fn lose(&self) {
        let _ = self.send(Heard::Lost);
    }
}

impl Audience for broadcast::Sender<Sample> {
    fn hear(&self, entry: &Entry) -> Result<(), Malformed> {
        for sample in entry.samples()? {
            let _ = self.send(sample);
        }
        Ok(())
    }

    fn lose(&self) {
        // The next sample tells more.
    }
}

/// Follows as long as it is polled.
pub(super) async fn run(door: Arc<Door>, key: String, audience: impl Audience) {
    let mut backoff = Backoff::default();
    loop {
        let trouble = match door.connect().await {
            Ok(session) => {
                let follow = Follow {
                    session,
                    key: &key,
                    audience: &audience,
                };
                let Err(trouble) = follow.run(&mut backoff).await;
                trouble
            }
            Err(trouble) => trouble,
        };
        health::count("follow", &trouble);
        backoff.pause().await;
    }
}

/// One reader on one connection.
pub(super) struct Follow<'a, A> {
    pub(super) session: Session,
    pub(super) key: &'a str,
    pub(super) audience: &'a A,
}

impl<A: Audience> Follow<'_, A> {
    /// From the end to wherever the place is lost, again and again until the connection ends.
    async fn run(&self, backoff: &mut Backoff) -> Result<std::convert::Infallible, Trouble> {
        loop {
            // First the place, then the word: whoever looks after it misses nothing.
            let end = self.end().await?;
            *backoff = Backoff::default();
            self.audience.lose();
            self.read_on(end).await?;
        }
    }

    /// Reads until the place is lost.
    pub(super) async fn read_on(&self, mut place: EntryId) -> Result<(), Trouble> {
        loop {
            let entries = self.read(place).await?;
            for entry in &entries {
                if self.audience.hear(entry).is_err() {
                    health::malformed(self.key, entry.id);
                }
            }
            let is_lost = match entries.last() {
                Some(last) => {
                    let before = std::mem::replace(&mut place, last.id);
                    self.was_trimmed(before).await?
                }
                // The ids went back: the stream was flushed, or another server has taken over whose clock is behind.
                None => self.end().await? < place,
            };
            if is_lost {
                tracing::debug!(key = self.key, "lost the place in the stream");
                return Ok(());
            }
        }
    }

    async fn read(&self, place: EntryId) -> Result<Vec<Entry>, Trouble> {
        let block = u64::try_from(BLOCK.as_millis()).unwrap_or(u64::MAX);
        let id = place.to_string();
        let read = self
            .session
            .client
            .xread::<Value, _, _>(Some(BATCH_MAX), Some(block), self.key, id);
        entry::of_streams(self.session.ask(BLOCK + ANSWER_MAX, read).await?)
    }

    /// Whether the entry at this place is gone, and with it perhaps entries behind it that were not read.
    async fn was_trimmed(&self, place: EntryId) -> Result<bool, Trouble> {
        if place == EntryId::default() {
            // The stream was empty, so there was no entry.
            return Ok(false);
        }
        let range = self
            .session
            .client
            .xrange::<Value, _, _, _>(self.key, "-", "+", Some(1));
        let oldest = entry::of_list(self.session.ask(ANSWER_MAX, range).await?)?;
        Ok(oldest.first().is_none_or(|oldest| place < oldest.id))
    }

    /// The newest entry's place; the beginning if there is none.
    async fn end(&self) -> Result<EntryId, Trouble> {
        let range = self
            .session
            .client
            .xrevrange::<Value, _, _, _>(self.key, "+", "-", Some(1));
        let newest = entry::of_list(self.session.ask(ANSWER_MAX, range).await?)?;
        Ok(newest.first().map(|newest| newest.id).unwrap_or_default())
    }
}
