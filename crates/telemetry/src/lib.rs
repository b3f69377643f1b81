//! One trace from the upload to the player, and log lines that name it.
//!
//! Spans are made with `tracing`, wherever something is worth one. A trace leaves a process as a W3C `traceparent`
//! ([`reelway_domain::TraceContext`]): in headers and gRPC metadata ([`inject`]), in rows and in bus entries ([`current`]).
//! It comes in again by [`continue_from_headers`], [`continue_from`] and [`link`]. `tracestate` is not kept: rows have no
//! place for it.
//!
//! With a collector, [`init`] sends spans to it. Without one no span is recorded, and a caller's context is passed on as it
//! came.

mod context;
mod export;
mod init;
mod json;
mod publish;

#[cfg(test)]
mod testing;

pub use context::{continue_from, continue_from_headers, current, inject, link, link_current, new_trace};
pub use export::Collector;
pub use init::{Guard, InitError, LogFormat, Settings, init};
pub use publish::publishing;
