//! A client in another language, made from `proto/` alone.

use std::{env, path::Path};

use crate::harness::{Clip, Node, Tool, clip};

/// A Python that has what `python/requirements.txt` lists; `scripts/test` makes one and sets this.
const PYTHON_VARIABLE: &str = "REELWAY_PYTHON";
/// Several MiB: the cut is to come in the middle.
const CLIP: Clip = Clip {
    name: "large.mp4",
    options: &["-vf", "noise=alls=20:allf=t", "-b:v", "8M"],
    ..Clip::short(10)
};

#[tokio::test(flavor = "multi_thread")]
async fn a_python_client_is_cut_resumes_and_watches() {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let python = match env::var(PYTHON_VARIABLE) {
        Ok(python) => python,
        Err(_) => Tool::new("bash")
            .path(&here.join("../../scripts/lib/python-client.sh"))
            .run()
            .await
            .trim()
            .to_owned(),
    };
    let node = Node::start().await;
    let stubs = node.dir().join("stubs");
    std::fs::create_dir(&stubs).expect("a directory");
    let proto = here.join("../../proto");
    let mut protoc = Tool::new(&python);
    protoc.args(["-m", "grpc_tools.protoc", "-I"]).path(&proto);
    protoc
        .args(["--python_out"])
        .path(&stubs)
        .args(["--grpc_python_out"])
        .path(&stubs);
    for file in ["resources", "upload_service", "job_service", "progress_service"] {
        protoc.path(&proto.join(format!("reelway/v1/{file}.proto")));
    }
    protoc.run().await;
    let file = clip(CLIP).await;
    let mut client = Tool::new(&python);
    client.env("PYTHONPATH", &stubs).path(&here.join("python/client.py"));
    let said = client
        .args([node.grpc_url().trim_start_matches("http://")])
        .path(&file)
        .run()
        .await;
    let lines: Vec<&str> = said.lines().collect();
    eprintln!("{said}");
    assert!(lines.iter().any(|line| line.starts_with("cut ")), "{said}");
    assert!(lines.iter().any(|line| line.starts_with("resumed ")), "{said}");
    assert!(
        lines.last().is_some_and(|line| line.starts_with("succeeded http://")),
        "{said}"
    );
}
