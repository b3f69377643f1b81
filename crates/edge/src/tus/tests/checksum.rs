//! checksum and checksum-trailer.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use md5::Md5;
use sha1::Sha1;
use sha2::{Digest as _, Sha256};

use super::*;
use crate::testing::{content, until, wire::Wire};

on_both!(
    cs1_cs2_every_algorithm_that_is_listed_is_verified,
    cs3_a_wrong_digest_drops_the_chunk,
    cs4_cs5_what_cannot_be_verified_is_refused,
    cs6_what_a_cut_leaves_unverified_does_not_count,
    cs7_the_checksum_may_come_as_a_trailer,
    cs8_without_the_trailer_nothing_counts,
);

/// What the header says of these bytes.
fn checksum(algorithm: &str, data: &[u8]) -> String {
    let digest = match algorithm {
        "sha1" => Sha1::digest(data).to_vec(),
        "sha256" => Sha256::digest(data).to_vec(),
        "md5" => Md5::digest(data).to_vec(),
        "crc32c" => crc32c::crc32c(data).to_be_bytes().to_vec(),
        other => panic!("{other} is not known"),
    };
    format!("{algorithm} {}", STANDARD.encode(digest))
}

async fn cs1_cs2_every_algorithm_that_is_listed_is_verified(at: At) {
    let node = Node::start_at(at).await;
    let options = node.send("OPTIONS", "/files/", &[], b"").await;
    let listed = options.header("tus-checksum-algorithm").unwrap().to_owned();
    assert_eq!(listed, "sha1,sha256,md5,crc32c");
    let whole = content(700_000);
    for algorithm in listed.split(',') {
        let path = created(&node, whole.len()).await;
        for (at, piece) in [(0, &whole[..300_000]), (300_000, &whole[300_000..])] {
            let told = checksum(algorithm, piece);
            let answer = patch_with(&node, &path, at, &[("Upload-Checksum", &told)], piece).await;
            assert_eq!(answer.status, 204, "{algorithm}: {answer:?}");
        }
        assert_eq!(node.stored(id(&path)).await, whole);
    }
}

async fn cs3_a_wrong_digest_drops_the_chunk(at: At) {
    let node = Node::start_at(at).await;
    let whole = content(600_000);
    let path = created(&node, whole.len()).await;
    appended(&node, &path, 0, &whole[..100_000]).await;
    let piece = &whole[100_000..];
    let other = checksum("sha1", b"other bytes");
    // 28 characters of base64 that are 21 bytes.
    let wrong_length = format!("sha1 {}", "a".repeat(28));
    for wrong in [other.as_str(), &wrong_length] {
        let answer = patch_with(&node, &path, 100_000, &[("Upload-Checksum", wrong)], piece).await;
        assert_eq!(
            (answer.status, answer.header("upload-offset")),
            (460, Some("100000")),
            "{wrong}"
        );
        assert_eq!(offset(&node, &path).await, 100_000);
    }
    let right = checksum("sha1", piece);
    assert_eq!(
        patch_with(&node, &path, 100_000, &[("Upload-Checksum", &right)], piece)
            .await
            .status,
        204
    );
    assert_eq!(node.stored(id(&path)).await, whole);
}

async fn cs4_cs5_what_cannot_be_verified_is_refused(at: At) {
    let node = Node::start_at(at).await;
    let path = created(&node, 3).await;
    for wrong in [
        "sha512 qZk+NkcGgWq6PiVxeFDCbJzQ2J0=",
        "sha1",
        "sha1 ***",
        "SHA1 qZk+NkcGgWq6PiVxeFDCbJzQ2J0=",
        "",
    ] {
        let answer = patch_with(&node, &path, 0, &[("Upload-Checksum", wrong)], b"abc").await;
        assert_eq!(answer.status, 400, "{wrong}");
        assert_eq!(offset(&node, &path).await, 0);
    }
}

async fn cs6_what_a_cut_leaves_unverified_does_not_count(at: At) {
    let node = Node::start_at(at).await;
    let whole = content(600_000);
    let path = created(&node, whole.len()).await;
    appended(&node, &path, 0, &whole[..50_000]).await;
    let piece = &whole[50_000..];
    let told = checksum("sha1", piece);
    for sent in [1, 400_000, piece.len() - 1] {
        let mut wire = Wire::connect(node.address).await;
        let length = piece.len().to_string();
        let headers = [
            TUS,
            OCTETS,
            ("Upload-Offset", "50000"),
            ("Upload-Checksum", &told),
            ("Content-Length", &length),
        ];
        let before = node.upload(id(&path)).await.writer_epoch.0;
        wire.head("PATCH", &path, &headers).await;
        wire.write(&piece[..sent]).await;
        until(async || node.upload(id(&path)).await.writer_epoch.0 > before).await;
        wire.reset();
        assert_eq!(offset(&node, &path).await, 50_000, "{sent}");
    }
    assert_eq!(
        patch_with(&node, &path, 50_000, &[("Upload-Checksum", &told)], piece)
            .await
            .status,
        204
    );
    assert_eq!(node.stored(id(&path)).await, whole);
}

/// A chunked PATCH with trailers.
async fn with_trailer(node: &Node, path: &str, data: &[u8], trailers: &[(&str, &str)]) -> Answer {
    let mut wire = Wire::connect(node.address).await;
    let announced = ("Trailer", "Upload-Checksum");
    let chunked = ("Transfer-Encoding", "chunked");
    wire.head(
        "PATCH",
        path,
        &[TUS, OCTETS, ("Upload-Offset", "0"), announced, chunked],
    )
    .await;
    for piece in data.chunks(100_000) {
        wire.chunk(piece).await;
    }
    wire.write(b"0\r\n").await;
    for (name, value) in trailers {
        wire.write(format!("{name}: {value}\r\n").as_bytes()).await;
    }
    wire.write(b"\r\n").await;
    wire.answer("PATCH").await
}

async fn cs7_the_checksum_may_come_as_a_trailer(at: At) {
    let node = Node::start_at(at).await;
    let whole = content(350_000);
    for algorithm in ["sha1", "sha256", "md5", "crc32c"] {
        let path = created(&node, whole.len()).await;
        let wrong = checksum(algorithm, b"other bytes");
        assert_eq!(
            with_trailer(&node, &path, &whole, &[("Upload-Checksum", &wrong)])
                .await
                .status,
            460
        );
        assert_eq!(offset(&node, &path).await, 0);
        let right = checksum(algorithm, &whole);
        assert_eq!(
            with_trailer(&node, &path, &whole, &[("upload-checksum", &right)])
                .await
                .status,
            204
        );
        assert_eq!(node.stored(id(&path)).await, whole);
    }
    let path = created(&node, whole.len()).await;
    assert_eq!(
        with_trailer(&node, &path, &whole, &[("Upload-Checksum", "sha512 YQ==")])
            .await
            .status,
        400
    );
    assert_eq!(offset(&node, &path).await, 0);
}

async fn cs8_without_the_trailer_nothing_counts(at: At) {
    let node = Node::start_at(at).await;
    let path = created(&node, 3).await;
    assert_eq!(with_trailer(&node, &path, b"abc", &[]).await.status, 460);
    assert_eq!(with_trailer(&node, &path, b"abc", &[("Other", "x")]).await.status, 460);
    assert_eq!(offset(&node, &path).await, 0);
    let announced = ("Trailer", "Upload-Checksum");
    assert_eq!(
        patch_with(&node, &path, 0, &[announced], b"abc").await.status,
        460,
        "no trailers without chunks"
    );
    assert_eq!(offset(&node, &path).await, 0);
}
