//! A real server on a real port, over a real database and disk, and a real client.

mod complete;
mod create;
mod cut;
mod full;
mod harness;
mod refuse;
mod sharing;
mod stream;
mod takeover;
