//! HTTP: everything that doesn't speak gRPC comes in here. Health and metrics are on the admin port, never on the public one.
//!
//! The edge is a bridge. It holds no state and calls the same services that gRPC clients call ([`Upstream`]), with what the
//! caller showed.

mod admin;
mod api;
mod append;
mod caller;
mod cors;
mod edge;
mod forwarded;
mod front;
mod live;
mod origin;
mod play;
mod problem;
mod resumable;
mod serve;
mod tail;
mod trace;
mod tus;
mod uploads;
mod upstream;

pub use admin::{Readiness, admin_router};
pub use cors::AllowedOrigin;
pub use edge::{Edge, Settings};
pub use forwarded::Network;
pub use front::Front;
pub use play::{Delivery, NotInBucket, PlayAccess, PublicBase, PublicBaseError, play_router};
pub use serve::{Connections, serve};
pub use upstream::{GrpcService, Upstream, in_process, remote};

#[cfg(test)]
mod testing;
