//! tus clients that people use, against a running node.

mod js;
mod python;

use std::path::{Path, PathBuf};

use reelway::v1::{GetUploadRequest, Upload};

use crate::harness::{Node, noise};

/// Several chunks of 1 MiB and a rest.
const SIZE: usize = (5 << 20) + 12_345;

/// What is uploaded, and where it is.
fn file(node: &Node) -> (Vec<u8>, PathBuf) {
    let (whole, path) = (noise(7, SIZE), node.dir().join("file.bin"));
    std::fs::write(&path, &whole).expect("a file");
    (whole, path)
}

/// Where the clients' scripts are.
fn here() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tus")
}

/// The id at the end of a URL.
fn id(url: &str) -> &str {
    url.rsplit('/').next().expect("an id")
}

/// The upload as it is now.
async fn get(node: &Node, upload_id: &str) -> Upload {
    let request = GetUploadRequest {
        upload_id: upload_id.to_owned(),
        end_writer: false,
    };
    node.client().get_upload(request).await.expect("the upload")
}
