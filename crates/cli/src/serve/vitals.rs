//! Whether a process can do its work: what it depends on is looked at from time to time, and probes are answered from what
//! was seen last.

use std::{fmt, time::Duration};

use reelway_blob::Stores;
use reelway_catalog::Catalog;
use reelway_edge::Readiness;
use tokio::{
    sync::watch,
    time::{Instant, sleep, sleep_until, timeout},
};
use tokio_util::sync::CancellationToken;

/// How often the catalog is asked for a trivial answer.
const CATALOG_EVERY: Duration = Duration::from_secs(2);
/// A catalog that needs longer is away.
const CATALOG_ANSWER_MAX: Duration = Duration::from_secs(2);
/// How often the store is tried.
const STORE_EVERY: Duration = Duration::from_secs(10);
/// A store that needs longer is broken.
const STORE_ANSWER_MAX: Duration = Duration::from_secs(5);
/// A first failure may be a hiccup: it is looked at again after so long before anybody hears of it.
const SECOND_LOOK_AFTER: Duration = Duration::from_millis(500);

/// Why a process that is well is not ready.
const DRAINING: &str = "draining";

/// What something in this process depends on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    /// The database.
    Catalog,
    /// The tables in it.
    Schema,
    /// Where bytes are kept.
    Store,
}

impl Part {
    fn name(self) -> &'static str {
        match self {
            Self::Catalog => "catalog",
            Self::Schema => "schema",
            Self::Store => "store",
        }
    }
}

/// What was seen last. Clones are the same.
#[derive(Debug, Clone)]
pub(super) struct Vitals {
    readiness: watch::Sender<Readiness>,
    /// Ready, as far as those are concerned who don't need the store.
    without_store: watch::Sender<bool>,
    /// Ready, as far as those are concerned who need the store too.
    with_store: watch::Sender<bool>,
}

impl Vitals {
    /// Nothing is started yet.
    pub(super) fn new() -> Self {
        let vitals = Self {
            readiness: watch::Sender::default(),
            without_store: watch::Sender::default(),
            with_store: watch::Sender::default(),
        };
        vitals.change(|_| {});
        vitals
    }

    /// Readiness of the whole process.
    pub(super) fn readiness(&self) -> watch::Receiver<Readiness> {
        self.readiness.subscribe()
    }

    /// Readiness of a part of it.
    pub(super) fn ready(&self, uses_store: bool) -> watch::Receiver<bool> {
        if uses_store {
            self.with_store.subscribe()
        } else {
            self.without_store.subscribe()
        }
    }

    /// Everything is put together.
    pub(super) fn started(&self) {
        self.change(|now| now.is_started = true);
    }

    /// A part is well.
    pub(super) fn well(&self, part: Part) {
        if self.readiness.borrow().problems.contains_key(part.name()) {
            tracing::info!(part = part.name(), "well again");
        }
        self.change(|now| {
            now.problems.remove(part.name());
        });
        gauge(part, true);
    }

    /// Something is wrong with a part. It is logged when it changes.
    pub(super) fn wrong(&self, part: Part, what: impl fmt::Display) {
        let what = what.to_string();
        if self.readiness.borrow().problems.get(part.name()) != Some(&what) {
            tracing::warn!(part = part.name(), what, "not ready");
        }
        self.change(|now| {
            now.problems.insert(part.name(), what);
        });
        gauge(part, false);
    }

    fn change(&self, change: impl FnOnce(&mut Readiness)) {
        self.readiness.send_modify(change);
        let now = self.readiness.borrow();
        let mut others = now.problems.keys().filter(|name| **name != Part::Store.name());
        let differs = |to: bool| move |is: &mut bool| std::mem::replace(is, to) != to;
        self.without_store
            .send_if_modified(differs(now.is_started && others.next().is_none()));
        self.with_store.send_if_modified(differs(now.is_ready()));
        metrics::gauge!("reelway_ready").set(f64::from(u8::from(now.is_ready())));
    }

    /// Looks at the catalog until `shutdown`.
    pub(super) async fn watch_catalog(self, catalog: Catalog, shutdown: CancellationToken) {
        let look = || async {
            let connections = catalog.connections();
            let used = connections.open.saturating_sub(connections.idle);
            metrics::gauge!("reelway_database_connections", "state" => "used").set(used);
            metrics::gauge!("reelway_database_connections", "state" => "idle").set(connections.idle);
            let answer = timed(Part::Catalog, timeout(CATALOG_ANSWER_MAX, catalog.ping())).await;
            told(answer, "the database does not answer")
        };
        shutdown
            .run_until_cancelled(self.watch(Part::Catalog, CATALOG_EVERY, look))
            .await;
    }

    /// Looks at the stores until `shutdown`.
    pub(super) async fn watch_stores(self, stores: Stores, shutdown: CancellationToken) {
        let look = || async {
            let answer = timed(Part::Store, timeout(STORE_ANSWER_MAX, stores.check())).await;
            if let Ok(Ok(Some(bytes))) = timeout(STORE_ANSWER_MAX, stores.free_bytes()).await {
                free(bytes);
            }
            told(answer, "the store does not answer")
        };
        shutdown
            .run_until_cancelled(self.watch(Part::Store, STORE_EVERY, look))
            .await;
    }

    async fn watch<L: Future<Output = Result<(), String>>>(&self, part: Part, every: Duration, look: impl Fn() -> L) {
        loop {
            let next = Instant::now() + every;
            let mut seen = look().await;
            if seen.is_err() && !self.readiness.borrow().problems.contains_key(part.name()) {
                sleep(SECOND_LOOK_AFTER).await;
                seen = look().await;
            }
            match seen {
                Ok(()) => self.well(part),
                Err(what) => self.wrong(part, what),
            }
            sleep_until(next).await;
        }
    }

    /// Says that no new work is wanted.
    pub(super) fn draining(&self) {
        self.change(|now| {
            now.problems.insert(DRAINING, "the process is about to stop".to_owned());
        });
    }
}

fn told<E: fmt::Display>(
    answer: Result<Result<(), E>, tokio::time::error::Elapsed>,
    silence: &str,
) -> Result<(), String> {
    match answer {
        Ok(Ok(())) => Ok(()),
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => Err(silence.to_owned()),
    }
}

fn gauge(part: Part, is_up: bool) {
    if matches!(part, Part::Catalog | Part::Store) {
        metrics::gauge!("reelway_dependency_up", "dependency" => part.name()).set(f64::from(u8::from(is_up)));
    }
}

/// Measures how long a look takes.
async fn timed<T>(part: Part, look: impl Future<Output = T>) -> T {
    let begun = Instant::now();
    let seen = look.await;
    let took = begun.elapsed().as_secs_f64();
    metrics::histogram!("reelway_dependency_check_seconds", "dependency" => part.name()).record(took);
    seen
}

#[expect(
    clippy::cast_precision_loss,
    reason = "a disk of 2^53 bytes may be told a little wrong"
)]
fn free(bytes: u64) {
    metrics::gauge!("reelway_store_free_bytes").set(bytes as f64);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_broken_store_concerns_those_who_use_it() {
        let vitals = Vitals::new();
        let (with, without) = (vitals.ready(true), vitals.ready(false));
        assert!(!*with.borrow() && !*without.borrow(), "nothing has started");
        vitals.started();
        assert!(*with.borrow() && *without.borrow());
        vitals.wrong(Part::Store, "full");
        assert!(!*with.borrow() && *without.borrow());
        assert_eq!(vitals.readiness().borrow().problems["store"], "full");
        vitals.wrong(Part::Catalog, "away");
        vitals.well(Part::Store);
        assert!(!*with.borrow() && !*without.borrow());
        vitals.well(Part::Catalog);
        assert!(*with.borrow() && vitals.readiness().borrow().is_ready());
    }

    #[tokio::test(start_paused = true)]
    async fn a_hiccup_is_looked_at_again_before_anybody_hears() {
        let vitals = Vitals::new();
        vitals.started();
        let mut ready = vitals.ready(false);
        let looks = std::sync::atomic::AtomicU32::new(0);
        // Fails once, then is well, then stays broken.
        let look = || {
            std::future::ready(match looks.fetch_add(1, std::sync::atomic::Ordering::Relaxed) {
                0 | 3.. => Err("away".to_owned()),
                _ => Ok(()),
            })
        };
        let begun = Instant::now();
        ready.mark_unchanged();
        tokio::select! {
            () = vitals.watch(Part::Catalog, CATALOG_EVERY, look) => {}
            changed = ready.changed() => changed.expect("it lives"),
        }
        assert!(!*ready.borrow());
        assert_eq!(begun.elapsed(), 2 * CATALOG_EVERY + SECOND_LOOK_AFTER);
    }
}
