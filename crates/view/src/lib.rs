//! Rows of the catalog as messages of the contract, for the roles that tell clients of them.

mod job;
mod task;
mod upload;

pub use job::job;
pub use task::task;
pub use upload::upload;
