//! What the descriptors of the contract say: for reflection, and for the names of methods.

use std::{collections::HashSet, sync::Arc};

use prost::Message as _;
use prost_types::{FileDescriptorProto, FileDescriptorSet};
use tonic_reflection::{pb as reflection_pb, server::Builder};

use super::Methods;

/// What health and reflection are called, besides the services of the contract.
const COMMON_SERVICES: [&str; 3] = [
    "grpc.health.v1.Health",
    "grpc.reflection.v1.ServerReflection",
    "grpc.reflection.v1alpha.ServerReflection",
];
const DESCRIPTOR_SETS: [&[u8]; 4] = [
    reelway::FILE_DESCRIPTOR_SET,
    tonic_health::pb::FILE_DESCRIPTOR_SET,
    reflection_pb::v1::FILE_DESCRIPTOR_SET,
    reflection_pb::v1alpha::FILE_DESCRIPTOR_SET,
];

/// Reflection that lists what this server serves, not everything that the contract has.
pub(super) fn reflection(services: &[&'static str]) -> Builder<'static> {
    let builder = Builder::configure().include_reflection_service(false);
    let builder = DESCRIPTOR_SETS
        .into_iter()
        .fold(builder, Builder::register_encoded_file_descriptor_set);
    services
        .iter()
        .copied()
        .chain(COMMON_SERVICES)
        .fold(builder, Builder::with_service_name)
}

/// Every method that a server may have, so that metrics can't be filled with names that a client made up.
pub(super) fn methods() -> Methods {
    // A set that can't be read makes reflection fail, and with it the server.
    let sets = DESCRIPTOR_SETS
        .into_iter()
        .filter_map(|set| FileDescriptorSet::decode(set).ok());
    Arc::new(
        sets.flat_map(|set| set.file)
            .flat_map(|file| methods_of(&file))
            .collect::<HashSet<_>>(),
    )
}

fn methods_of(file: &FileDescriptorProto) -> Vec<Arc<str>> {
    let services = file.service.iter();
    services
        .flat_map(|service| {
            service
                .method
                .iter()
                .map(|method| format!("/{}.{}/{}", file.package(), service.name(), method.name()).into())
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn methods_of_all_services_are_known() {
        let methods = methods();
        for method in [
            "/reelway.v1.UploadService/StreamUpload",
            "/reelway.v1.ProgressService/WatchProgress",
            "/grpc.health.v1.Health/Check",
            "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
        ] {
            assert!(methods.contains(method), "{method}");
        }
    }
}
