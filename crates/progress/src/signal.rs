//! Waking watchers: a flag each, never a queue.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use reelway_catalog::UploadMark;
use reelway_domain::{EventSeq, JobId, UploadId};
use tokio::sync::Notify;

/// What a watcher waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Key {
    Job(JobId),
    Upload(UploadId),
    Everything,
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
    waiting: Mutex<HashMap<Key, Vec<Arc<Signal>>>>,
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
    pub(crate) fn look(&self, key: Key) {
        self.lock()
            .get(&key)
            .into_iter()
            .flatten()
            .for_each(|signal| signal.wake(true));
    }

    /// This is how far it has come: for those to look who have seen something else.
    pub(crate) fn found(&self, key: Key, mark: Mark) {
        for signal in self.lock().get(&key).into_iter().flatten() {
            if signal.has_missed(key, mark) {
                signal.wake(true);
            }
        }
    }

    /// Something durable may have changed anywhere.
    pub(crate) fn look_everywhere(&self) {
        self.lock().values().flatten().for_each(|signal| signal.wake(true));
    }

    /// What is waited for.
    pub(crate) fn keys(&self) -> Vec<Key> {
        self.lock().keys().copied().collect()
    }

    /// There is a newer sample.
    pub(crate) fn sampled(&self, key: Key) {
        self.lock()
            .get(&key)
            .into_iter()
            .flatten()
            .for_each(|signal| signal.wake(false));
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Key, Vec<Arc<Signal>>>> {
        // The map is whole at every moment, also where a thread panicked.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
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
    fn has_missed(&self, key: Key, mark: Mark) -> bool {
        self.seen().iter().any(|(of, last)| *of == key && *last != mark)
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
            self.signals
                .lock()
                .entry(key)
                .or_default()
                .push(Arc::clone(&self.signal));
            self.keys.push(key);
        }
    }

    /// The watcher has seen this, or told it.
    pub(crate) fn saw(&self, key: Key, mark: Mark) {
        let mut seen = self.signal.seen();
        match seen.iter_mut().find(|(of, _)| *of == key) {
            Some(last) => last.1 = mark,
            None => seen.push((key, mark)),
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
            if let Some(signals) = waiting.get_mut(key) {
                signals.retain(|signal| !Arc::ptr_eq(signal, &self.signal));
                if signals.is_empty() {
                    waiting.remove(key);
                }
            }
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
        subscription.add(job);
        subscription.add(upload);
        for _ in 0..1_000 {
            signals.sampled(upload);
        }
        assert!(!subscription.woken().await, "only samples");
        signals.sampled(upload);
        signals.look(job);
        assert!(subscription.woken().await);
        signals.look(Key::Everything);
        signals.look_everywhere();
        assert!(subscription.woken().await);
        drop(subscription);
        assert!(signals.lock().is_empty());
    }

    #[tokio::test]
    async fn only_a_watcher_that_has_missed_something_is_made_to_look() {
        let signals = Arc::new(Signals::default());
        let job = Key::Job(JobId::new());
        let at = |seq| Mark::Events(EventSeq(seq));
        let (mut behind, mut abreast, mut beginning) = (signals.subscribe(), signals.subscribe(), signals.subscribe());
        beginning.add(job);
        for subscription in [&mut behind, &mut abreast] {
            subscription.add(job);
            subscription.saw(job, at(1));
        }
        abreast.saw(job, at(2));
        signals.found(job, at(2));
        signals.sampled(job);
        assert!(behind.woken().await, "it has seen 1 of 2 events");
        assert!(!abreast.woken().await, "only the sample");
        assert!(!beginning.woken().await, "it has not looked yet, so it will");
        signals.found(job, Mark::Gone);
        assert!(abreast.woken().await);
    }
}
