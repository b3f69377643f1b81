//! Takes task wake-ups for a worker that waits. A task of its own reads, so that nothing is lost when the worker stops waiting
//! in the middle of a read: what comes then is passed on to the others.

mod group;
mod slot;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use reelway_domain::{Hint, Notice};
use tokio::{runtime::Handle, task::AbortHandle};
use tokio_util::sync::CancellationToken;

pub(super) use self::group::Group;
use self::slot::Slot;
use super::{
    backoff::Backoff,
    entry::{self, Entry, Malformed},
    health,
    publish::{TASKS_LEN_MAX, add},
    session::{ANSWER_MAX, Door, Session},
    trouble::Trouble,
};
use crate::Woken;

/// How often a waiting worker looks for wake-ups that others read and did not acknowledge.
const CLAIM_EVERY: Duration = Duration::from_secs(5);
/// How often a waiting worker removes consumers that are gone.
const TIDY_EVERY: Duration = Duration::from_secs(60);

/// A worker's place in the consumer group. Dropping it gives the place up.
#[derive(Debug)]
pub(crate) struct Waiting {
    slot: Arc<Slot>,
    reader: AbortHandle,
}

impl Waiting {
    pub(super) fn start(runtime: &Handle, door: Arc<Door>, key: String, ended: &CancellationToken) -> Self {
        let slot = Arc::<Slot>::default();
        let reader = Reader {
            slot: Arc::clone(&slot),
            group: Group::new(key),
            claim_at: Instant::now(),
            tidy_at: Instant::now() + TIDY_EVERY,
        };
        let (ended, closing) = (ended.clone(), Arc::clone(&slot));
        let reader = runtime.spawn(async move {
            ended.run_until_cancelled_owned(reader.run(door)).await;
            closing.close();
        });
        Self {
            slot,
            reader: reader.abort_handle(),
        }
    }

    pub(crate) async fn next(&mut self) -> Option<Woken> {
        self.slot.wait().await
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.reader.abort();
    }
}

struct Reader {
    slot: Arc<Slot>,
    group: Group,
    claim_at: Instant,
    tidy_at: Instant,
}

impl Reader {
    /// Connects when somebody waits for the first time, and again whenever somebody waits and there is no connection.
    async fn run(mut self, door: Arc<Door>) {
        let mut backoff = Backoff::default();
        loop {
            self.slot.wanted().await;
            let trouble = match door.connect().await {
                Ok(session) => self.serve(&session, &mut backoff).await,
                Err(trouble) => trouble,
            };
            health::count("wake", &trouble);
            backoff.pause().await;
        }
    }

    async fn serve(&mut self, session: &Session, backoff: &mut Backoff) -> Trouble {
        loop {
            let entry = tokio::select! {
                trouble = session.ended() => return trouble,
                () = self.slot.wanted() => self.take(session).await,
            };
            let settled = match entry {
                Ok(Some(entry)) => self.settle(session, &entry).await,
                Ok(None) => Ok(()),
                Err(trouble) => Err(trouble),
            };
            match settled {
                Ok(()) => *backoff = Backoff::default(),
                Err(trouble) => match self.group.heal(session, trouble).await {
                    Ok(()) => {}
                    Err(trouble) => return trouble,
                },
            }
        }
    }

    /// The next wake-up: one that somebody left behind, or a new one. `None` if there was none for a while.
    async fn take(&mut self, session: &Session) -> Result<Option<Entry>, Trouble> {
        let now = Instant::now();
        if self.tidy_at <= now {
            self.tidy_at = now + TIDY_EVERY;
            self.group.tidy(session).await?;
        }
        if self.claim_at <= now {
            self.claim_at = now + CLAIM_EVERY;
            if let Some(entry) = self.group.claim(session).await? {
                return Ok(Some(entry));
            }
        }
        self.group.read(session).await
    }

    /// Wakes the worker, or passes the wake-up on, and then forgets it: if this process dies in between, it is claimed.
    async fn settle(&self, session: &Session, entry: &Entry) -> Result<(), Trouble> {
        match wake_up(entry) {
            Ok(notice) => {
                let trace = notice.trace.clone();
                if !self.slot.wake(Woken { trace }) {
                    let again = add(session, self.group.key(), TASKS_LEN_MAX, entry::of_notice(&notice));
                    session.ask(ANSWER_MAX, again).await?;
                }
            }
            Err(Malformed) => health::malformed(self.group.key(), entry.id),
        }
        self.group.forget(session, entry.id).await
    }
}

fn wake_up(entry: &Entry) -> Result<Notice, Malformed> {
    let notice = entry.notice()?;
    match notice.hint {
        Hint::Tasks { .. } => Ok(notice),
        Hint::Events { .. } | Hint::Upload { .. } | Hint::Writer { .. } | Hint::WriterAsked { .. } => Err(Malformed),
    }
}
