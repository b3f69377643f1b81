//! Who calls and what they may do.
//!
//! [`Auth`] judges what a caller shows: an API key, a token of an identity provider, or a grant for one upload. A layer in front
//! of every service ([`Auth::layer`]) finds out who calls, holds that against what the method takes, and leaves the [`Identity`]
//! in the request's extensions. Services take the tenant from there ([`Identity::of`]): without a layer there is no identity,
//! and nothing is answered.

mod api_key;
mod auth;
mod bearer;
mod grant;
mod identity;
mod jwt;
mod key_cache;
mod layer;
mod limit;
mod method;
mod playback;
mod scope;
mod signing;

pub use api_key::FreshApiKey;
pub use auth::{Auth, AuthError, AuthSettings};
pub use identity::{Access, Identity, UploadGrant};
pub use jwt::{JwksError, JwksSource, JwtAlgorithm, JwtAlgorithmError, JwtSettings, KeySetError};
pub use layer::{AuthLayer, Authenticated};
pub use limit::{ClientAddr, Rate, RateBy, RateError, RateLayer, RateLimited, RateLimiter};
pub use scope::{Scope, Scopes};
pub use signing::{SigningKeys, SigningKeysError};
