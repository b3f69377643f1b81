//! UploadService: create, write, resume, complete, abort.
//!
//! An offset is told to a client only after its bytes are on stable storage and the catalog has recorded it
//! (invariant 1). Each write stream has an epoch of its own, which the store and the catalog check (invariant 3). Several
//! servers may work on one store: a writer in another process than the one before it begins a file of its own (`open`),
//! the earlier stream is ended within a second (`follow`), and the last writer brings the files together (`gather`).
//!
//! A message takes this way: `intake` examines it, `writer` stores it and makes it durable, `answers` tells the client.
//! `session` puts these together, the same for both write RPCs; `service` adapts them to the RPCs.
//!
//! A writer also ends when somebody asks for the offset to go on from (`hand_over`). Uploads that are put together from others
//! have a writer of their own, on any server (`join`, `joiner`). Clients may put parts
//! straight into a bucket, which the server never reads (`direct`, `direct_report`). The end of a file may come ahead of the rest, as a preview (`tail`).

mod abort;
mod answers;
mod caller;
mod complete;
mod create;
mod declare;
mod direct;
mod direct_report;
mod drafts;
mod ended;
mod follow;
mod gather;
mod grant;
mod hand_over;
mod hash;
mod intake;
mod join;
mod join_feed;
mod join_plan;
mod joiner;
mod meter;
mod open;
mod openings;
mod parse;
mod read;
mod registry;
mod server;
mod service;
mod session;
mod tail;
mod writer;

pub use server::{Settings, UploadServer};

#[cfg(test)]
mod tests;
