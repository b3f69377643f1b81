//! JobService and the control loops: outbox relay, lease reaper, expirer, remover and mover of sources, sweeper,
//! janitor, webhooks, gauges.
//!
//! Each loop is a `run` function that works until its token is cancelled. Any number of servers may run the same loop
//! over one catalog: what one of them does, the others find done.

mod caller;
pub mod courier;
mod create;
pub mod expirer;
pub mod gauges;
pub mod janitor;
pub mod leftovers;
mod list;
pub mod mover;
pub mod reaper;
pub mod relay;
pub mod remover;
mod service;
pub mod sweeper;
mod trouble;
pub mod webhooks;

pub use service::Jobs;

#[cfg(test)]
mod fleet;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
