//! WebSockets.

use std::time::Duration;

use rand::{Rng as _, SeedableRng as _, rngs::StdRng};
use reelway_domain::JobId;
use serde_json::Value;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::timeout,
};
use tokio_stream::StreamExt as _;
use tokio_tungstenite::{
    MaybeTlsStream, WebSocketStream, connect_async,
    tungstenite::{Error, Message, client::IntoClientRequest as _, http::HeaderValue},
};

use super::{
    assert_gapless,
    harness::{Live, SIZE, Setup},
    reader::{PATIENCE, Reader},
    seq,
};

/// A script's side of a WebSocket.
struct Script(WebSocketStream<MaybeTlsStream<TcpStream>>);

/// What a script is told.
#[derive(Debug)]
enum Told {
    Message(Value),
    Closed(u16, String),
}

impl Script {
    async fn connect(live: &Live, path: &str) -> Self {
        let connected = connect_async(format!("ws://{}{path}", live.address)).await;
        Self(connected.unwrap().0)
    }

    async fn next(&mut self) -> Told {
        loop {
            let next = timeout(PATIENCE, self.0.next()).await.expect("a sign of life");
            match next.expect("a closing before the end").unwrap() {
                Message::Text(text) => return Told::Message(serde_json::from_str(&text).unwrap()),
                Message::Close(Some(frame)) => return Told::Closed(frame.code.into(), frame.reason.to_string()),
                Message::Ping(_) | Message::Pong(_) => {}
                other => panic!("{other:?}"),
            }
        }
    }

    async fn message(&mut self) -> Value {
        match self.next().await {
            Told::Message(message) => message,
            Told::Closed(code, reason) => panic!("{code} {reason}"),
        }
    }

    async fn closed(&mut self) -> (u16, String) {
        loop {
            if let Told::Closed(code, reason) = self.next().await {
                return (code, reason);
            }
        }
    }
}

fn token(message: &Value) -> String {
    // As it is, with its plus signs and slashes: a script escapes it.
    url::form_urlencoded::byte_serialize(message["resumeToken"].as_str().unwrap().as_bytes()).collect()
}

fn path(job: JobId, token: &str) -> String {
    format!("/v1/jobs/{job}/ws?resume_token={token}")
}

#[tokio::test]
async fn a_script_that_is_cut_anywhere_misses_nothing() {
    let live = Live::start().await;
    let (upload, job) = live.job().await;
    let mut random = StdRng::seed_from_u64(11);
    let first = Script::connect(&live, &path(job, "")).await.message().await;
    let begun = first["snapshot"]["entries"][0]["job"]["eventSeq"]
        .as_str()
        .unwrap()
        .parse::<i64>()
        .unwrap();
    let mut last = token(&first);
    let happen = async {
        for round in 0..60 {
            live.work().await;
            live.sample(upload, SIZE + round);
        }
        live.cancel(job).await;
    };
    let watch = async {
        let mut seqs = Vec::new();
        loop {
            let mut script = Script::connect(&live, &path(job, &last)).await;
            for _ in 0..random.random_range(1..9) {
                let message = match script.next().await {
                    Told::Message(message) => message,
                    Told::Closed(code, _) => {
                        assert_eq!(code, 1000);
                        return seqs;
                    }
                };
                last = token(&message);
                if let Some(event) = message.get("event") {
                    seqs.push(seq(event));
                }
            }
        }
    };
    let (seqs, ()) = tokio::join!(watch, happen);
    assert_gapless(&seqs, begun + 1, live.last_seq(job).await);
    let mut again = Script::connect(&live, &path(job, &last)).await;
    assert!(again.message().await.get("snapshot").is_some());
    assert_eq!(again.closed().await, (1000, "END".to_owned()));
}

#[tokio::test]
async fn closing_says_why() {
    let live = Live::start().await;
    let (_, job) = live.job().await;
    for (path, code, reason) in [
        (path(JobId::new(), ""), 4404, "JOB_NOT_FOUND"),
        (path(job, "garbage!"), 4410, "RESUME_TOKEN_INVALID"),
        (path(job, "Z2FyYmFnZQ=="), 4410, "RESUME_TOKEN_INVALID"),
        ("/v1/uploads/x/ws".to_owned(), 4400, "FIELD_INVALID"),
    ] {
        let mut script = Script::connect(&live, &path).await;
        assert_eq!(script.closed().await, (code, reason.to_owned()), "{path}");
    }
    let mut everything = Script::connect(&live, "/v1/ws").await;
    everything.message().await;
    live.shutdown.cancel();
    assert_eq!(everything.closed().await, (1001, "SHUTTING_DOWN".to_owned()));
}

#[tokio::test]
async fn what_a_script_says_is_ignored_and_bounded() {
    use futures_util::SinkExt as _;
    let live = Live::start().await;
    let (_, job) = live.job().await;
    let mut script = Script::connect(&live, &path(job, "")).await;
    script.message().await;
    script.0.send(Message::text("hello")).await.unwrap();
    live.work().await;
    assert_eq!(
        seq(&script.message().await["event"]) + 1,
        seq(&script.message().await["event"])
    );
    script.0.send(Message::text("x".repeat(5_000))).await.unwrap();
    assert_eq!(script.closed().await, (1002, "MESSAGE_UNREADABLE".to_owned()));

    let mut script = Script::connect(&live, &path(job, "")).await;
    for _ in 0..300 {
        if script.0.send(Message::binary(vec![0])).await.is_err() {
            break;
        }
    }
    assert_eq!(script.closed().await, (1008, "MESSAGES_TOO_MANY".to_owned()));
}

#[tokio::test]
async fn who_answers_no_ping_is_closed() {
    let mut setup = Setup::default();
    setup.pace.ping_every = Duration::from_millis(30);
    let live = Live::with(setup).await;
    let (_, job) = live.job().await;
    // It answers nothing, not even a ping.
    let mut dead = TcpStream::connect(live.address).await.unwrap();
    let handshake = format!(
        "GET {} HTTP/1.1\r\nHost: edge\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
        path(job, "")
    );
    dead.write_all(handshake.as_bytes()).await.unwrap();
    let mut heard = Vec::new();
    let read = timeout(PATIENCE, dead.read_to_end(&mut heard)).await;
    read.expect("the connection is closed").unwrap();
    let ping = [0x89, 0];
    let close = [&[0x88, 17][..], &4408_u16.to_be_bytes(), b"PING_UNANSWERED"].concat();
    assert!(heard.windows(2).any(|bytes| bytes == ping), "{heard:?}");
    assert!(heard.ends_with(&close), "{heard:?}");

    // Who answers is still there.
    let mut script = Script::connect(&live, &path(job, "")).await;
    let mut pings = 0;
    while pings < 5 {
        let next = timeout(PATIENCE, script.0.next()).await.expect("a sign of life");
        match next.expect("it goes on").unwrap() {
            Message::Ping(_) => pings += 1,
            Message::Close(frame) => panic!("{frame:?}"),
            _ => {}
        }
    }
}

#[tokio::test]
async fn only_pages_that_may_can_connect() {
    let setup = Setup {
        origins: vec!["https://app.example".parse().unwrap()],
        ..Setup::default()
    };
    let live = Live::with(setup).await;
    let from = async |origin: &str, protocols: Option<&str>| {
        let mut request = format!("ws://{}/v1/ws", live.address).into_client_request().unwrap();
        let headers = request.headers_mut();
        headers.insert("origin", origin.parse().unwrap());
        if let Some(protocols) = protocols {
            headers.insert("sec-websocket-protocol", HeaderValue::from_str(protocols).unwrap());
        }
        connect_async(request).await
    };
    for own in [format!("http://{}", live.address), "https://app.example".to_owned()] {
        let (_, answer) = from(&own, None).await.unwrap();
        assert!(answer.headers().get("sec-websocket-protocol").is_none());
    }
    let (_, answer) = from("https://app.example", Some("one, two")).await.unwrap();
    assert_eq!(answer.headers()["sec-websocket-protocol"], "one");
    for other in ["https://evil.example", "null", "https://app.example.evil.example"] {
        let Err(Error::Http(refused)) = from(other, None).await else {
            panic!("{other} may connect")
        };
        assert_eq!(refused.status(), 403, "{other}");
    }
}

#[tokio::test]
async fn what_is_no_handshake_is_a_problem() {
    let live = Live::start().await;
    let (_, job) = live.job().await;
    let answer = Reader::get(live.address, &format!("/v1/jobs/{job}/ws"), "").await;
    assert_eq!(answer.status, 400);
    assert!(answer.head.contains("sec-websocket-version: 13"), "{}", answer.head);
    assert_eq!(answer.problem().await["reason"], "FIELD_INVALID");
}
