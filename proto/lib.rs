//! The Reelway API contract: what `build.rs` generates from `proto/`, and nothing else.

/// Messages, clients and servers of the package `reelway.v1`.
#[allow(missing_docs, clippy::all, clippy::pedantic)]
pub mod v1 {
    tonic::include_proto!("reelway.v1");
}

/// The encoded `FileDescriptorSet` of the contract, for gRPC reflection.
pub const FILE_DESCRIPTOR_SET: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/reelway_descriptor.bin"));
