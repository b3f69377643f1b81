//! The end of a film is sent ahead of the rest: what a user sees of it, what a liar gets of it, and what a crash leaves.

use std::{fs, path::Path, time::Duration};

use reelway::v1::{self, PutUploadTailRequest, UploadState};
use reelway_client::UploadProgress;
use tokio::sync::watch;

use crate::harness::{Cli, Clip, Node, clip, noise, within};

/// Its index stands at the end, as ffmpeg writes it.
const FILM: Clip = Clip::short(6);
/// So long the throttled command takes for the film, at least.
const UPLOAD_SECONDS: u64 = 6;
const LIMIT: Duration = Duration::from_secs(60);

#[tokio::test(flavor = "multi_thread")]
async fn the_command_sends_the_index_first() {
    let node = Node::start().await;
    let (cli, file) = (Cli::of(&node), clip(FILM).await);
    let mut command = cli.start(slowly(&file));
    let upload = with_tail(&node).await;
    assert_eq!(upload.state(), UploadState::Receiving);
    assert_eq!(upload.tail_offset, Some(index_of(&file)), "exactly the index");
    assert!(upload.durable_offset < index_of(&file), "the rest comes later");
    let ended = command.ended(LIMIT).await;
    assert_eq!(ended.code, Some(0), "{ended:#?}");
    is_stored(&node, &upload.id, &file).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tail_outlives_the_server() {
    let mut node = Node::start().await;
    let (cli, file) = (Cli::of(&node), clip(FILM).await);
    let mut command = cli.start(slowly(&file));
    let before = with_tail(&node).await;
    node.kill9().await;
    node.restart().await;
    let after = with_tail(&node).await;
    assert_eq!((&after.id, after.tail_offset), (&before.id, before.tail_offset));
    let ended = command.ended(LIMIT).await;
    assert_eq!(ended.code, Some(0), "{ended:#?}");
    is_stored(&node, &before.id, &file).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lie_about_the_end_changes_no_byte() {
    let node = Node::start().await;
    let file = clip(FILM).await;
    let length = fs::metadata(&file).expect("a file").len();
    let size_bytes = i64::try_from(length).ok();
    let request = v1::CreateUploadRequest {
        size_bytes,
        preset: "fast".to_owned(),
        ..Default::default()
    };
    let created = node.client().create_upload(request).await.expect("an upload");
    let tail = index_of(&file);
    let lie = PutUploadTailRequest {
        upload_id: created.id.clone(),
        offset: tail,
        data: noise(
            7,
            usize::try_from(length).expect("a length") - usize::try_from(tail).expect("an offset"),
        )
        .into(),
    };
    let mut uploads = node.uploads().await;
    let told = uploads
        .put_upload_tail(tokio_stream::iter([lie]))
        .await
        .expect("an answer");
    let upload = told.into_inner().upload.expect("an upload");
    assert_eq!(upload.tail_offset, Some(tail));
    let progress = watch::Sender::new(UploadProgress::default());
    let done = node
        .client()
        .upload_file(upload, &file, &progress)
        .await
        .expect("a complete upload");
    assert_eq!((done.state(), done.tail_offset), (UploadState::Complete, None));
    is_stored(&node, &created.id, &file).await;
    let job = node.job_ended(&created.job_id, LIMIT).await;
    assert_eq!(job.state(), v1::JobState::Succeeded, "{job:?}");
}

/// The command with so little bandwidth that it can be looked at meanwhile.
fn slowly(file: &Path) -> Vec<String> {
    let rate = fs::metadata(file).expect("a file").len() / UPLOAD_SECONDS;
    let path = file.to_str().expect("text").to_owned();
    let options = ["--preset", "none", "--json", "--limit-rate"].map(str::to_owned);
    [
        vec!["upload".to_owned(), path],
        options.to_vec(),
        vec![rate.to_string()],
    ]
    .concat()
}

/// The only upload, once it has its tail.
async fn with_tail(node: &Node) -> v1::Upload {
    within(LIMIT, "the tail", async || {
        let listed = node.client().list_uploads(v1::ListUploadsRequest::default()).await;
        let uploads = listed.expect("a list").uploads;
        uploads.into_iter().find(|upload| upload.tail_offset.is_some())
    })
    .await
}

/// Where the film's index begins: it is the last box.
fn index_of(file: &Path) -> i64 {
    let bytes = fs::read(file).expect("a film");
    let name = bytes.windows(4).rposition(|name| name == b"moov").expect("an index");
    i64::try_from(name - 4).expect("an offset")
}

/// The upload is what the file is, and the tail is gone.
async fn is_stored(node: &Node, upload_id: &str, file: &Path) {
    assert!(node.stored(upload_id) == fs::read(file).expect("a film"), "every byte");
    let request = v1::GetUploadRequest {
        upload_id: upload_id.to_owned(),
        end_writer: false,
    };
    let upload = node.client().get_upload(request).await.expect("an upload");
    assert_eq!(upload.state(), UploadState::Complete);
    let files = node.upload_files(upload_id);
    let beside = fs::read_dir(files[0].parent().expect("a directory")).expect("a list");
    let left = beside.filter(|entry| {
        let name = entry.as_ref().expect("an entry").file_name();
        name.to_string_lossy().starts_with(upload_id)
    });
    assert_eq!((files.len(), left.count()), (1, 1), "no tail is left");
}
