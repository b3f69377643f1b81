//! Waking watchers: a flag each, never a queue.

use std::{
    collections::{HashMap, HashSet},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use reelway_catalog::UploadMark;
use reelway_domain::{EventSeq, JobId, Tenant, UploadId};
use tokio::sync::Notify;

/// What a watcher waits for.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Key {
    Job(JobId),
    Upload(UploadId),
    /// All that a tenant has.
    Everything(Tenant),
}

/// How far what a key stands for has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mark {
    /// The number of the last event of a job or a tenant.
    Events(EventSeq),
    Upload(UploadMark),
    /// There is no such thing any more.
    Gone,
}

/// One watcher's flags.
#[derive(Debug, Default)]
struct Signal {
    notify: Notify,
    /// What the watcher has seen of its keys, so that only a watcher who has missed something is made to look.
    seen: Mutex<Vec<(Key, Mark)>>,
    /// Something durable may have changed, not only a sample.
    look: AtomicBool,
}

/// Who waits for what. Only what is waited for is kept.
#[derive(Debug, Default)]
pub(crate) struct Signals {
    waiting: Mutex<Waiting>,
}

#[derive(Debug, Default)]
struct Waiting {
    signals: HashMap<Key, Vec<Arc<Signal>>>,
    /// The tenants of which somebody watches everything.
    tenants: HashSet<Tenant>,
}

/// A watcher that is woken for its keys, until it is dropped.
#[derive(Debug)]
pub(crate) struct Subscription {
    signals: Arc<Signals>,
    signal: Arc<Signal>,
    keys: Vec<Key>,
}

impl Signals {
    /// Wakes from now on whoever holds the result, for the keys that it adds.
    pub(crate) fn subscribe(self: &Arc<Self>) -> Subscription {
        Subscription {
            signals: Arc::clone(self),
            signal: Arc::default(),
            keys: Vec::new(),
        }
    }

    /// Something durable may have changed.
    pub(crate) fn look(&self, key: &Key) {
        self.lock().of(key).for_each(|signal| signal.wake(true));
    }

    /// This is how far it has come: for those to look who have seen something else.
    pub(crate) fn found(&self, key: &Key, mark: Mark) {
        let waiting = self.lock();
        let behind = waiting.of(key).filter(|signal| signal.has_missed(key, mark));
        behind.for_each(|signal| signal.wake(true));
    }

    /// Something durable may have changed anywhere.
    pub(crate) fn look_everywhere(&self) {
        let waiting = self.lock();
        waiting.signals.values().flatten().for_each(|signal| signal.wake(true));
    }

    /// There is a newer sample. Whoever watches everything finds out whether it is theirs.
    pub(crate) fn sampled(&self, key: &Key) {
        let waiting = self.lock();
        waiting.of(key).for_each(|signal| signal.wake(false));
        for tenant in &waiting.tenants {
            let everything = Key::Everything(tenant.clone());
            waiting.of(&everything).for_each(|signal| signal.wake(false));
        }
    }

    /// What is waited for.
    pub(crate) fn keys(&self) -> Vec<Key> {
        self.lock().signals.keys().cloned().collect()
    }

    /// The tenants of which somebody watches everything.
    pub(crate) fn tenants(&self) -> Vec<Tenant> {
        self.lock().tenants.iter().cloned().collect()
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        // The maps are whole at every moment, also where a thread panicked.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Waiting {
    fn of(&self, key: &Key) -> impl Iterator<Item = &Arc<Signal>> {
        self.signals.get(key).into_iter().flatten()
    }

    fn add(&mut self, key: &Key, signal: Arc<Signal>) {
        if let Key::Everything(tenant) = key {
            self.tenants.insert(tenant.clone());
        }
        self.signals.entry(key.clone()).or_default().push(signal);
    }

    fn remove(&mut self, key: &Key, signal: &Arc<Signal>) {
        let Some(signals) = self.signals.get_mut(key) else {
            return;
        };
        signals.retain(|other| !Arc::ptr_eq(other, signal));
        if !signals.is_empty() {
            return;
        }
        self.signals.remove(key);
        if let Key::Everything(tenant) = key {
            self.tenants.remove(tenant);
        }
    }
}

impl Signal {
    fn wake(&self, look: bool) {
        if look {
            self.look.store(true, Ordering::Release);
        }
        self.notify.notify_one();
    }

    /// Whether the watcher has seen something else. One that has seen nothing yet is about to look anyway.
    fn has_missed(&self, key: &Key, mark: Mark) -> bool {
        self.seen().iter().any(|(of, seen)| of == key && *seen != mark)
    }

    fn seen(&self) -> MutexGuard<'_, Vec<(Key, Mark)>> {
        // The list is whole at every moment, also where a thread panicked.
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Subscription {
    /// Waits for one more key. Call it before looking at what the key stands for, or a change in between is heard of late.
    pub(crate) fn add(&mut self, key: Key) {
        if !self.keys.contains(&key) {
            self.signals.lock().add(&key, Arc::clone(&self.signal));
            self.keys.push(key);
        }
    }

    /// The watcher has seen this, or told it.
    pub(crate) fn saw(&self, key: &Key, mark: Mark) {
        let mut seen = self.signal.seen();
        match seen.iter_mut().find(|(of, _)| of == key) {
            Some(last) => last.1 = mark,
            None => seen.push((key.clone(), mark)),
        }
    }

    /// Waits to be woken; gives whether something durable may have changed.
    pub(crate) async fn woken(&self) -> bool {
        self.signal.notify.notified().await;
        self.signal.look.swap(false, Ordering::AcqRel)
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        let mut waiting = self.signals.lock();
        for key in &self.keys {
            waiting.remove(key, &self.signal);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn many_wakes_are_one_and_leave_nothing_behind() {
        let signals = Arc::new(Signals::default());
        let (job, upload) = (Key::Job(JobId::new()), Key::Upload(UploadId::new()));
        let mut subscription = signals.subscribe();
        subscription.add(job.clone());
        subscription.add(upload.clone());
        subscription.add(Key::Everything(Tenant::single()));
        for _ in 0..1_000 {
            signals.sampled(&upload);
        }
        assert!(!subscription.woken().await, "only samples");
        signals.sampled(&Key::Job(JobId::new()));
        assert!(!subscription.woken().await, "it may be of the tenant");
        signals.sampled(&upload);
        signals.look(&job);
        assert!(subscription.woken().await);
        signals.look_everywhere();
        assert!(subscription.woken().await);
        drop(subscription);
        let waiting = signals.lock();
        assert!(waiting.signals.is_empty() && waiting.tenants.is_empty());
    }

    #[tokio::test]
    async fn only_a_watcher_that_has_missed_something_is_made_to_look() {
        let signals = Arc::new(Signals::default());
        let job = Key::Job(JobId::new());
        let at = |seq| Mark::Events(EventSeq(seq));
        let (mut behind, mut abreast, mut beginning) = (signals.subscribe(), signals.subscribe(), signals.subscribe());
        beginning.add(job.clone());
        for subscription in [&mut behind, &mut abreast] {
            subscription.add(job.clone());
            subscription.saw(&job, at(1));
        }
        abreast.saw(&job, at(2));
        signals.found(&job, at(2));
        signals.sampled(&job);
        assert!(behind.woken().await, "it has seen 1 of 2 events");
        assert!(!abreast.woken().await, "only the sample");
        assert!(!beginning.woken().await, "it has not looked yet, so it will");
        signals.found(&job, Mark::Gone);
        assert!(abreast.woken().await);
    }
}
