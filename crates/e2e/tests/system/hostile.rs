//! Files that mean harm, sent to a real node: each is refused with one reason, and nothing is called or looked up for it.

use std::{net::TcpListener, path::Path, time::Duration};

use reelway::v1;

use crate::harness::{Clip, Node, clip};

const JOB_MAX: Duration = Duration::from_secs(120);

/// Sends a file, and gives the reason and the sentence with which its job failed.
async fn refused(node: &Node, file: &Path) -> (String, String) {
    let upload = node.upload(file, "fast").await;
    let job = node.job_ended(&upload.job_id, JOB_MAX).await;
    assert_eq!(job.state(), v1::JobState::Failed, "{job:?}");
    let error = job.error.expect("a failed job says why");
    (error.reason, error.message)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hostile_file_is_refused_and_nobody_is_called() {
    // Whoever needs no answer is not waited for.
    let trap = TcpListener::bind("127.0.0.1:0").expect("a port");
    trap.set_nonblocking(true).expect("a port that is asked");
    let address = trap.local_addr().expect("its address");
    let node = Node::with(&["--sandbox", "require", "--source-pixels-max", "100000"]).await;
    let playlist = node.dir().join("playlist.mp4");
    let lines = [
        "#EXTM3U",
        "#EXT-X-TARGETDURATION:4",
        "#EXTINF:4,",
        "file:///etc/passwd",
        "#EXTINF:4,",
    ];
    let text = format!("{}\nhttp://{address}/segment.ts\n#EXT-X-ENDLIST\n", lines.join("\n"));
    std::fs::write(&playlist, text).expect("a playlist");
    let (reason, message) = refused(&node, &playlist).await;
    assert_eq!(reason, "SOURCE_NOT_MEDIA", "{message}");
    assert!(!message.contains("root:"), "{message}");
    assert!(trap.accept().is_err(), "somebody called");

    let large = clip(Clip {
        size: "640x360",
        ..Clip::short(2)
    })
    .await;
    let (reason, message) = refused(&node, &large).await;
    assert_eq!(reason, "SOURCE_LIMIT_EXCEEDED");
    assert!(message.contains("100000"), "it names the limit: {message}");
    let page = crate::harness::get(&format!("{}/metrics", node.admin_url())).await;
    let page = String::from_utf8_lossy(page.body()).into_owned();
    assert!(
        page.contains(
            "
reelway_sandbox_level 3"
        ),
        "the level in force is a metric"
    );
}
