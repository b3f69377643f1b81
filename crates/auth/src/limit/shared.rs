//! A limiter in Redis, for all processes of a deployment.

use std::{
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use reelway_bus::{BusError, Script, Scripts};

use super::{Local, Rate, RateBy};

/// How long an answer of Redis is waited for.
const ANSWER_MAX: Duration = Duration::from_millis(50);
/// After it gave none, so long nobody waits for one.
const PAUSE: Duration = Duration::from_secs(1);

/// The key holds the time at which all calls so far would have come if they had come evenly, in microseconds by Redis's clock. It
/// goes when that is over. A time that is too far off, because the clock went back or the limit was another, counts as the
/// farthest that can be.
const TAKE: &str = r"
local interval, tolerance = tonumber(ARGV[1]), tonumber(ARGV[2])
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000000 + tonumber(time[2])
local due = math.max(now, tonumber(redis.call('GET', KEYS[1]) or 0))
due = math.min(due, now + tolerance + interval)
if due - tolerance > now then
  return due - tolerance - now
end
due = due + interval
redis.call('SET', KEYS[1], string.format('%.0f', due), 'PX', math.ceil((due - now) / 1000))
return 0
";

/// Counts in Redis, and within the process while Redis doesn't answer.
#[derive(Debug)]
pub(super) struct Shared {
    by: RateBy,
    scripts: Scripts,
    take: Script,
    /// What the script is given.
    numbers: [i64; 2],
    local: Local,
    /// Before this, Redis isn't asked.
    ask_from: Mutex<Option<Instant>>,
}

impl Shared {
    pub(super) fn new(by: RateBy, rate: Rate, scripts: Scripts) -> Self {
        let number = |us: u64| i64::try_from(us).unwrap_or(i64::MAX);
        Self {
            by,
            scripts,
            take: Script::new(TAKE),
            numbers: [number(rate.interval_us()), number(rate.tolerance_us())],
            local: Local::new(rate),
            ask_from: Mutex::default(),
        }
    }

    /// Takes one of a key's calls, or tells how long to wait for one.
    pub(super) async fn take(&self, key: &str) -> Result<(), Duration> {
        if self.is_asked() {
            match self.ask(key).await {
                Ok(0) => return Ok(()),
                Ok(wait_us) => return Err(Duration::from_micros(wait_us.unsigned_abs())),
                Err(error) => self.pause(&error),
            }
        }
        metrics::counter!("reelway_rate_fallbacks_total", "by" => self.by.as_str()).increment(1);
        self.local.take(key)
    }

    async fn ask(&self, key: &str) -> Result<i64, BusError> {
        let key = format!("rate:{}:{key}", self.by.as_str());
        self.scripts.run(&self.take, &key, &self.numbers, ANSWER_MAX).await
    }

    fn is_asked(&self) -> bool {
        let ask_from = *self.ask_from.lock().unwrap_or_else(PoisonError::into_inner);
        ask_from.is_none_or(|from| from <= Instant::now())
    }

    fn pause(&self, error: &BusError) {
        let mut ask_from = self.ask_from.lock().unwrap_or_else(PoisonError::into_inner);
        tracing::debug!(by = self.by.as_str(), %error, "rates are limited by each process alone");
        *ask_from = Some(Instant::now() + PAUSE);
    }
}
