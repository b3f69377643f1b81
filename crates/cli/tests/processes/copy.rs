//! From the embedded node to servers on Postgres.

use nix::sys::signal::Signal;
use reelway::v1::{CreateUploadRequest, ListUploadsRequest, upload_service_client::UploadServiceClient};
use reelway_testkit::Postgres;

use crate::node::{Node, reelway, run};

#[tokio::test(flavor = "multi_thread")]
async fn an_embedded_nodes_catalog_moves_to_postgres() {
    let (postgres, dir) = (Postgres::start().await, tempfile::tempdir().expect("a directory"));
    let mut node = Node::whole(dir.path(), &[]).await;
    let mut client = UploadServiceClient::new(node.channel("grpc").await);
    let request = CreateUploadRequest {
        file_name: "moved.mp4".to_owned(),
        ..CreateUploadRequest::default()
    };
    let created = client.create_upload(request).await.expect("an upload").into_inner();
    drop(client);

    let database = postgres.database().url();
    let from = format!("sqlite://{}/catalog.sqlite", dir.path().display());
    let copy = || run(reelway(["db", "copy", "--from", &from, "--to", &database]));
    let refused = copy().await;
    assert_eq!(refused.status.code(), Some(1));
    assert!(
        String::from_utf8_lossy(&refused.stderr).contains("another reelway process"),
        "{refused:?}"
    );
    node.signal(Signal::SIGTERM);
    node.ended().await;

    let copied = copy().await;
    assert!(copied.status.success(), "{copied:?}");
    let counts = String::from_utf8_lossy(&copied.stdout);
    assert!(counts.lines().any(|line| line.trim() == "1 uploads"), "{counts}");

    let mut node = Node::whole(dir.path(), &["--database", &database]).await;
    let mut client = UploadServiceClient::new(node.channel("grpc").await);
    let list = client
        .list_uploads(ListUploadsRequest::default())
        .await
        .expect("a list")
        .into_inner();
    let id = |upload: Option<&reelway::v1::Upload>| upload.expect("an upload").id.clone();
    assert_eq!(id(list.uploads.first()), id(created.upload.as_ref()));

    let again = copy().await;
    assert_eq!(again.status.code(), Some(1), "the database is not empty any more");
}
