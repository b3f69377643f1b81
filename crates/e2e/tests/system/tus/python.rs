//! tuspy.

use super::{SIZE, file, get, here, id};
use crate::harness::{Node, Tool, environment};

#[tokio::test(flavor = "multi_thread")]
async fn tuspy_stops_and_resumes_with_a_sha1_for_each_chunk() {
    let python = environment("python-env.sh", "tuspy", "tus/requirements.txt").await;
    let node = Node::start().await;
    let (whole, path) = file(&node);
    let mut client = Tool::new(&python.to_string_lossy());
    client
        .path(&here().join("client.py"))
        .args([format!("{}/files/", node.http_url())]);
    let said = client.path(&path).run().await;
    let lines: Vec<_> = said.lines().filter_map(|line| line.split_once(' ')).collect();
    let [
        ("stopped", stopped),
        ("resumed", resumed),
        ("complete", plain),
        ("complete", named),
    ] = lines[..]
    else {
        panic!("{said}");
    };
    assert_eq!(stopped, resumed, "where it stopped");
    assert!(stopped.parse::<usize>().is_ok_and(|at| at > 0 && at < SIZE), "{said}");
    for url in [plain, named] {
        assert!(node.stored(id(url)) == whole, "other bytes");
    }
    assert_eq!(get(&node, id(named)).await.file_name, "a b.bin");
}
