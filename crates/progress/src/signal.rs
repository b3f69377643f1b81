//! Waking watchers: a flag each, never a queue.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use reelway_domain::{JobId, UploadId};
use tokio::sync::Notify;

/// What a watcher waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Key {
    Job(JobId),
    Upload(UploadId),
    Everything,
}

/// One watcher's flags.
#[derive(Debug, Default)]
struct Signal {
    notify: Notify,
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
        self.wake(self.lock().get(&key), true);
    }

    /// Something durable may have changed anywhere.
    pub(crate) fn look_everywhere(&self) {
        for signals in self.lock().values() {
            self.wake(Some(signals), true);
        }
    }

    /// What is waited for.
    pub(crate) fn keys(&self) -> Vec<Key> {
        self.lock().keys().copied().collect()
    }

    /// There is a newer sample.
    pub(crate) fn sampled(&self, key: Key) {
        self.wake(self.lock().get(&key), false);
    }

    fn wake(&self, signals: Option<&Vec<Arc<Signal>>>, look: bool) {
        for signal in signals.into_iter().flatten() {
            if look {
                signal.look.store(true, Ordering::Release);
            }
            signal.notify.notify_one();
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Key, Vec<Arc<Signal>>>> {
        // The map is whole at every moment, also where a thread panicked.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
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
}
