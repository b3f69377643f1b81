//! The system as its users meet it. Each test runs nodes and commands of its own and leaves nothing behind.

mod architecture;
mod bad_input;
mod browser;
mod cli;
mod containers;
mod edge_limits;
mod faults;
mod harness;
mod identities;
mod json_api;
mod live;
mod memory;
mod order;
mod pages;
mod players;
mod python;
mod refusals;
mod resumable;
mod roles;
mod steering;
mod streaming;
mod tail;
mod tracing;
mod tus;
mod watching;
mod wire;
