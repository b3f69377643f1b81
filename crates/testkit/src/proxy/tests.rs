use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    time::{Instant, timeout},
};

use super::*;

/// Nothing that comes at all takes so long.
const SOON: Duration = Duration::from_secs(5);
/// What hasn't come by then was held.
const HELD: Duration = Duration::from_millis(200);

/// A proxy before a server that sends back what it gets.
async fn before_echo() -> FaultProxy {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            tokio::spawn(async move {
                let (mut from, mut to) = client.split();
                tokio::io::copy(&mut from, &mut to).await
            });
        }
    });
    FaultProxy::before(address).await
}

async fn connected(proxy: &FaultProxy) -> TcpStream {
    TcpStream::connect(proxy.address()).await.unwrap()
}

async fn sends(stream: &mut TcpStream, text: &[u8]) {
    stream.write_all(text).await.unwrap();
}

async fn hears(stream: &mut TcpStream, text: &[u8]) {
    let mut heard = vec![0; text.len()];
    timeout(SOON, stream.read_exact(&mut heard)).await.unwrap().unwrap();
    assert_eq!(heard, text);
}

async fn hears_nothing(stream: &mut TcpStream) {
    let heard = timeout(HELD, stream.read_u8()).await;
    assert!(heard.is_err(), "{heard:?}");
}

async fn is_reset(stream: &mut TcpStream) {
    let ended = timeout(SOON, stream.read_u8()).await.unwrap();
    assert_eq!(ended.unwrap_err().kind(), std::io::ErrorKind::ConnectionReset);
}

#[tokio::test]
async fn an_open_wire_carries_bytes_and_ends() {
    let proxy = before_echo().await;
    let mut stream = connected(&proxy).await;
    sends(&mut stream, b"hello").await;
    hears(&mut stream, b"hello").await;
    stream.shutdown().await.unwrap();
    let mut rest = Vec::new();
    timeout(SOON, stream.read_to_end(&mut rest)).await.unwrap().unwrap();
    assert!(rest.is_empty());
}

#[tokio::test]
async fn a_cut_resets_what_is_there_and_nothing_else() {
    let proxy = before_echo().await;
    let mut old = connected(&proxy).await;
    sends(&mut old, b"a").await;
    hears(&mut old, b"a").await;
    proxy.cut();
    is_reset(&mut old).await;
    let mut new = connected(&proxy).await;
    sends(&mut new, b"b").await;
    hears(&mut new, b"b").await;
}

#[tokio::test]
async fn a_refusing_wire_resets_everything_until_it_is_restored() {
    let proxy = before_echo().await;
    proxy.refuse();
    is_reset(&mut connected(&proxy).await).await;
    proxy.restore();
    let mut stream = connected(&proxy).await;
    sends(&mut stream, b"a").await;
    hears(&mut stream, b"a").await;
}

#[tokio::test]
async fn a_black_hole_delivers_nothing_and_closes_nothing() {
    let proxy = before_echo().await;
    let mut stream = connected(&proxy).await;
    sends(&mut stream, b"a").await;
    hears(&mut stream, b"a").await;
    proxy.blackhole();
    sends(&mut stream, b"b").await;
    stream.shutdown().await.unwrap();
    hears_nothing(&mut stream).await;
    let mut new = connected(&proxy).await;
    sends(&mut new, b"c").await;
    hears_nothing(&mut new).await;
    proxy.restore();
    hears(&mut stream, b"b").await;
    hears(&mut new, b"c").await;
}

#[tokio::test]
async fn each_direction_has_its_own_faults() {
    let proxy = before_echo().await;
    let mut stream = connected(&proxy).await;
    proxy.to_client(Way::HELD);
    sends(&mut stream, b"a").await;
    hears_nothing(&mut stream).await;
    proxy.to_client(Way::OPEN);
    hears(&mut stream, b"a").await;
    proxy.to_server(Way::late(HELD));
    let sent_at = Instant::now();
    sends(&mut stream, b"b").await;
    hears(&mut stream, b"b").await;
    assert!(sent_at.elapsed() >= HELD, "{:?}", sent_at.elapsed());
}

#[tokio::test]
async fn a_slow_wire_is_slow() {
    let proxy = before_echo().await;
    let mut stream = connected(&proxy).await;
    proxy.to_client(Way::slow(10_000));
    let (sent_at, bytes) = (Instant::now(), [7; 5000]);
    sends(&mut stream, &bytes).await;
    hears(&mut stream, &bytes).await;
    assert!(
        sent_at.elapsed() >= Duration::from_millis(400),
        "{:?}",
        sent_at.elapsed()
    );
}
