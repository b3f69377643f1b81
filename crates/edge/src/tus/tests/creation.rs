//! creation.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use reelway_domain::{UploadState, limits};

use super::*;
use crate::{Settings, testing::Setup};

on_both!(
    cr1_an_upload_is_created,
    cr2_a_length_is_needed,
    cr3_too_long_is_refused,
    cr4_an_upload_without_bytes_is_complete_at_once,
    cr5_metadata_is_read,
    cr6_metadata_comes_back_as_it_was_given,
    cr7_metadata_injects_nothing,
    cr8_a_known_length_stays,
);

async fn cr1_an_upload_is_created(at: At) {
    let node = Node::start_at(at).await;
    let extensions = node.send("OPTIONS", "/files/", &[], b"").await;
    let extensions = extensions
        .header("tus-extension")
        .unwrap()
        .split(',')
        .collect::<Vec<_>>();
    for extension in [
        "creation",
        "creation-with-upload",
        "creation-defer-length",
        "expiration",
        "checksum",
        "checksum-trailer",
        "termination",
        "concatenation",
        "concatenation-unfinished",
    ] {
        assert!(extensions.contains(&extension), "{extension}");
    }
    for path in ["/files", "/files/"] {
        let answer = send(&node, "POST", path, &[("Upload-Length", "10")], b"").await;
        assert_eq!(answer.status, 201);
        let location = answer.header("location").unwrap();
        assert!(location.starts_with(&node.url("/files/upl_")), "{location}");
        assert_eq!(
            head(&node, &answer.location()).await.header("upload-length"),
            Some("10")
        );
    }
}

async fn cr2_a_length_is_needed(at: At) {
    let node = Node::start_at(at).await;
    assert_eq!(post(&node, &[]).await.status, 400);
}

async fn cr3_too_long_is_refused(at: At) {
    let edge = Settings {
        upload_bytes_max: 100,
        ..Settings::default()
    };
    let node = Node::with(Setup {
        at,
        edge,
        ..Setup::default()
    })
    .await;
    let options = node.send("OPTIONS", "/files/", &[], b"").await;
    assert_eq!(options.header("tus-max-size"), Some("100"));
    assert_eq!(post(&node, &[("Upload-Length", "100")]).await.status, 201);
    let answer = post(&node, &[("Upload-Length", "101")]).await;
    assert_eq!((answer.status, answer.header("location")), (413, None));
    assert_eq!(answer.json()["metadata"]["sizeBytesMax"], "100");
}

async fn cr4_an_upload_without_bytes_is_complete_at_once(at: At) {
    let node = Node::start_at(at).await;
    let answer = post(&node, &[("Upload-Length", "0")]).await;
    assert_eq!(answer.status, 201);
    let row = node.upload(&answer.id()).await;
    assert_eq!(row.state, UploadState::Complete);
    let answer = head(&node, &answer.location()).await;
    assert_eq!(
        (answer.header("upload-offset"), answer.header("upload-length")),
        (Some("0"), Some("0"))
    );
}

async fn cr5_metadata_is_read(at: At) {
    let node = Node::start_at(at).await;
    let raw = "filename d29ybGQubXA0,filetype dmlkZW8vbXA0,preset ZmFzdA==,is_confidential,folder w6k=";
    let answer = post(&node, &[("Upload-Length", "10"), ("Upload-Metadata", raw)]).await;
    assert_eq!(answer.status, 201);
    let row = node.upload(&answer.id()).await;
    assert_eq!(
        (row.file_name.as_str(), row.content_type.as_str()),
        ("world.mp4", "video/mp4")
    );
    assert_eq!(
        row.metadata.into_iter().collect::<Vec<_>>(),
        [
            ("folder".to_owned(), "é".to_owned()),
            ("is_confidential".to_owned(), String::new())
        ]
    );
    let job = node.catalog.job(&row.tenant, row.job.unwrap()).await.unwrap().unwrap();
    assert_eq!(job.preset, "fast");
    for wrong in ["a YQ==,a Yg==", "a ***", "a YQ==,,b", "a b c"] {
        let answer = post(&node, &[("Upload-Length", "10"), ("Upload-Metadata", wrong)]).await;
        assert_eq!((answer.status, answer.header("location")), (400, None), "{wrong}");
        assert_eq!(answer.json()["violations"][0]["field"], "upload-metadata");
    }
    let unknown = ("Upload-Metadata", "preset c2xvdw==");
    assert_eq!(
        post(&node, &[("Upload-Length", "10"), unknown]).await.status,
        400,
        "no such preset"
    );
}

async fn cr6_metadata_comes_back_as_it_was_given(at: At) {
    let node = Node::start_at(at).await;
    for raw in ["b YQ==,a,filename d29ybGQ=", "z ,y /w==, x YQ"] {
        let answer = post(&node, &[("Upload-Length", "10"), ("Upload-Metadata", raw)]).await;
        assert_eq!(
            head(&node, &answer.location()).await.header("upload-metadata"),
            Some(raw)
        );
    }
    // As tuspy sends it if there is nothing to say.
    let answer = post(&node, &[("Upload-Length", "10"), ("Upload-Metadata", "")]).await;
    assert_eq!(answer.status, 201);
    assert_eq!(head(&node, &answer.location()).await.header("upload-metadata"), None);
    let long = format!("a {}", STANDARD.encode(vec![b'a'; limits::CLIENT_STATE_BYTES_MAX]));
    let answer = post(&node, &[("Upload-Length", "10"), ("Upload-Metadata", &long)]).await;
    assert_eq!(
        (answer.status, answer.header("location")),
        (413, None),
        "too long to be kept"
    );
}

async fn cr7_metadata_injects_nothing(at: At) {
    let node = Node::start_at(at).await;
    let hostile = STANDARD.encode("a.mp4\r\nSet-Cookie: a=b\r\n\r\n<script>");
    let raw = format!("filename {hostile},type {hostile},preset bm9uZQ==,k {hostile}");
    let answer = post(&node, &[("Upload-Length", "3"), ("Upload-Metadata", &raw)]).await;
    assert_eq!(answer.status, 201);
    let path = answer.location();
    appended(&node, &path, 0, b"abc").await;
    let answer = head(&node, &path).await;
    assert_eq!(
        (answer.header("set-cookie"), answer.header("upload-metadata")),
        (None, Some(raw.as_str()))
    );
    let row = node.upload(id(&path)).await;
    assert_eq!(
        (row.file_name.as_str(), row.content_type.as_str()),
        ("", ""),
        "no name that can be shown"
    );
}

async fn cr8_a_known_length_stays(at: At) {
    let node = Node::start_at(at).await;
    let path = created(&node, 6).await;
    for wrong in ["5", "7", "0"] {
        assert_eq!(
            patch_with(&node, &path, 0, &[("Upload-Length", wrong)], b"abc")
                .await
                .status,
            400
        );
    }
    assert_eq!(
        patch_with(&node, &path, 0, &[("Upload-Length", "6")], b"abc")
            .await
            .status,
        204,
        "the same is fine"
    );
    let answer = head(&node, &path).await;
    assert_eq!(
        (answer.header("upload-offset"), answer.header("upload-length")),
        (Some("3"), Some("6"))
    );
}
