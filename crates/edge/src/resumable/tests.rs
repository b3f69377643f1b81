//! The draft, row by row, over raw connections. Tests are named after the rules of it that they show.

mod appending;
mod creating;
mod cut;
mod digesting;
mod harness;
mod refusing;
mod retrieving;
mod together;
