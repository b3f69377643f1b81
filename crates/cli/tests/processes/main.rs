//! The command as a process: how servers start, wait, say that they are well, and stop.

mod bucket;
mod copy;
mod drain;
mod health;
mod node;
mod refusal;
mod split;
mod tenants;
mod token;
