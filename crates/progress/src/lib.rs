//! ProgressService: snapshots, transitions and samples as one resumable stream.
//!
//! Transitions are read from the catalog by their numbers, so that none is missed whatever becomes of hints
//! (invariant 10). Samples come over the bus into one [`Hub`] per server and are merged there. A watcher is never sent
//! to: it is woken, and pulls what it has not told yet when its client has room for it. So a slow client costs no memory
//! (invariant 8), and no connection to the catalog.

mod everything;
mod hub;
mod lookout;
mod messages;
mod model;
mod one;
mod pace;
mod percent;
mod rate;
mod samples;
mod service;
mod signal;
mod target;
mod token;
mod watch;

pub use hub::Hub;
pub use pace::Pace;
pub use service::Progress;

#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
