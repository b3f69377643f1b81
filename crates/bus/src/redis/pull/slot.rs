//! Where a worker waits and its reader puts the wake-up.

use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::{Notify, oneshot};

use crate::Woken;

#[derive(Debug, Default)]
pub(super) struct Slot {
    seat: Mutex<Seat>,
    taken: Notify,
}

#[derive(Debug, Default)]
enum Seat {
    #[default]
    Empty,
    /// Somebody waits, or has given up waiting.
    Taken(oneshot::Sender<Woken>),
    /// There are no more wake-ups.
    Closed,
}

impl Slot {
    /// Waits for a wake-up; `None` when there are no more.
    pub(super) async fn wait(&self) -> Option<Woken> {
        let (sender, woken) = oneshot::channel();
        match &mut *self.seat() {
            Seat::Closed => return None,
            seat => *seat = Seat::Taken(sender),
        }
        self.taken.notify_one();
        woken.await.ok()
    }

    /// Returns when somebody waits.
    pub(super) async fn wanted(&self) {
        while !matches!(&*self.seat(), Seat::Taken(sender) if !sender.is_closed()) {
            self.taken.notified().await;
        }
    }

    /// Whether somebody waited and has the wake-up now.
    pub(super) fn wake(&self, woken: Woken) -> bool {
        match std::mem::take(&mut *self.seat()) {
            Seat::Taken(sender) => sender.send(woken).is_ok(),
            Seat::Empty | Seat::Closed => false,
        }
    }

    pub(super) fn close(&self) {
        *self.seat() = Seat::Closed;
    }

    fn seat(&self) -> MutexGuard<'_, Seat> {
        self.seat.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
