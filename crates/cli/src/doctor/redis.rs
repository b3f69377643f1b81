//! The Redis that wakes servers, if there is one.

use std::time::{Duration, SystemTime};

use reelway_bus::{Bus, Script};
use reelway_domain::{Hint, Notice, Timestamp};

use super::{Finding, skew};
use crate::{config::ServeConfig, serve::bus};

/// A worker that is woken for nothing looks, and waits again.
const WAKE_ONE: Notice = Notice {
    hint: Hint::Tasks { count: 1 },
    trace: None,
};
/// What Redis says is the time, in milliseconds.
const TIME: &str = "local t = redis.call('TIME'); return t[1] * 1000 + math.floor(t[2] / 1000)";
/// A Redis that needs longer is away.
const ANSWER_MAX: Duration = Duration::from_secs(2);
const ADVICE: &str = "nothing is lost without Redis: servers hear of each other later, by looking. Is it running, may this machine \
                      reach it, is --redis right, and does it have memory left?";

pub(super) async fn findings(config: &ServeConfig) -> Vec<Finding> {
    if config.redis.is_none() {
        let message = "none is configured: the bus is within the process";
        return vec![Finding::ok("redis", message)];
    }
    let bus = match bus(config) {
        Ok(bus) => bus,
        Err(error) => return vec![Finding::of_error("redis", &error)],
    };
    if let Err(error) = bus.publish(&[WAKE_ONE]).await {
        return vec![Finding::warning("redis", error.to_string()).advise(ADVICE)];
    }
    let mut findings = vec![Finding::ok("redis", "it takes what is published")];
    findings.extend(clock(&bus).await);
    findings
}

async fn clock(bus: &Bus) -> Option<Finding> {
    let asked_at = SystemTime::now();
    let asked = bus.scripts()?;
    Some(match asked.run(&Script::new(TIME), "doctor", &[], ANSWER_MAX).await {
        Ok(told) => skew::finding("redis-clock", "Redis's", Timestamp(told), asked_at),
        Err(error) => Finding::warning("redis-clock", error.to_string())
            .advise("the limits of calls are counted by scripts: allow EVAL and EVALSHA to the user of --redis"),
    })
}
