//! What players are told: types, tags and compression; and only with a token, if that is wanted.

use std::time::Duration;

use hyper::StatusCode;

use crate::harness::{Clip, Node, Playback, clip, get, tool};

/// A short clip is done long before.
const JOB_MAX: Duration = Duration::from_secs(120);

/// What curl hears: the head in small letters, and how long the body is.
async fn heard(url: &str, args: &[&str]) -> (String, usize) {
    let said = tool("curl", &[&["-sS", "-i", "--output", "-"], args, &[url]].concat()).await;
    let (head, body) = said.split_once("\r\n\r\n").expect("a head");
    (head.to_ascii_lowercase(), body.len())
}

#[tokio::test(flavor = "multi_thread")]
async fn signed_playback_opens_one_job_and_relative_names_carry_the_token() {
    let node = Node::with(&["--playback", "signed"]).await;
    let upload = node.upload(&clip(Clip::short(2)).await, "fast").await;
    let job = node.job_ended(&upload.job_id, JOB_MAX).await;
    let url = job.playback_url.clone();
    assert!(url.contains("/play/~"), "{url}");
    assert_eq!(node.job(&job.id).await.playback_url, url, "an answer stays the same");

    let played = Playback::fetch(&url, &node.dir().join("played")).await;
    assert!(
        !played.variants.is_empty() && played.types.len() > 3,
        "{:?}",
        played.types
    );
    let (master, _) = heard(&url, &["-H", "Accept-Encoding: gzip", "--http1.1", "--head"]).await;
    for told in [
        "200 ok",
        "content-type: application/vnd.apple.mpegurl",
        "content-encoding: gzip",
        "vary: accept-encoding",
        "cache-control: private, max-age=60",
        "access-control-allow-origin: *",
        "x-content-type-options: nosniff",
    ] {
        assert!(master.contains(told), "{told}: {master}");
    }
    let tag = master
        .lines()
        .find_map(|line| line.strip_prefix("etag: "))
        .expect("a tag")
        .to_owned();
    let known = format!("If-None-Match: {tag}");
    let (again, body) = heard(&url, &["-H", "Accept-Encoding: gzip", "-H", &known, "--http1.1"]).await;
    assert!(again.contains("304 not modified") && body == 0, "{again}");

    let (address, rest) = url.split_once("/play/~").expect("a token");
    let (token, path) = rest.split_once('/').expect("a job");
    let other = format!("job_{}", "0".repeat(32));
    let elsewhere = path.replace(&job.id, &other);
    // Whether there is such a job makes no difference.
    for (path, reason) in [
        (path.to_owned(), "CREDENTIALS_MISSING"),
        (elsewhere.clone(), "CREDENTIALS_MISSING"),
        (format!("~{token}/{elsewhere}"), "CREDENTIALS_INVALID"),
        (format!("~{}/{path}", token.to_ascii_uppercase()), "CREDENTIALS_INVALID"),
    ] {
        let answer = get(&format!("{address}/play/{path}")).await;
        assert_eq!(answer.status(), StatusCode::UNAUTHORIZED, "{path}");
        assert!(
            String::from_utf8_lossy(answer.body()).contains(reason),
            "{path}: {:?}",
            answer.body()
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn segments_come_in_ranges_for_as_long_as_they_are_the_same() {
    let node = Node::start().await;
    let upload = node.upload(&clip(Clip::short(2)).await, "fast").await;
    let url = node.job_ended(&upload.job_id, JOB_MAX).await.playback_url;
    let (poster, length) = (url.replace("master.m3u8", "poster.jpg"), "content-length: 10\r\n");
    let (whole, _) = heard(&poster, &["--head"]).await;
    assert!(
        whole.contains("content-type: image/jpeg") && whole.contains("accept-ranges: bytes"),
        "{whole}"
    );
    let tag = whole
        .lines()
        .find_map(|line| line.strip_prefix("etag: "))
        .expect("a tag")
        .to_owned();
    let same = format!("If-Range: {tag}");
    for (headers, status, is_part) in [
        (&["-H", "Range: bytes=0-9"][..], "206 partial content", true),
        (&["-H", "Range: bytes=0-9", "-H", &same], "206 partial content", true),
        (
            &["-H", "Range: bytes=0-9", "-H", "If-Range: \"other\""],
            "200 ok",
            false,
        ),
        (&["-H", "Range: bytes=0-3,6-9"], "200 ok", false),
        (&["-H", "Range: bytes=99999999-"], "416 range not satisfiable", false),
    ] {
        let (head, _) = heard(&poster, &[headers, &["--head"]].concat()).await;
        assert!(head.contains(status), "{headers:?}: {head}");
        assert_eq!(format!("{head}\r\n").contains(length), is_part, "{headers:?}: {head}");
    }
}
