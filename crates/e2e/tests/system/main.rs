//! The system as its users meet it. Each test runs nodes and commands of its own and leaves nothing behind.

mod architecture;
mod bad_input;
mod cli;
mod containers;
mod faults;
mod harness;
mod memory;
mod order;
mod pages;
mod python;
mod refusals;
mod roles;
mod steering;
mod streaming;
mod tracing;
mod watching;
mod wire;
