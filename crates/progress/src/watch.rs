//! One watch: what it tells next. It is asked for one message at a time, so a client that reads slowly is told less often,
//! never more than it can take.

use std::{collections::VecDeque, ops::RangeInclusive, sync::Arc};

use reelway::v1::{self, watch_progress_response::Message};
use reelway_catalog::Catalog;
use reelway_domain::{Failure, JobEvent, Reason, Tenant};
use reelway_rpc::{PlaybackUrls, convert::job_event};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::{
    Hub, Pace,
    everything::Everything,
    one::One,
    signal::{Key, Mark, Subscription},
    target::Target,
    token::{self, Position},
};

/// Events that are read at a time. A watch with so many to tell is far behind, and gets a fresh snapshot before them.
const EVENTS_READ_MAX: i64 = 256;

/// The part of the longest life that a watch lasts, so that those who began together don't come back together.
const LIFE_SHARE: RangeInclusive<f64> = 0.75..=1.0;

/// Where the watches of a caller get to know things, and whose.
#[derive(Debug, Clone)]
pub(crate) struct Sources {
    pub(crate) catalog: Catalog,
    pub(crate) hub: Arc<Hub>,
    pub(crate) urls: PlaybackUrls,
    pub(crate) tenant: Tenant,
}

/// What comes when every event is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rest {
    /// More may come.
    Live,
    /// One more snapshot, then the end.
    Snapshot,
    /// Nothing comes any more.
    Ended,
}

#[derive(Debug)]
enum Subject {
    One(One),
    Everything(Everything),
}

/// One watch. Whatever is due is a flag or one of a bounded number of things, so its memory doesn't grow with what
/// happens.
#[derive(Debug)]
pub(crate) struct Watch {
    sources: Sources,
    pace: Pace,
    shutdown: CancellationToken,
    target: Target,
    subject: Subject,
    subscription: Subscription,
    events: VecDeque<JobEvent>,
    samples: VecDeque<v1::Progress>,
    snapshot_is_due: bool,
    look_is_due: bool,
    sample_is_due: bool,
    /// The last look found all that there was.
    is_caught_up: bool,
    sample_at: Instant,
    bookmark_at: Instant,
    /// Here it ends, to be begun again.
    until: Instant,
}

impl Watch {
    /// Begins a watch.
    ///
    /// # Errors
    /// `RESUME_TOKEN_INVALID`, `UPLOAD_NOT_FOUND` or `JOB_NOT_FOUND`, or what the catalog fails with.
    pub(crate) async fn open(
        sources: Sources,
        pace: Pace,
        shutdown: CancellationToken,
        target: Target,
        resume_token: &[u8],
    ) -> Result<Self, Failure> {
        let resume = token::decode(&sources.tenant, target, resume_token)?;
        let mut subscription = sources.hub.subscribe();
        let subject = match target {
            Target::One(single) => Subject::One(One::open(&sources, single, resume, &mut subscription).await?),
            Target::Everything => {
                let key = Key::Everything(sources.tenant.clone());
                subscription.add(key.clone());
                let everything = Everything::open(&sources, resume).await?;
                // Hints wake it only by what it has seen, and one may come between its first look and its first wait.
                subscription.saw(&key, Mark::Events(everything.position().seq));
                Subject::Everything(everything)
            }
        };
        let now = Instant::now();
        Ok(Self {
            sources,
            pace,
            shutdown,
            target,
            subject,
            subscription,
            events: VecDeque::new(),
            samples: VecDeque::new(),
            snapshot_is_due: true,
            look_is_due: true,
            sample_is_due: false,
            // The first snapshot is due anyway, however far behind this is.
            is_caught_up: false,
            sample_at: now,
            bookmark_at: now + pace.bookmark_every,
            until: now + pace.watch_max.mul_f64(rand::random_range(LIFE_SHARE)),
        })
    }

    /// Waits for the next message; `None` at the end.
    ///
    /// # Errors
    /// `SHUTTING_DOWN`, `SERVICE_UNAVAILABLE` if it has lasted long enough, `JOB_NOT_FOUND` if the job was deleted, or what the
    /// catalog fails with. The watch has ended then.
    pub(crate) async fn next(&mut self) -> Result<Option<v1::WatchProgressResponse>, Failure> {
        loop {
            if self.shutdown.is_cancelled() {
                return Err(Failure::new(
                    Reason::ShuttingDown,
                    "the server is going down; watch again with the last resume token",
                ));
            }
            if Instant::now() >= self.until {
                let message = "so old a watch ends, for its caller to show again who it is; watch again with the last resume token";
                return Err(Failure::new(Reason::ServiceUnavailable, message));
            }
            if self.snapshot_is_due {
                self.snapshot_is_due = false;
                let snapshot = self.snapshot().await?;
                if matches!(&self.subject, Subject::One(one) if one.is_abreast()) {
                    (self.look_is_due, self.is_caught_up) = (false, true);
                }
                return Ok(Some(self.message(Message::Snapshot(snapshot))));
            }
            if let Some(message) = self.at_hand() {
                return Ok(Some(message));
            }
            if self.look_is_due {
                if self.look().await? == Rest::Ended {
                    return Ok(None);
                }
                continue;
            }
            let now = Instant::now();
            if self.sample_is_due && now >= self.sample_at {
                self.take_samples().await?;
                self.sample_at = now + self.pace.sample_every;
                continue;
            }
            if now >= self.bookmark_at {
                return Ok(Some(self.message(Message::Bookmark(v1::Bookmark {}))));
            }
            self.wait().await;
        }
    }

    /// The next message, if there is nothing to ask or to wait for.
    pub(crate) fn at_hand(&mut self) -> Option<v1::WatchProgressResponse> {
        if self.snapshot_is_due {
            return None;
        }
        if let Some(event) = self.events.pop_front() {
            return Some(self.tell(&event));
        }
        if self.look_is_due {
            return None;
        }
        let sample = self.samples.pop_front()?;
        Some(self.message(Message::Sample(sample)))
    }

    /// Waits until something may be due.
    async fn wait(&mut self) {
        match &self.subject {
            Subject::One(one) => one.seen().for_each(|(key, mark)| self.subscription.saw(&key, mark)),
            Subject::Everything(everything) => {
                let mark = Mark::Events(everything.position().seq);
                let key = Key::Everything(self.sources.tenant.clone());
                self.subscription.saw(&key, mark);
            }
        }
        let mut until = self.bookmark_at.min(self.until);
        if self.sample_is_due {
            until = until.min(self.sample_at);
        }
        tokio::select! {
            () = self.shutdown.cancelled() => {}
            look = self.subscription.woken() => {
                self.look_is_due |= look;
                self.sample_is_due = true;
            }
            () = tokio::time::sleep_until(until) => {}
        }
    }

    async fn snapshot(&mut self) -> Result<v1::ProgressSnapshot, Failure> {
        match &mut self.subject {
            Subject::One(one) => Ok(v1::ProgressSnapshot {
                entries: vec![one.snapshot(&self.sources).await?],
                truncated: false,
            }),
            Subject::Everything(everything) => everything.snapshot(&self.sources).await,
        }
    }

    /// Reads the events that are to be told next, or finds that there are none.
    async fn look(&mut self) -> Result<Rest, Failure> {
        let events = match &self.subject {
            Subject::One(one) => one.events(&self.sources, EVENTS_READ_MAX).await?,
            Subject::Everything(everything) => everything.events(&self.sources, EVENTS_READ_MAX).await?,
        };
        let is_full = i64::try_from(events.len()).is_ok_and(|count| count >= EVENTS_READ_MAX);
        self.snapshot_is_due = is_full && self.is_caught_up;
        self.is_caught_up = !is_full;
        self.look_is_due = is_full;
        self.events = events.into();
        if !self.events.is_empty() {
            self.sample_is_due = true;
            return Ok(Rest::Live);
        }
        let rest = match &mut self.subject {
            Subject::One(one) => one.rest(&self.sources).await?,
            Subject::Everything(_) => Rest::Live,
        };
        if rest == Rest::Snapshot {
            self.snapshot_is_due = true;
            self.look_is_due = true;
        }
        Ok(rest)
    }

    fn tell(&mut self, event: &JobEvent) -> v1::WatchProgressResponse {
        match &mut self.subject {
            // A terminal event is the last, unless somebody has retried the job: look before saying so.
            Subject::One(one) => self.look_is_due |= one.tell(event),
            Subject::Everything(everything) => everything.tell(&self.sources, event),
        }
        self.message(Message::Event(job_event(event, &self.sources.urls)))
    }

    async fn take_samples(&mut self) -> Result<(), Failure> {
        match &mut self.subject {
            Subject::One(one) => {
                self.samples.extend(one.sample(&self.sources).await?);
                self.sample_is_due = false;
            }
            Subject::Everything(everything) => {
                let (samples, more) = everything.samples(&self.sources).await?;
                self.samples.extend(samples);
                self.sample_is_due = more;
            }
        }
        Ok(())
    }

    fn message(&mut self, message: Message) -> v1::WatchProgressResponse {
        self.bookmark_at = Instant::now() + self.pace.bookmark_every;
        v1::WatchProgressResponse {
            message: Some(message),
            resume_token: token::encode(&self.sources.tenant, self.target, self.position()),
        }
    }

    fn position(&self) -> Position {
        match &self.subject {
            Subject::One(one) => one.position(),
            Subject::Everything(everything) => everything.position(),
        }
    }
}
