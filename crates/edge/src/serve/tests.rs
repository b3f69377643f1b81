use std::net::SocketAddr;

use axum::{body::Body, routing::get};
use bytes::Bytes;
use futures_util::stream;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    task::JoinHandle,
    time::Instant,
};

use super::{
    head::{HEAD_MAX, KEPT_MAX},
    *,
};

/// An empty SETTINGS frame of HTTP/2 after the preface.
const SETTINGS: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";

struct Server {
    address: SocketAddr,
    shutdown: CancellationToken,
    serving: JoinHandle<io::Result<()>>,
}

impl Server {
    async fn start(router: Router, connections: Connections, grace: Duration) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (address, shutdown) = (listener.local_addr().unwrap(), CancellationToken::new());
        let serving = tokio::spawn(serve(listener, router, connections, shutdown.clone(), grace));
        Self {
            address,
            shutdown,
            serving,
        }
    }

    async fn plain() -> Self {
        Self::start(hello(), Connections::default(), Duration::ZERO).await
    }

    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    /// All that the server says to this, until it closes the connection.
    async fn told(&self, said: &[u8]) -> String {
        let mut stream = self.connect().await;
        stream.write_all(said).await.unwrap();
        rest(&mut stream).await
    }
}

fn hello() -> Router {
    Router::new().route("/", get(async || "hello"))
}

async fn rest(stream: &mut TcpStream) -> String {
    let mut heard = Vec::new();
    // A connection that is closed on unread bytes is reset.
    let _ = stream.read_to_end(&mut heard).await;
    String::from_utf8_lossy(&heard).into_owned()
}

/// Reads an answer up to the end of its body.
async fn answer(stream: &mut TcpStream, end: &str) -> String {
    let mut heard = Vec::new();
    while !heard.ends_with(end.as_bytes()) {
        assert_ne!(
            stream.read_buf(&mut heard).await.unwrap(),
            0,
            "{}",
            String::from_utf8_lossy(&heard)
        );
    }
    String::from_utf8_lossy(&heard).into_owned()
}

// Time is advanced when there is nothing else to do.
#[tokio::test(start_paused = true)]
async fn whoever_does_not_ask_in_time_is_cut_off() {
    let server = Server::plain().await;
    for said in [
        &b""[..],
        b"P",
        b"GET / HTTP/1.1\r\nslow: ",
        b"GET / HTTP/1.1\r\nHost: h\r\n",
        SETTINGS,
    ] {
        let begun = Instant::now();
        server.told(said).await;
        let (took, limit) = (begun.elapsed(), HEAD_MAX);
        assert!(
            limit <= took && took <= limit + Duration::from_millis(100),
            "{took:?} for {said:?}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_connection_is_kept_for_the_next_request_which_must_come_as_a_whole() {
    let server = Server::plain().await;
    let mut stream = server.connect().await;
    let mut last = Instant::now();
    for (further, limit) in [(&b""[..], KEPT_MAX), (b"GET / HT", HEAD_MAX)] {
        stream.write_all(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n").await.unwrap();
        answer(&mut stream, "hello").await;
        stream.write_all(further).await.unwrap();
        assert_eq!(rest(&mut stream).await, "");
        let took = last.elapsed();
        assert!(limit <= took && took <= limit + Duration::from_millis(100), "{took:?}");
        stream = server.connect().await;
        last = Instant::now();
    }
}

#[tokio::test]
async fn heads_are_limited() {
    let server = Server::plain().await;
    let ask = |headers: &str| format!("GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n{headers}\r\n");
    assert!(server.told(ask("").as_bytes()).await.starts_with("HTTP/1.1 200"));
    let many = (0..100).map(|n| format!("x-{n}: y\r\n")).collect::<String>();
    let large = format!("x: {}\r\n", "y".repeat(40 << 10));
    for headers in [many, large] {
        let heard = server.told(ask(&headers).as_bytes()).await;
        assert!(heard.starts_with("HTTP/1.1 431"), "{heard}");
    }
    // Two lengths in one request are how requests are smuggled past proxies.
    for headers in [
        "Content-Length: 1\r\nContent-Length: 2\r\n",
        "X: a\r\n b\r\n",
        "X : a\r\n",
        "Content-Length: +1\r\n",
    ] {
        let heard = server.told(ask(headers).as_bytes()).await;
        assert!(heard.starts_with("HTTP/1.1 400"), "{headers}: {heard}");
    }
}

#[tokio::test]
async fn one_address_does_not_get_all_connections() {
    let connections = Connections {
        per_address_max: 2,
        ..Connections::default()
    };
    let server = Server::start(hello(), connections, Duration::ZERO).await;
    let mut own = [server.connect().await, server.connect().await];
    for stream in &mut own {
        stream.write_all(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n").await.unwrap();
        answer(stream, "hello").await;
    }
    assert_eq!(rest(&mut server.connect().await).await, "", "the third is closed");
    drop(own);
    while server
        .told(b"GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
        .await
        .is_empty()
    {}
}

/// Answers in two parts; the second when somebody says so.
fn in_parts(go: CancellationToken) -> Router {
    let body = move || {
        let go = go.clone();
        let second = async move {
            go.cancelled().await;
            Ok::<_, io::Error>(Bytes::from_static(b"second"))
        };
        let first = stream::iter([Ok(Bytes::from_static(b"first"))]);
        Body::from_stream(futures_util::StreamExt::chain(first, stream::once(second)))
    };
    Router::new().route("/", get(async move || body()))
}

#[tokio::test]
async fn answers_under_way_end_and_nothing_new_begins() {
    let go = CancellationToken::new();
    let server = Server::start(in_parts(go.clone()), Connections::default(), Duration::from_secs(3600)).await;
    let mut idle = server.connect().await;
    let mut stream = server.connect().await;
    stream.write_all(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n").await.unwrap();
    answer(&mut stream, "first\r\n").await;
    server.shutdown.cancel();
    assert_eq!(rest(&mut idle).await, "", "whoever has asked for nothing is sent away");
    while TcpStream::connect(server.address).await.is_ok() {}
    go.cancel();
    assert!(rest(&mut stream).await.contains("second"));
    server.serving.await.unwrap().unwrap();
}

#[tokio::test]
async fn the_end_is_bounded() {
    let server = Server::start(
        in_parts(CancellationToken::new()),
        Connections::default(),
        Duration::from_millis(50),
    )
    .await;
    let mut stream = server.connect().await;
    stream.write_all(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n").await.unwrap();
    answer(&mut stream, "first\r\n").await;
    server.shutdown.cancel();
    server.serving.await.unwrap().unwrap();
}
