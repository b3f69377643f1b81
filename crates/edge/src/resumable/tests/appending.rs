//! Append (section 4.4).

use super::harness::*;

on_both!(
    r16_an_append_says_what_it_is,
    r17_another_offset_changes_nothing,
    r18_parts_are_acknowledged,
    r19_the_last_part_gets_the_final_response,
    r20_the_final_response_can_be_had_again,
    r20_the_length_that_was_told_completes_it,
    r12_the_length_can_come_later_and_never_changes,
    r12_a_length_below_what_is_there_is_refused,
    r21_content_beyond_the_length_ends_the_upload,
    r26_offsets_count_bytes_after_transfer_coding,
);

async fn r16_an_append_says_what_it_is(at: At) {
    let node = Node::start_at(at).await;
    let path = created(&node, 9).await;
    let (offset, complete) = ("Upload-Offset: 0", "Upload-Complete: ?0");
    for headers in [
        &[offset, complete][..],
        &[offset, complete, "Content-Type: application/offset+octet-stream"],
    ] {
        let answer = call(&node, "PATCH", &path, headers, b"abc").await;
        assert_eq!(
            (answer.status, answer.value("accept-patch")),
            (415, "application/partial-upload")
        );
    }
    for headers in [
        &[PARTIAL, complete][..],
        &[PARTIAL, offset],
        &[PARTIAL, complete, "Upload-Offset: abc"],
        &[PARTIAL, complete, "Upload-Offset: -1"],
        &[PARTIAL, complete, "Upload-Offset: 0, 0"],
        &[PARTIAL, offset, "Upload-Complete: 0"],
    ] {
        let answer = call(&node, "PATCH", &path, headers, b"abc").await;
        assert_eq!(
            (answer.status, answer.json()["reason"].as_str()),
            (400, Some("FIELD_INVALID")),
            "{headers:?}"
        );
    }
    assert_eq!(
        head(&node, &path).await.standing(),
        (204, "?0", 0),
        "nothing was stored"
    );
    let parameters = [
        "Content-Type: Application/Partial-Upload; a=b",
        "Upload-Offset: 00",
        complete,
    ];
    assert_eq!(
        call(&node, "PATCH", &path, &parameters, b"abc").await.standing(),
        (204, "?0", 3)
    );
}

async fn r17_another_offset_changes_nothing(at: At) {
    let node = Node::start_at(at).await;
    let path = created(&node, 9).await;
    append(&node, &path, 0, "?0", b"abc").await;
    for offset in [0, 2, 4, 9, 999_999_999_999_999] {
        let answer = append(&node, &path, offset, "?0", b"xyz").await;
        assert_eq!(
            (answer.standing(), answer.problem().as_str()),
            ((409, "?0", 3), "mismatching-upload-offset")
        );
        let told = answer.json();
        assert_eq!(
            (&told["expected-offset"], &told["provided-offset"]),
            (&3.into(), &offset.into())
        );
    }
    assert_eq!(
        append(&node, &path, 3, "?1", b"defghi").await.standing(),
        (201, "?1", 9)
    );
    assert_eq!(node.stored(id(&path)).await, b"abcdefghi");
}

async fn r18_parts_are_acknowledged(at: At) {
    let node = Node::start_at(at).await;
    let path = created_open(&node).await;
    for part in 0..5 {
        let answer = append(&node, &path, part * 3, "?0", b"abc").await;
        assert_eq!(answer.standing(), (204, "?0", i64::try_from(part).unwrap() * 3 + 3));
        assert_eq!(answer.header("location"), None);
    }
    assert_eq!(
        append(&node, &path, 15, "?0", b"").await.standing(),
        (204, "?0", 15),
        "none is fine"
    );
    assert_eq!(append(&node, &path, 15, "?1", b"").await.standing(), (201, "?1", 15));
    assert_eq!(node.stored(id(&path)).await, b"abcabcabcabcabc");
}

async fn r19_the_last_part_gets_the_final_response(at: At) {
    let node = Node::start_at(at).await;
    let path = created_open(&node).await;
    append(&node, &path, 0, "?0", b"abc").await;
    let answer = append(&node, &path, 3, "?1", b"de").await;
    assert_eq!(
        (answer.standing(), answer.value("upload-length")),
        ((201, "?1", 5), "5")
    );
    assert_eq!(answer.json()["id"], id(&path));
}

async fn r20_the_final_response_can_be_had_again(at: At) {
    let node = Node::start_at(at).await;
    let path = created(&node, 5).await;
    let first = append(&node, &path, 0, "?1", b"abcde").await;
    let again = append(&node, &path, 5, "?1", b"").await;
    assert_eq!((again.standing(), &again.body), (first.standing(), &first.body));
    let headers = append_headers(5, "?1", "");
    let again = call_chunked(&node, "PATCH", &path, &headers, &[]).await;
    assert_eq!((again.standing(), &again.body), (first.standing(), &first.body));

    let more = append(&node, &path, 5, "?1", b"f").await;
    assert_eq!(
        (more.standing(), more.problem().as_str()),
        ((400, "?1", 5), "inconsistent-upload-length")
    );
    let more = call_chunked(&node, "PATCH", &path, &headers, &[b"f"]).await;
    assert_eq!(
        (more.standing(), more.problem().as_str()),
        ((400, "?1", 5), "inconsistent-upload-length")
    );
    let elsewhere = append(&node, &path, 0, "?1", b"abcde").await;
    assert_eq!(
        (elsewhere.standing(), elsewhere.problem().as_str()),
        ((409, "?1", 5), "mismatching-upload-offset")
    );
    assert_eq!(node.stored(id(&path)).await, b"abcde", "it can't change any more");
}

async fn r20_the_length_that_was_told_completes_it(at: At) {
    let node = Node::start_at(at).await;
    let path = created(&node, 3).await;
    assert_eq!(append(&node, &path, 0, "?0", b"abc").await.standing(), (201, "?1", 3));
    assert_eq!(
        append(&node, &path, 3, "?1", b"").await.standing(),
        (201, "?1", 3),
        "and a client may say so"
    );
}

async fn r12_the_length_can_come_later_and_never_changes(at: At) {
    let node = Node::start_at(at).await;
    let path = created_open(&node).await;
    let with_length =
        |length: &'static str, offset: &'static str, complete: &'static str| [PARTIAL, offset, complete, length];
    let later = with_length("Upload-Length: 9", "Upload-Offset: 0", "Upload-Complete: ?0");
    assert_eq!(
        call(&node, "PATCH", &path, &later, b"abc").await.standing(),
        (204, "?0", 3)
    );
    assert_eq!(head(&node, &path).await.value("upload-length"), "9");
    for other in [
        with_length("Upload-Length: 8", "Upload-Offset: 3", "Upload-Complete: ?0"),
        with_length("Upload-Length: 10", "Upload-Offset: 3", "Upload-Complete: ?0"),
        with_length("Upload-Length: 1", "Upload-Offset: 3", "Upload-Complete: ?0"),
        with_length("X: none", "Upload-Offset: 3", "Upload-Complete: ?1"),
        with_length("Upload-Length: 9", "Upload-Offset: 3", "Upload-Complete: ?1"),
    ] {
        let answer = call(&node, "PATCH", &path, &other, b"def").await;
        assert_eq!(answer.problem(), "inconsistent-upload-length", "{other:?}");
        assert_eq!(answer.standing(), (400, "?0", 3), "{other:?}");
    }
    let same = with_length("Upload-Length: 9", "Upload-Offset: 3", "Upload-Complete: ?1");
    assert_eq!(
        call(&node, "PATCH", &path, &same, b"defghi").await.standing(),
        (201, "?1", 9)
    );
}

async fn r12_a_length_below_what_is_there_is_refused(at: At) {
    let node = Node::start_at(at).await;
    let path = created_open(&node).await;
    append(&node, &path, 0, "?0", b"abc").await;
    for length in ["Upload-Length: 2", "Upload-Length: 4"] {
        let headers = [PARTIAL, "Upload-Offset: 3", "Upload-Complete: ?0", length];
        let answer = call(&node, "PATCH", &path, &headers, b"de").await;
        assert_eq!(
            (answer.standing(), answer.problem().as_str()),
            ((400, "?0", 3), "inconsistent-upload-length")
        );
    }
}

async fn r21_content_beyond_the_length_ends_the_upload(at: At) {
    let node = Node::start_at(at).await;
    let headers = append_headers(2, "?0", "");
    for chunks in [None, Some(&[&b"cde"[..], b"f"][..]), Some(&[&b"c"[..], b"defg"])] {
        let path = created(&node, 5).await;
        append(&node, &path, 0, "?0", b"ab").await;
        let answer = match chunks {
            None => append(&node, &path, 2, "?0", b"cdef").await,
            Some(chunks) => call_chunked(&node, "PATCH", &path, &headers, chunks).await,
        };
        assert_eq!((answer.status, answer.value("upload-complete")), (400, "?0"));
        assert_eq!(answer.problem(), "inconsistent-upload-length");
        assert_eq!(head(&node, &path).await.status, 410, "{chunks:?}");
        assert_eq!(append(&node, &path, 2, "?1", b"cde").await.status, 410);
    }
}

async fn r26_offsets_count_bytes_after_transfer_coding(at: At) {
    let node = Node::start_at(at).await;
    let path = created_open(&node).await;
    let headers = append_headers(0, "?0", "");
    let answer = call_chunked(&node, "PATCH", &path, &headers, &[b"a", b"bc", b"def"]).await;
    assert_eq!(answer.standing(), (204, "?0", 6));
    let headers = append_headers(6, "?1", "");
    let answer = call_chunked(&node, "PATCH", &path, &headers, &[b"gh"]).await;
    assert_eq!(answer.standing(), (201, "?1", 8));
    assert_eq!(node.stored(id(&path)).await, b"abcdefgh");
}
