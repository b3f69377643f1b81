//! A bus to test, and what tests say over it.

use std::time::Duration;

use reelway_domain::{Hint, JobId, Notice, TraceContext, UploadId};
use reelway_testkit::Redis;
use tokio::time::timeout;

use crate::{Bus, Heard, Hints, RedisSettings};

/// Longer than anything takes that works.
const COMES_WITHIN: Duration = Duration::from_secs(20);

/// A bus with the server behind it.
pub(crate) struct Case {
    pub(crate) bus: Bus,
    redis: Option<Redis>,
}

impl Case {
    pub(crate) fn local() -> Self {
        Self {
            bus: Bus::default(),
            redis: None,
        }
    }

    pub(crate) async fn redis() -> Self {
        let redis = Redis::start().await;
        Self {
            bus: Bus::redis(RedisSettings::new(redis.url())).unwrap(),
            redis: Some(redis),
        }
    }

    /// The same bus in another process, if it reaches there.
    pub(crate) fn elsewhere(&self) -> Bus {
        match &self.redis {
            None => self.bus.clone(),
            Some(redis) => Bus::redis(RedisSettings::new(redis.url())).unwrap(),
        }
    }
}

/// Subscribes and waits until everything that is published is heard.
pub(crate) async fn subscribe(bus: &Bus) -> Hints {
    let mut hints = bus.hints();
    loop {
        let mark = Hint::Upload {
            upload: UploadId::new(),
        };
        bus.publish(&[mark.into()]).await.unwrap();
        // A reader that has just begun says so, and may have missed the mark.
        while let Some(heard) = comes(hints.next()).await {
            match heard {
                Heard::Lost => break,
                Heard::Hint(hint) if hint == mark => return hints,
                Heard::Hint(_) => {}
            }
        }
    }
}

/// The next job that has events; `None` if something was lost before. Marks of other subscribers are passed over.
pub(crate) async fn next_job(hints: &mut Hints) -> Option<JobId> {
    loop {
        match comes(hints.next()).await.expect("the bus is there") {
            Heard::Hint(Hint::Events { job }) => return Some(job),
            Heard::Hint(_) => {}
            Heard::Lost => return None,
        }
    }
}

/// What a future comes to, which must be soon.
pub(crate) async fn comes<T>(future: impl Future<Output = T>) -> T {
    timeout(COMES_WITHIN, future).await.expect("it comes within seconds")
}

pub(crate) fn job() -> JobId {
    JobId::new()
}

pub(crate) fn notice(job: JobId) -> Notice {
    Hint::Events { job }.into()
}

/// A trace of which this is the number.
pub(crate) fn trace(number: u8) -> TraceContext {
    format!("00-0af7651916cd43dd8448eb211c8031{number:02x}-b7ad6b7169203331-01")
        .parse()
        .unwrap()
}

/// So many tasks became claimable.
pub(crate) fn tasks(count: u32, number: u8) -> Notice {
    Notice {
        hint: Hint::Tasks { count },
        trace: Some(trace(number)),
    }
}
