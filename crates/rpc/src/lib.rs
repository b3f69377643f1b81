//! What every gRPC server of Reelway shares: the transport, health, reflection and metrics; requests parsed into domain
//! values; domain values as messages; failures as statuses.

pub mod convert;
mod direct;
pub mod request;
mod server;
mod status;

pub use convert::{PlaybackUrls, ProtoEnum};
pub use direct::{send_directly, take_directly};
pub use server::{
    Accepted, GrpcServer, STREAM_WINDOW_BYTES, ServeError, ServerTls, TlsError, TlsFiles, observed, transport,
};
pub use status::{ERROR_DOMAIN, RETRY_AFTER_MS, RETRY_DELAY, from_status, retry_after, to_status};
