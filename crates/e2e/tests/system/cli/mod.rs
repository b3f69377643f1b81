//! The command as people and scripts use it.

mod commands;
mod endings;
mod interrupted;
