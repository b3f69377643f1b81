//! Compiles `proto/` with protox, so that no machine needs `protoc`, and writes the descriptor set that reflection serves.

use std::{env, error::Error, fs, path::PathBuf};

use prost::Message as _;

const FILES: [&str; 4] = [
    "reelway/v1/resources.proto",
    "reelway/v1/upload_service.proto",
    "reelway/v1/job_service.proto",
    "reelway/v1/progress_service.proto",
];

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed=proto");
    let descriptors = protox::compile(FILES, ["proto"])?;
    let out_dir = PathBuf::from(env::var("OUT_DIR")?);
    fs::write(out_dir.join("reelway_descriptor.bin"), descriptors.encode_to_vec())?;
    tonic_prost_build::configure()
        // Chunks stay slices of the receive buffer instead of being copied into vectors.
        .bytes(".")
        .build_transport(true)
        .compile_fds(descriptors)?;
    Ok(())
}
