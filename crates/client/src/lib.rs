//! Rust client: resumable upload, watch with recovery.
//!
//! [`Client`] talks to one server of all services, or to one for each. [`Client::upload`] sends a file whatever happens to
//! the connection, [`Client::upload_direct`] past the server into its bucket, and [`Client::watch`] follows a job without missing a change. Calls that can be repeated without harm
//! are repeated, with the pauses of a [`RetryPolicy`].

mod calls;
mod client;
mod direct;
mod endpoints;
mod error;
mod movie;
mod retry;
mod stream;
mod tail;
mod upload;
mod watch;

#[cfg(test)]
mod test_server;
#[cfg(test)]
mod upload_tests;
#[cfg(test)]
mod watch_tests;

pub use client::Client;
pub use endpoints::{Endpoints, Trust, channel};
pub use error::{Error, Refusal};
pub use retry::{Class, RetryPolicy, classify};
pub use upload::{Activity, UploadProgress};
pub use watch::Target;
