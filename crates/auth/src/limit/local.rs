//! A limiter within the process. It forgets keys that have all their calls again, and never remembers more than a constant.

use std::{
    hash::{BuildHasher as _, RandomState},
    sync::{
        Mutex,
        atomic::{AtomicI64, Ordering},
    },
    time::{Duration, Instant},
};

use governor::{
    NotUntil, Quota, RateLimiter,
    clock::{Clock as _, MonotonicClock},
    state::keyed::DashMapStateStore,
};

use super::Rate;

/// Keys that are remembered apart from each other.
const KEYS_MAX: i64 = 65_536;
/// When there is no room for so many keys after all that can be forgotten was, it is looked again only after a while.
const ROOM_MIN: i64 = KEYS_MAX / 8;
const LOOK_AGAIN_AFTER: Duration = Duration::from_secs(1);
/// Those that find no room of their own share so many places.
const SHARED_PLACES: u64 = 4096;

/// Counts for one process.
#[derive(Debug)]
pub(super) struct Local {
    limiter: RateLimiter<u64, DashMapStateStore<u64>, MonotonicClock>,
    clock: MonotonicClock,
    /// Keys are remembered by a digest that nobody outside can choose: of the same length for all.
    digest: RandomState,
    /// How many calls may come before there can be more keys than are remembered.
    room: AtomicI64,
    /// Before this, it is of no use to look for keys that can be forgotten.
    look_from: Mutex<Option<Instant>>,
}

impl Local {
    pub(super) fn new(rate: Rate) -> Self {
        // A rate has an interval.
        let quota = rate
            .quota()
            .unwrap_or_else(|| Quota::per_second(std::num::NonZeroU32::MAX));
        Self {
            limiter: RateLimiter::new(quota, DashMapStateStore::default(), MonotonicClock),
            clock: MonotonicClock,
            digest: RandomState::new(),
            room: AtomicI64::new(KEYS_MAX),
            look_from: Mutex::default(),
        }
    }

    /// Takes one of a key's calls, or tells how long to wait for one.
    pub(super) fn take(&self, key: &str) -> Result<(), Duration> {
        let place = self.place(self.digest.hash_one(key));
        let wait = |until: NotUntil<Instant>| until.wait_time_from(self.clock.now());
        self.limiter.check_key(&place).map_err(wait)
    }

    fn place(&self, digest: u64) -> u64 {
        let is_room = self.room.fetch_sub(1, Ordering::Relaxed) > 0 || self.forget();
        if is_room { digest } else { digest % SHARED_PLACES }
    }

    /// Forgets keys that have all their calls again. Gives whether there is room then.
    fn forget(&self) -> bool {
        // Who comes while another one looks does without.
        let Ok(mut look_from) = self.look_from.try_lock() else {
            return false;
        };
        let now = self.clock.now();
        if look_from.is_some_and(|from| now < from) {
            return false;
        }
        self.limiter.retain_recent();
        let room = KEYS_MAX - i64::try_from(self.limiter.len()).unwrap_or(i64::MAX);
        *look_from = (room < ROOM_MIN).then(|| now + LOOK_AGAIN_AFTER);
        self.room.store(room, Ordering::Relaxed);
        room > 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn local(rate: &str) -> Local {
        Local::new(rate.parse().unwrap())
    }

    #[test]
    fn many_keys_take_no_more_memory_than_a_constant() {
        let local = local("1/h");
        for key in 0..3 * KEYS_MAX {
            let _ = local.take(&key.to_string());
        }
        let bound = usize::try_from(KEYS_MAX).unwrap() + usize::try_from(SHARED_PLACES).unwrap();
        assert!(local.limiter.len() <= bound, "{}", local.limiter.len());
        assert!(local.take("one more").is_err(), "strangers share what is left");
    }

    #[test]
    fn keys_that_rest_are_forgotten_and_make_room() {
        // A call is one of so many that its key has all of them again at once.
        let local = local("1000000/s");
        for key in 0..2 * KEYS_MAX {
            local.take(&key.to_string()).unwrap();
        }
        assert!(i64::try_from(local.limiter.len()).unwrap() <= KEYS_MAX);
    }
}
