//! The bus within one process.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, PoisonError},
};

use reelway_domain::{Hint, Notice, Sample};
use tokio::sync::{Semaphore, broadcast};

use crate::{
    Heard, Hints, Samples, WAKES_MAX, Wakes, Woken,
    subscribe::{HINTS_WAITING_MAX, SAMPLES_WAITING_MAX},
};

#[derive(Debug, Clone)]
pub(crate) struct Local {
    hints: broadcast::Sender<Heard>,
    samples: broadcast::Sender<Sample>,
    tasks: Arc<Open>,
}

/// Ends the waiting when the bus is gone.
#[derive(Debug)]
struct Open(Arc<Tasks>);

/// Wake-ups that nobody has taken yet.
#[derive(Debug)]
struct Tasks {
    /// As many permits as there are wake-ups, given out in the order of asking.
    count: Semaphore,
    wakes: Mutex<VecDeque<Woken>>,
}

/// A worker that waits within this process.
#[derive(Debug)]
pub(crate) struct Waiting(Arc<Tasks>);

impl Default for Local {
    fn default() -> Self {
        Self {
            hints: broadcast::Sender::new(HINTS_WAITING_MAX),
            samples: broadcast::Sender::new(SAMPLES_WAITING_MAX),
            tasks: Arc::new(Open(Arc::new(Tasks {
                count: Semaphore::new(0),
                wakes: Mutex::default(),
            }))),
        }
    }
}

impl Local {
    pub(crate) fn put(&self, notice: &Notice) {
        if let Hint::Tasks { count } = notice.hint {
            for _ in 0..count.min(WAKES_MAX) {
                let trace = notice.trace.clone();
                self.tasks.0.put(Woken { trace });
            }
        } else {
            // Fails only without subscribers, and then nobody waits.
            let _ = self.hints.send(Heard::Hint(notice.hint));
        }
    }

    pub(crate) fn sample(&self, sample: Sample) {
        let _ = self.samples.send(sample);
    }

    pub(crate) fn hints(&self) -> Hints {
        Hints(self.hints.subscribe())
    }

    pub(crate) fn samples(&self) -> Samples {
        Samples(self.samples.subscribe())
    }

    pub(crate) fn wakes(&self) -> Wakes {
        Waiting(Arc::clone(&self.tasks.0)).into()
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.count.close();
    }
}

impl Tasks {
    /// One more wake-up, unless so many wait that all workers will look anyway.
    fn put(&self, woken: Woken) {
        let mut wakes = self.wakes.lock().unwrap_or_else(PoisonError::into_inner);
        if wakes.len() < WAKES_MAX as usize {
            wakes.push_back(woken);
            self.count.add_permits(1);
        }
    }
}

impl Waiting {
    pub(crate) async fn next(&mut self) -> Option<Woken> {
        self.0.count.acquire().await.ok()?.forget();
        let mut wakes = self.0.wakes.lock().unwrap_or_else(PoisonError::into_inner);
        wakes.pop_front()
    }
}
