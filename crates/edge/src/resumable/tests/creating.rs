//! Creation (section 4.2).

use reelway::v1::UploadState;

use super::harness::*;

on_both!(
    r3_options_tells_that_uploads_can_be_resumed,
    r7_r8_no_interim_answer_whatever_the_version,
    r9_r11_a_part_makes_an_upload_to_go_on_with,
    r10_the_whole_gets_the_final_response,
    r10_without_the_field_it_is_an_upload_in_one_request,
    r10_empty_uploads,
    r12_the_length_is_recorded,
    r12_lengths_that_contradict_each_other_create_nothing,
    r12_content_that_ends_too_early_completes_nothing,
    r21_content_beyond_the_length_ends_the_upload,
    r27_a_client_that_waits_is_told_to_go_on_or_refused_at_once,
);

async fn r3_options_tells_that_uploads_can_be_resumed(at: At) {
    let node = Node::start_at(at).await;
    for path in ["/uploads", "/uploads/"] {
        let answer = call(&node, "OPTIONS", path, &[], b"").await;
        assert_eq!(answer.status, 204);
        assert_eq!(answer.value("accept-patch"), "application/partial-upload");
        let max = reelway_domain::limits::UPLOAD_BYTES_MAX;
        assert_eq!(answer.value("upload-limit"), format!("max-size={max}, min-size=0"));
    }
}

async fn r7_r8_no_interim_answer_whatever_the_version(at: At) {
    let node = Node::start_at(at).await;
    for version in [
        "Upload-Draft-Interop-Version: 8",
        "Upload-Draft-Interop-Version: 5",
        "X: none",
    ] {
        let answer = call(&node, "POST", "/uploads", &["Upload-Complete: ?1", version], b"abc").await;
        assert_eq!(answer.standing(), (201, "?1", 3), "{version}");
        assert_eq!(
            answer.header("upload-draft-interop-version"),
            None,
            "only a 104 names it"
        );
    }
}

async fn r9_r11_a_part_makes_an_upload_to_go_on_with(at: At) {
    let node = Node::start_at(at).await;
    for method in ["POST", "PUT", "PATCH"] {
        let headers = ["Upload-Complete: ?0", "Upload-Length: 10"];
        let answer = call(&node, method, "/uploads/", &headers, b"0123").await;
        assert_eq!(answer.standing(), (201, "?0", 4));
        assert_eq!(answer.value("upload-length"), "10");
        assert!(answer.value("upload-limit").contains("max-age="), "{answer:?}");
        assert_eq!(head(&node, &answer.location()).await.standing(), (204, "?0", 4));
        let done = append(&node, &answer.location(), 4, "?1", b"456789").await;
        assert_eq!(done.standing(), (201, "?1", 10));
        assert_eq!(done.location(), answer.location(), "one place in all answers");
        assert_eq!(node.stored(id(&answer.location())).await, b"0123456789");
    }
}

async fn r10_the_whole_gets_the_final_response(at: At) {
    let node = Node::start_at(at).await;
    let headers = [
        "Upload-Complete: ?1",
        "Content-Type: video/mp4",
        "Content-Disposition: inline; filename=\"a b.mp4\"",
    ];
    let content = content(3 << 20);
    let answer = call(&node, "POST", "/uploads?preset=fast", &headers, &content).await;
    assert_eq!(answer.standing(), (201, "?1", 3 << 20));
    assert_eq!(answer.value("content-type"), "application/json");
    let told = answer.json();
    assert_eq!(format!("/uploads/{}", told["id"].as_str().unwrap()), answer.location());
    assert_eq!(
        (&told["state"], &told["sizeBytes"]),
        (&"UPLOAD_STATE_COMPLETE".into(), &"3145728".into())
    );
    assert_eq!(
        (&told["contentType"], &told["fileName"]),
        (&"video/mp4".into(), &"a b.mp4".into())
    );
    assert!(told["jobId"].as_str().unwrap().starts_with("job_"), "{told}");
    assert!(node.stored(told["id"].as_str().unwrap()).await == content);
}

async fn r10_without_the_field_it_is_an_upload_in_one_request(at: At) {
    let node = Node::start_at(at).await;
    let answer = call(&node, "POST", "/uploads?preset=none", &[], b"abc").await;
    assert_eq!(answer.standing(), (201, "?1", 3));
    assert_eq!(answer.json()["jobId"], "", "the preset counts");
    let answer = call_chunked(&node, "PUT", "/uploads", &[], &[b"ab", b"cd"]).await;
    assert_eq!(answer.standing(), (201, "?1", 4));
    assert_eq!(node.stored(id(&answer.location())).await, b"abcd");
    let curls = ["Content-Type: application/x-www-form-urlencoded"];
    let answer = call(&node, "POST", "/uploads", &curls, b"abc").await;
    assert_eq!(answer.json()["contentType"], "", "nobody meant that");
}

async fn r10_empty_uploads(at: At) {
    let node = Node::start_at(at).await;
    for headers in [
        &["Upload-Complete: ?1"][..],
        &["Upload-Complete: ?1", "Upload-Length: 0"],
        &[],
    ] {
        let answer = call(&node, "POST", "/uploads", headers, b"").await;
        assert_eq!(answer.standing(), (201, "?1", 0), "{headers:?}");
    }
    let answer = call_chunked(&node, "POST", "/uploads", &["Upload-Complete: ?0"], &[]).await;
    assert_eq!(answer.standing(), (201, "?0", 0), "only a place to go on");
}

async fn r12_the_length_is_recorded(at: At) {
    let node = Node::start_at(at).await;
    let path = created(&node, 9).await;
    assert_eq!(head(&node, &path).await.value("upload-length"), "9");
    let open = created_open(&node).await;
    assert_eq!(head(&node, &open).await.header("upload-length"), None);
}

async fn r12_lengths_that_contradict_each_other_create_nothing(at: At) {
    let node = Node::start_at(at).await;
    for headers in [
        ["Upload-Complete: ?1", "Upload-Length: 9"],
        ["Upload-Complete: ?1", "Upload-Length: 2"],
        ["Upload-Complete: ?0", "Upload-Length: 2"],
    ] {
        let answer = call(&node, "POST", "/uploads", &headers, b"abc").await;
        assert_eq!(
            (answer.status, answer.problem().as_str()),
            (400, "inconsistent-upload-length"),
            "{headers:?}"
        );
    }
    assert!(uploads(&node).await.is_empty());
}

async fn r12_content_that_ends_too_early_completes_nothing(at: At) {
    let node = Node::start_at(at).await;
    let headers = ["Upload-Complete: ?1", "Upload-Length: 9"];
    let answer = call_chunked(&node, "POST", "/uploads", &headers, &[b"abc"]).await;
    assert_eq!(answer.problem(), "inconsistent-upload-length");
    assert_eq!(answer.standing(), (400, "?0", 3));
    let path = answer.location();
    assert_eq!(head(&node, &path).await.standing(), (204, "?0", 3));
    assert_eq!(
        append(&node, &path, 3, "?1", b"defghi").await.standing(),
        (201, "?1", 9)
    );
}

async fn r21_content_beyond_the_length_ends_the_upload(at: At) {
    let node = Node::start_at(at).await;
    for headers in [
        ["Upload-Complete: ?0", "Upload-Length: 4"],
        ["Upload-Complete: ?1", "Upload-Length: 4"],
    ] {
        let answer = call_chunked(&node, "POST", "/uploads", &headers, &[b"abcd", b"e"]).await;
        assert_eq!(
            (answer.status, answer.problem().as_str()),
            (400, "inconsistent-upload-length")
        );
        assert_eq!(uploads(&node).await[0].state(), UploadState::Failed);
    }
}

async fn r27_a_client_that_waits_is_told_to_go_on_or_refused_at_once(at: At) {
    let node = Node::start_at(at).await;
    let headers = ["Upload-Complete: ?1", "Content-Length: 3", "Expect: 100-continue"];
    let mut wire = begun(&node, "POST", "/uploads", &headers).await;
    assert_eq!(wire.answer("POST").await.status, 100);
    wire.write(b"abc").await;
    assert_eq!(wire.answer("POST").await.standing(), (201, "?1", 3));

    let headers = [&headers[..], &["Content-Encoding: gzip"]].concat();
    let mut wire = begun(&node, "POST", "/uploads", &headers).await;
    assert_eq!(wire.answer("POST").await.status, 415, "nothing has to be sent");
}
