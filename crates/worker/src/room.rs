//! How much of a worker's memory its tasks take, by estimate: what doesn't fit beside the others waits until they end, or goes to
//! another worker. A worker that does nothing takes anything, or a task that is larger than every worker would wait for ever.

use tokio::sync::watch;

/// The room of one worker.
#[derive(Debug)]
pub(crate) struct Room {
    /// What tasks may take together, in MiB; `None`: any.
    memory_mib: Option<i64>,
    load: watch::Sender<Load>,
}

/// What the running tasks take.
#[derive(Debug, Clone, Copy, Default)]
struct Load {
    tasks: usize,
    memory_mib: i64,
}

/// How much may be claimed at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Space {
    /// How many tasks at most.
    pub(crate) tasks_max: usize,
    /// What they may take together, in MiB; `None`: any.
    pub(crate) memory_mib_max: Option<i64>,
}

/// What one task takes, until it is dropped.
#[derive(Debug)]
pub(crate) struct Taken {
    memory_mib: i64,
    load: watch::Sender<Load>,
}

impl Room {
    pub(crate) fn new(memory_mib: Option<i64>) -> Self {
        Self {
            memory_mib,
            load: watch::Sender::default(),
        }
    }

    /// What fits beside the running tasks into so many free slots.
    pub(crate) fn space(&self, slots: usize) -> Space {
        let load = *self.load.borrow();
        match self.memory_mib {
            // The first may be of any size, so it comes alone.
            Some(_) if load.tasks == 0 => Space {
                tasks_max: 1,
                memory_mib_max: None,
            },
            limit => Space {
                tasks_max: slots,
                memory_mib_max: limit.map(|limit| (limit - load.memory_mib).max(0)),
            },
        }
    }

    /// A task begins.
    pub(crate) fn take(&self, memory_mib: i64) -> Taken {
        self.load.send_modify(|load| {
            load.tasks += 1;
            load.memory_mib = load.memory_mib.saturating_add(memory_mib);
        });
        Taken {
            memory_mib,
            load: self.load.clone(),
        }
    }

    /// Hears of every task that begins or ends from now on, if that changes what fits.
    pub(crate) fn changes(&self) -> Changes {
        Changes(self.memory_mib.map(|_| self.load.subscribe()))
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        self.load.send_modify(|load| {
            load.tasks -= 1;
            load.memory_mib -= self.memory_mib;
        });
    }
}

/// What happens in a room; nothing that matters if its memory has no limit.
#[derive(Debug)]
pub(crate) struct Changes(Option<watch::Receiver<Load>>);

impl Changes {
    /// Waits until something has happened since this was made.
    pub(crate) async fn next(&mut self) {
        let Some(load) = &mut self.0 else {
            return std::future::pending().await;
        };
        // The room outlives all who listen.
        if load.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn space(tasks_max: usize, memory_mib_max: impl Into<Option<i64>>) -> Space {
        Space {
            tasks_max,
            memory_mib_max: memory_mib_max.into(),
        }
    }

    #[tokio::test]
    async fn what_runs_leaves_the_rest() {
        let room = Room::new(Some(1000));
        assert_eq!(room.space(4), space(1, None), "an idle worker takes anything");
        let heavy = room.take(700);
        assert_eq!(room.space(3), space(3, 300));
        let light = room.take(500);
        assert_eq!(room.space(2), space(2, 0), "an estimate may be exceeded");
        let mut changes = room.changes();
        drop(heavy);
        changes.next().await;
        assert_eq!(room.space(3), space(3, 500));
        drop(light);
        assert_eq!(room.space(4), space(1, None));
    }

    #[test]
    fn without_a_limit_only_slots_count() {
        let room = Room::new(None);
        let _running = room.take(1 << 40);
        assert_eq!(room.space(4), space(4, None));
        assert!(room.changes().0.is_none());
    }
}
