//! HTTP: playback on the public port; health and metrics on the admin port, never on the public one.

mod admin;
mod play;
mod serve;
mod trace;

pub use admin::{Readiness, admin_router};
pub use play::play_router;
pub use serve::serve;
