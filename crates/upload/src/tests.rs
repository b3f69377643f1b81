//! A real server on a real port, over a real database and disk, and a real client.

mod atomic;
mod complete;
mod create;
mod cut;
mod full;
mod grant;
mod hand_over;
mod harness;
mod identity;
mod join;
mod join_kill;
mod refuse;
mod sharing;
mod stream;
mod tail;
mod takeover;
mod wanted;
