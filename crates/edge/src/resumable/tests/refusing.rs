//! What is not taken.

use reelway_auth::{Auth, AuthSettings, SigningKeys, UploadGrant};
use reelway_catalog::Catalog;
use reelway_domain::{Reason, Tenant, Timestamp, UploadState};

use super::harness::*;
use crate::Settings;

#[tokio::test]
async fn r6_too_large_tells_the_limit() {
    let setup = Setup {
        edge: Settings {
            upload_bytes_max: 8,
            ..Settings::default()
        },
        ..Setup::default()
    };
    let node = Node::with(setup).await;
    let limit = "max-size=8, min-size=0";
    let too_large = |answer: &Answer| {
        assert_eq!(
            (answer.status, answer.value("upload-limit")),
            (413, limit),
            "{answer:?}"
        );
        assert_eq!(answer.problem(), "about:blank");
    };
    too_large(
        &call(
            &node,
            "POST",
            "/uploads",
            &["Upload-Complete: ?0", "Upload-Length: 9"],
            b"",
        )
        .await,
    );
    too_large(&call(&node, "POST", "/uploads", &["Upload-Complete: ?1"], b"123456789").await);
    too_large(&call(&node, "POST", "/uploads", &["Upload-Complete: ?0"], b"123456789").await);
    too_large(&call(&node, "POST", "/uploads", &[], b"123456789").await);
    assert!(uploads(&node).await.is_empty(), "nothing was created");

    too_large(
        &call_chunked(
            &node,
            "POST",
            "/uploads",
            &["Upload-Complete: ?1"],
            &[b"1234", b"56789"],
        )
        .await,
    );
    let path = created_open(&node).await;
    assert_eq!(append(&node, &path, 0, "?0", b"1234").await.standing(), (204, "?0", 4));
    too_large(&append(&node, &path, 4, "?0", b"56789").await);
    assert_eq!(
        append(&node, &path, 4, "?1", b"5678").await.standing(),
        (201, "?1", 8),
        "the limit itself is fine"
    );
}

#[tokio::test]
async fn r5_limits_don_t_change() {
    let node = Node::start().await;
    let offered = call(&node, "OPTIONS", "/uploads", &[], b"").await;
    let path = created(&node, 9).await;
    let told = head(&node, &path).await;
    assert!(
        told.value("upload-limit").starts_with(offered.value("upload-limit")),
        "{told:?}"
    );
}

#[tokio::test]
async fn files_come_as_they_are() {
    let node = Node::start().await;
    let coded = call(&node, "POST", "/uploads", &["Content-Encoding: gzip"], b"abc").await;
    assert_eq!((coded.status, coded.value("accept-encoding")), (415, "identity"));
    let form = call(
        &node,
        "POST",
        "/uploads",
        &["Content-Type: multipart/form-data; boundary=x"],
        b"abc",
    )
    .await;
    assert_eq!(
        (form.status, form.json()["reason"].as_str()),
        (415, Some("CONTENT_TYPE_UNSUPPORTED"))
    );
    assert!(uploads(&node).await.is_empty(), "nothing was created");
}

#[tokio::test]
async fn there_is_nothing_under_other_names() {
    let node = Node::start().await;
    let unknown = "upl_01890000000070008000000000000000".to_owned();
    let long = "a".repeat(4000);
    for name in [
        &unknown,
        "x",
        "..%2f..%2fetc",
        "%00",
        "upl_",
        "UPL_01890000000070008000000000000000",
        &long,
    ] {
        let path = format!("/uploads/{name}");
        assert_eq!(head(&node, &path).await.status, 404, "{path}");
        assert_eq!(append(&node, &path, 0, "?0", b"abc").await.status, 404, "{path}");
        let gone = call(&node, "DELETE", &path, &[], b"").await;
        assert_eq!(
            (gone.status, gone.json()["reason"].as_str()),
            (404, Some("UPLOAD_NOT_FOUND")),
            "{path}"
        );
    }
}

#[tokio::test]
async fn a_client_that_sends_on_hears_why_it_is_refused() {
    let node = Node::start().await;
    let path = created(&node, 4 << 20).await;
    let answer = append(&node, &path, 7, "?0", &content(512 << 10)).await;
    assert_eq!(answer.problem(), "mismatching-upload-offset");
}

#[tokio::test]
async fn r28_every_request_says_who_it_is_from() {
    let setup = Setup {
        auth: |catalog| {
            let settings = AuthSettings {
                keys: SigningKeys::random(),
                jwt: None,
            };
            Auth::new(settings, catalog.clone()).unwrap()
        },
        ..Setup::default()
    };
    let node = Node::with(setup).await;
    let path = "/uploads/upl_01890000000070008000000000000000";
    for (method, path) in [
        ("POST", "/uploads"),
        ("HEAD", path),
        ("GET", path),
        ("PATCH", path),
        ("DELETE", path),
    ] {
        let answer = call(&node, method, path, &append_headers(0, "?0", ""), b"").await;
        assert_eq!(
            (answer.status, answer.value("www-authenticate")),
            (401, "Bearer"),
            "{method}"
        );
    }
    assert_eq!(
        call(&node, "OPTIONS", "/uploads", &[], b"").await.status,
        204,
        "what is offered is no secret"
    );
}

/// A judge whose grants are good with every other one.
fn judge(catalog: &Catalog) -> Auth {
    let settings = AuthSettings {
        keys: SigningKeys::parse("the-key-of-these-tests-which-is-long-enough").unwrap(),
        jwt: None,
    };
    Auth::new(settings, catalog.clone()).unwrap()
}

#[tokio::test]
async fn r21_content_beyond_the_length_ends_the_upload_also_for_the_holder_of_a_grant() {
    let open = Node::with(Setup::shared()).await;
    let setup = Setup {
        auth: judge,
        ..Setup::shared()
    };
    let node = open.beside_as(setup).await;
    for chunks in [None, Some(&[&b"cde"[..], b"f"][..])] {
        let path = created(&open, 5).await;
        append(&open, &path, 0, "?0", b"ab").await;
        let row = open.upload(id(&path)).await;
        let grant = UploadGrant {
            upload: row.id,
            size: row.size,
            content_type: row.content_type,
            expires_at: Timestamp(i64::MAX - 1_000_000),
        };
        let granted = format!(
            "{path}?access_token={}",
            judge(&node.catalog).sign_grant(&Tenant::single(), &grant)
        );
        assert_eq!(call(&node, "DELETE", &granted, &[], b"").await.status, 403);
        let headers = append_headers(2, "?0", "");
        let answer = match chunks {
            None => call(&node, "PATCH", &granted, &headers, b"cdef").await,
            Some(chunks) => call_chunked(&node, "PATCH", &granted, &headers, chunks).await,
        };
        assert_eq!(
            (answer.status, answer.value("upload-complete")),
            (400, "?0"),
            "{answer:?}"
        );
        assert_eq!(head(&node, &granted).await.status, 410, "{chunks:?}");
        let row = open.upload(id(&path)).await;
        let error = row.error.map(|failure| failure.reason);
        assert_eq!((row.state, error), (UploadState::Failed, Some(Reason::SizeExceeded)));
    }
}
