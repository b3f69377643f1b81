//! The contract as data: what `proto/` says, with its comments.

use std::sync::LazyLock;

use prost_reflect::{DescriptorPool, MessageDescriptor, ServiceDescriptor};

/// The package of all messages and services.
const PACKAGE: &str = "reelway.v1";

static POOL: LazyLock<DescriptorPool> = LazyLock::new(|| {
    // The build wrote these bytes from files that it had compiled; every test here reads them.
    DescriptorPool::decode(reelway::FILE_DESCRIPTOR_SET).expect("the contract that the build compiled")
});

/// The service of this name, for example `UploadService`.
pub(super) fn service(name: &str) -> Option<ServiceDescriptor> {
    POOL.get_service_by_name(&format!("{PACKAGE}.{name}"))
}

/// The message of this name, for example `Upload`.
pub(super) fn message(name: &str) -> Option<MessageDescriptor> {
    POOL.get_message_by_name(&format!("{PACKAGE}.{name}"))
}

/// All services of the contract.
#[cfg(test)]
pub(super) fn services() -> impl Iterator<Item = ServiceDescriptor> {
    POOL.services().filter(|service| service.package_name() == PACKAGE)
}

/// Whether JSON writes the message in a way of its own: `google.protobuf.Timestamp` and its like.
pub(super) fn is_well_known(message: &MessageDescriptor) -> bool {
    message.package_name() == "google.protobuf"
}
