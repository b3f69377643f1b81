//! How the store is asked to keep what it is given.

use hyper::HeaderMap;
use reelway::v1;
use reelway_testkit::S3Call;

use super::Bucket;
use crate::harness::{Cli, Clip, Node, clip, noise};

const ENCRYPTION: &str = "x-amz-server-side-encryption";
const KEY: &str = "x-amz-server-side-encryption-aws-kms-key-id";
const CLASS: &str = "x-amz-storage-class";

fn value<'a>(head: &'a HeaderMap, name: &str) -> Option<&'a str> {
    head.get(name).map(|value| value.to_str().expect("text"))
}

/// The server of the tests keeps everything alike, so what it is asked for is looked at.
#[tokio::test(flavor = "multi_thread")]
async fn whatever_is_made_is_encrypted_and_has_its_class() {
    for (encryption, algorithm, key) in [("AES256", "AES256", None), ("kms:a-key", "aws:kms", Some("a-key"))] {
        let bucket = Bucket::new().await;
        let setup = bucket.setup().option("--store-encryption", encryption);
        let node = Node::set_up(setup.option("--store-storage-class", "STANDARD_IA")).await;
        let cli = Cli::of(&node);
        let long = cli.file("long.bin", &noise(1, 20 << 20));
        let clip = clip(Clip::short(4)).await;
        cli.json(["upload", long.to_str().expect("text"), "--preset", "none", "--json"])
            .await;
        let made = cli
            .json(["upload", clip.to_str().expect("text"), "--preset", "fast", "--json"])
            .await;
        assert_eq!(made.last().expect("a last line")["state"], "succeeded");
        let request = v1::CreateUploadRequest {
            preset: "none".to_owned(),
            part_upload_ids: vec![super::joined::part(&node, &noise(2, 9 << 20)).await],
            ..Default::default()
        };
        let joined = node.client().create_upload(request).await.expect("an upload");
        super::joined::joined(&node, &joined.id).await;

        let requests = bucket.proxy.take_requests();
        for wanted in [
            S3Call::Begin,
            S3Call::Put,
            S3Call::Part,
            S3Call::PartCopy,
            S3Call::Complete,
        ] {
            assert!(
                requests.iter().any(|(call, _)| *call == wanted),
                "there was no {wanted:?}"
            );
        }
        let mut classes = 0;
        for (call, head) in &requests {
            // S3 takes both when an object or a multipart upload is made, and refuses them anywhere else.
            let makes = matches!(call, S3Call::Begin | S3Call::Put);
            let expected = makes.then_some(algorithm);
            assert_eq!(value(head, ENCRYPTION), expected, "{call:?}: {head:?}");
            assert_eq!(value(head, KEY), key.filter(|_| makes), "{call:?}: {head:?}");
            match value(head, CLASS) {
                Some(class) => {
                    assert_eq!((makes, class), (true, "STANDARD_IA"), "{call:?}: {head:?}");
                    classes += 1;
                }
                // What is stored for a moment: a small object of an upload, the store's name, a check.
                None => assert_ne!(*call, S3Call::Begin, "{head:?}"),
            }
        }
        assert!(classes > 3, "playlists and segments too: {classes}");
    }
}
