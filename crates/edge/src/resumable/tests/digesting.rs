//! Digests (section 10, RFC 9530).

use base64::{Engine as _, engine::general_purpose::STANDARD};
use sha2::{Digest as _, Sha256, Sha512};

use super::harness::*;

on_both!(
    r25_content_is_verified_before_it_counts,
    r25_content_of_a_creation_is_verified,
    r25_the_whole_is_verified_at_its_end,
    r25_the_digest_is_told_to_who_wants_it,
);

fn sha256(field: &str, content: &[u8]) -> String {
    format!("{field}: sha-256=:{}:", STANDARD.encode(Sha256::digest(content)))
}

fn sha512(field: &str, content: &[u8]) -> String {
    format!("{field}: sha-512=:{}:", STANDARD.encode(Sha512::digest(content)))
}

async fn r25_content_is_verified_before_it_counts(at: At) {
    let node = Node::start_at(at).await;
    let path = created_open(&node).await;
    let appended = async |offset: usize, digest: &str, content: &[u8]| {
        call(&node, "PATCH", &path, &append_headers(offset, "?0", digest), content).await
    };
    let content = content(100_000);
    let right = appended(0, &sha256("Content-Digest", &content), &content).await;
    assert_eq!(right.standing(), (204, "?0", 100_000));
    for wrong in [
        sha256("Content-Digest", b"other"),
        sha512("Content-Digest", b"other"),
        "Content-Digest: sha-256=:AAAA:".to_owned(),
    ] {
        let answer = appended(100_000, &wrong, b"abc").await;
        assert_eq!(answer.standing(), (400, "?0", 100_000), "{wrong}");
        assert_eq!(answer.json()["reason"], "CHUNK_CHECKSUM_MISMATCH");
    }
    let malformed = appended(100_000, "Content-Digest: sha-256=AAAA", b"abc").await;
    assert_eq!(
        (malformed.status, malformed.json()["reason"].as_str()),
        (400, Some("FIELD_INVALID"))
    );
    assert_eq!(head(&node, &path).await.standing(), (204, "?0", 100_000));
    let right = appended(100_000, &sha512("content-digest", b"abc"), b"abc").await;
    assert_eq!(right.standing(), (204, "?0", 100_003));
    let unknown = appended(100_003, "Content-Digest: unixsum=:AAAA:", b"abc").await;
    assert_eq!(unknown.standing(), (204, "?0", 100_006), "other algorithms are ignored");
}

async fn r25_content_of_a_creation_is_verified(at: At) {
    let node = Node::start_at(at).await;
    let right = sha256("Content-Digest", b"abc");
    let answer = call(&node, "POST", "/uploads", &["Upload-Complete: ?1", &right], b"abc").await;
    assert_eq!(answer.standing(), (201, "?1", 3));
    let answer = call(&node, "POST", "/uploads", &["Upload-Complete: ?1", &right], b"abd").await;
    assert_eq!(answer.standing(), (400, "?0", 0));
    let again = append(&node, &answer.location(), 0, "?1", b"abc").await;
    assert_eq!(again.standing(), (201, "?1", 3), "the place is there to try again");
}

async fn r25_the_whole_is_verified_at_its_end(at: At) {
    let node = Node::start_at(at).await;
    let whole = sha256("Repr-Digest", b"abcdef");
    let headers = ["Upload-Complete: ?0", "Upload-Length: 6", &whole];
    for (rest, is_right) in [(b"def", true), (b"xyz", false)] {
        let created = call(&node, "POST", "/uploads", &headers, b"abc").await;
        assert_eq!(created.standing(), (201, "?0", 3));
        let done = append(&node, &created.location(), 3, "?1", rest).await;
        if is_right {
            assert_eq!(done.standing(), (201, "?1", 6));
            continue;
        }
        assert_eq!(
            (done.status, done.value("upload-complete")),
            (400, "?1"),
            "it came and it is wrong"
        );
        assert_eq!(done.json()["reason"], "FILE_CHECKSUM_MISMATCH");
        let told = head(&node, &created.location()).await;
        assert_eq!(
            (told.status, told.value("upload-complete")),
            (410, "?1"),
            "it is not processed any further"
        );
    }
}

async fn r25_the_digest_is_told_to_who_wants_it(at: At) {
    let node = Node::start_at(at).await;
    let whole = sha256("repr-digest", b"abc");
    let (_, value) = whole.split_once(": ").unwrap();
    let with = async |wish: &str| {
        let headers = ["Upload-Complete: ?1", &whole, wish];
        call(&node, "POST", "/uploads", &headers, b"abc")
            .await
            .header("repr-digest")
            .map(str::to_owned)
    };
    assert_eq!(with("Want-Repr-Digest: sha-256=5").await.as_deref(), Some(value));
    assert_eq!(with("Want-Repr-Digest: sha-256=0").await, None);
    let unknown = ["Upload-Complete: ?1", "Want-Repr-Digest: sha-256=5"];
    let answer = call(&node, "POST", "/uploads", &unknown, b"abc").await;
    assert_eq!(answer.header("repr-digest"), None, "nobody made one");
}
