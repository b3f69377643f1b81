//! What a public server must hold out against: clients that are slow, many, or lie about who they are.

mod floods;
mod playback;
mod raw;
mod tls;

use std::time::{Duration, Instant};

use crate::harness::{Node, tool};
use raw::{Raw, ask};

/// How long the head of a request may take; and with room for a busy machine.
const HEAD: std::ops::Range<Duration> = Duration::from_secs(9)..Duration::from_secs(20);

#[tokio::test(flavor = "multi_thread")]
async fn slow_heads_are_cut_off_and_hold_up_nobody() {
    let node = Node::start().await;
    let begun = Instant::now();
    let slow = (0..100).map(|n| {
        let address = node.http_url();
        tokio::spawn(async move {
            let mut raw = Raw::connect(&address).await;
            let said = [
                &b""[..],
                b"P",
                b"GET / HTTP/1.1\r\nHost: h\r\n",
                b"POST /files/ HTTP/1.1\r\nx: ",
            ][n % 4];
            raw.say(said).await;
            raw.rest().await;
            begun.elapsed()
        })
    });
    let slow: Vec<_> = slow.collect();
    let asked = Instant::now();
    let answer = ask(&node.http_url(), "OPTIONS /files/ HTTP/1.1\r\nHost: h\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert!(asked.elapsed() < HEAD.start, "{:?}", asked.elapsed());
    for cut in slow {
        let took = cut.await.expect("its end");
        assert!(HEAD.contains(&took), "{took:?}");
    }
}

/// What the answer to a creation says the upload's address is.
async fn location(node: &Node, headers: &str) -> String {
    let creation =
        format!("POST /files/ HTTP/1.1\r\nHost: h:1\r\nTus-Resumable: 1.0.0\r\nUpload-Length: 1\r\n{headers}");
    let answer = ask(&node.http_url(), &creation).await;
    assert!(answer.starts_with("HTTP/1.1 201"), "{answer}");
    let line = answer.lines().find_map(|line| line.strip_prefix("location: "));
    line.expect("an address").to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn only_a_trusted_proxy_says_who_calls() {
    const SAID: &str =
        "X-Forwarded-For: 203.0.113.7\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Host: video.example\r\n";
    let limit = ["--rate-per-address", "1/h"];
    let node = Node::with(&limit).await;
    // It comes from loopback, which has no limit, whatever it says.
    for _ in 0..3 {
        let address = location(&node, SAID).await;
        assert!(address.starts_with("http://h:1/files/"), "{address}");
    }
    let node = Node::with(&[&limit[..], &["--trusted-proxy", "127.0.0.0/8"]].concat()).await;
    let address = location(&node, SAID).await;
    assert!(address.starts_with("https://video.example/files/"), "{address}");
    let again = format!("OPTIONS /files/ HTTP/1.1\r\nHost: h\r\n{SAID}");
    let refused = ask(&node.http_url(), &again).await;
    assert!(refused.starts_with("HTTP/1.1 429"), "{refused}");
    // What a client writes itself stands further left than what the proxy adds.
    let lied = again.replace("203.0.113.7", "198.51.100.9, 203.0.113.7");
    assert!(ask(&node.http_url(), &lied).await.starts_with("HTTP/1.1 429"));
    let other = again.replace("203.0.113.7", "203.0.113.8");
    assert!(ask(&node.http_url(), &other).await.starts_with("HTTP/1.1 200"));
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_of_other_origins_call_only_if_they_are_listed() {
    const PREFLIGHT: &str = "OPTIONS /files/ HTTP/1.1\r\nHost: h\r\nAccess-Control-Request-Method: PATCH\r\nOrigin: ";
    const TUS: &str = "OPTIONS /files/ HTTP/1.1\r\nHost: h\r\nOrigin: ";
    let closed = Node::start().await;
    let open = Node::with(&["--cors-origin", "https://app.example"]).await;
    for (node, page, is_allowed) in [
        (&open, "https://app.example", true),
        (&open, "https://app.example.evil", false),
        (&open, "null", false),
        (&closed, "https://app.example", false),
    ] {
        let preflight = ask(&node.http_url(), &format!("{PREFLIGHT}{page}\r\n")).await;
        assert_eq!(
            preflight.contains("access-control-allow-headers: "),
            is_allowed,
            "{page}: {preflight}"
        );
        let allowed = "access-control-allow-origin: https://app.example\r\n";
        for answer in [preflight, ask(&node.http_url(), &format!("{TUS}{page}\r\n")).await] {
            assert_eq!(answer.contains(allowed), is_allowed, "{page}: {answer}");
            assert_eq!(
                answer.contains("access-control-allow-origin"),
                is_allowed,
                "{page}: {answer}"
            );
        }
        let protocol = ask(&node.http_url(), &format!("{TUS}{page}\r\n")).await;
        assert!(protocol.contains("tus-version: 1.0.0\r\n"), "{protocol}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_writes_headers_of_answers() {
    let node = Node::start().await;
    let url = node.http_url();
    // In the body it is quoted.
    let head = |answer: &str| answer.split("\r\n\r\n").next().unwrap_or_default().to_ascii_lowercase();
    let is_clean = |answer: &str| !head(answer).contains("x-injected") && !head(answer).contains("evil.example");
    // "clip.mp4\r\nX-Injected: 1" as the name and the type of a file.
    let evil = "Y2xpcC5tcDQNClgtSW5qZWN0ZWQ6IDE=";
    let metadata = format!("Upload-Metadata: filename {evil},filetype {evil}\r\n");
    let creation =
        format!("POST /files/ HTTP/1.1\r\nHost: h\r\nTus-Resumable: 1.0.0\r\nUpload-Length: 1\r\n{metadata}");
    let created = ask(&url, &creation).await;
    assert!(is_clean(&created), "{created}");
    if let Some(address) = created.lines().find_map(|line| line.strip_prefix("location: http://h")) {
        let head = ask(
            &url,
            &format!("HEAD {address} HTTP/1.1\r\nHost: h\r\nTus-Resumable: 1.0.0\r\n"),
        )
        .await;
        assert!(head.starts_with("HTTP/1.1 200") && is_clean(&head), "{head}");
    }
    for (request, status) in [
        (
            "POST /files/ HTTP/1.1\r\nHost: evil.example/x?\r\nTus-Resumable: 1.0.0\r\nUpload-Length: 1\r\n",
            "201",
        ),
        ("GET /v1/uploads/%0d%0aX-Injected:1 HTTP/1.1\r\nHost: h\r\n", "4"),
        (
            "GET /v1/uploads?access_token=x%0d%0aX-Injected:1 HTTP/1.1\r\nHost: h\r\n",
            "200",
        ),
        (
            "HEAD /files/%0d%0aX-Injected:1 HTTP/1.1\r\nHost: h\r\nTus-Resumable: 1.0.0\r\n",
            "4",
        ),
        ("GET /play/%0d%0aX-Injected:1/a HTTP/1.1\r\nHost: h\r\n", "4"),
        ("GET / HTTP/1.1\r\nHost: h\r\nX: a\rX-Injected: 1\r\n", "400"),
        ("GET / HTTP/1.1\r\nHost: h\r\nX : a\r\n", "400"),
        (
            "GET / HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n",
            "4",
        ),
    ] {
        let answer = ask(&url, request).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{request}: {answer}");
        assert!(is_clean(&answer), "{request}: {answer}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn settings_that_do_not_fit_together_are_refused() {
    for (options, named) in [
        (&["--tls-cert", "/nowhere.pem"][..], "--tls-cert"),
        (&["--tls-client-ca", "/nowhere.pem"], "--tls-client-ca"),
        (
            &["--tls-cert", "/nowhere.pem", "--tls-key", "/nowhere.pem"],
            "--tls-cert",
        ),
        (&["--cors-origin", "app.example"], "--cors-origin"),
        (&["--trusted-proxy", "proxy.example"], "--trusted-proxy"),
    ] {
        let mut command = crate::harness::reelway(["serve"]);
        command.args(options).args(["--data", "/nowhere"]);
        let ended = crate::harness::Process::spawn(command)
            .ended(Duration::from_secs(30))
            .await;
        assert_eq!(ended.code, Some(2), "{options:?}: {ended:#?}");
        assert!(ended.err.join("\n").contains(named), "{options:?}: {ended:#?}");
    }
    assert!(
        tool("curl", &["--version"]).await.contains("HTTP2"),
        "the other tests speak HTTP/2 by curl"
    );
}
