//! The same over HTTP/2.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use futures_util::stream;
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response};
use http_body_util::{BodyExt, StreamBody, combinators::BoxBody};
use hyper::{
    body::{Frame, Incoming},
    client::conn::http2::{self, SendRequest},
};
use hyper_util::rt::{TokioExecutor, TokioIo};
use sha1::Digest as _;
use tokio::{net::TcpStream, sync::mpsc};
use tokio_stream::wrappers::ReceiverStream;

use super::*;
use crate::testing::{content, patient, until};

on_both!(
    bytes_are_appended_in_turn_and_side_by_side,
    cs7_trailers_are_read,
    c18_a_stream_that_is_reset_keeps_what_arrived,
);

type Frames = Result<Frame<Bytes>, std::io::Error>;
type Client = SendRequest<BoxBody<Bytes, std::io::Error>>;

async fn connect(node: &Node) -> Client {
    let stream = TcpStream::connect(node.address).await.unwrap();
    let (client, connection) = http2::handshake(TokioExecutor::new(), TokioIo::new(stream))
        .await
        .unwrap();
    tokio::spawn(connection);
    client
}

async fn send_frames(
    client: &mut Client,
    uri: &str,
    headers: &[(&'static str, &str)],
    frames: impl futures_util::Stream<Item = Frames> + Send + Sync + 'static,
) -> hyper::Result<Response<Incoming>> {
    let mut request = Request::patch(uri)
        .header("tus-resumable", "1.0.0")
        .header(OCTETS.0, OCTETS.1);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let request = request.body(BodyExt::boxed(StreamBody::new(frames))).unwrap();
    patient(client.send_request(request)).await
}

fn offset_of(response: &Response<Incoming>) -> Option<&str> {
    response.headers().get("upload-offset")?.to_str().ok()
}

async fn bytes_are_appended_in_turn_and_side_by_side(at: At) {
    let node = Node::start_at(at).await;
    let whole = content(2 << 20);
    let mut client = connect(&node).await;
    let mut uploads = Vec::new();
    for _ in 0..4 {
        let path = created(&node, whole.len()).await;
        let (whole, uri) = (whole.clone(), node.url(&path));
        let mut client = client.clone();
        let sending = tokio::spawn(async move {
            let frames: Vec<_> = whole
                .chunks(50_000)
                .map(|piece| Ok(Frame::data(Bytes::copy_from_slice(piece))))
                .collect();
            send_frames(&mut client, &uri, &[("upload-offset", "0")], stream::iter(frames)).await
        });
        uploads.push((path, sending));
    }
    for (path, sending) in uploads {
        let response = sending.await.unwrap().unwrap();
        assert_eq!(
            (response.status().as_u16(), offset_of(&response)),
            (204, Some("2097152"))
        );
        assert!(node.stored(id(&path)).await == whole);
    }
    let unknown = node.url("/files/unknown");
    let response = send_frames(&mut client, &unknown, &[("upload-offset", "0")], stream::empty())
        .await
        .unwrap();
    assert_eq!(response.status().as_u16(), 404);
}

async fn cs7_trailers_are_read(at: At) {
    let node = Node::start_at(at).await;
    let whole = content(300_000);
    let mut client = connect(&node).await;
    let path = created(&node, whole.len()).await;
    let digest = |data: &[u8]| format!("sha1 {}", STANDARD.encode(sha1::Sha1::digest(data)));
    for (told, status, at) in [(digest(b"x"), 460, "0"), (digest(&whole), 204, "300000")] {
        let trailers = HeaderMap::from_iter([(
            HeaderName::from_static("upload-checksum"),
            HeaderValue::try_from(told).unwrap(),
        )]);
        let frames = [Frame::data(Bytes::from(whole.clone())), Frame::trailers(trailers)].map(Ok);
        let headers = [("upload-offset", "0"), ("trailer", "upload-checksum")];
        let response = send_frames(&mut client, &node.url(&path), &headers, stream::iter(frames))
            .await
            .unwrap();
        assert_eq!((response.status().as_u16(), offset_of(&response)), (status, Some(at)));
    }
    assert!(node.stored(id(&path)).await == whole);
}

async fn c18_a_stream_that_is_reset_keeps_what_arrived(at: At) {
    let node = Node::start_at(at).await;
    let whole = content(300_000);
    let mut client = connect(&node).await;
    let path = created(&node, whole.len()).await;
    let (sender, receiver) = mpsc::channel::<Frames>(1);
    let uri = node.url(&path);
    let sending = tokio::spawn(async move {
        let frames = ReceiverStream::new(receiver);
        send_frames(&mut client, &uri, &[("upload-offset", "0")], frames)
            .await
            .map(|_| ())
    });
    sender
        .send(Ok(Frame::data(Bytes::copy_from_slice(&whole[..100_000]))))
        .await
        .unwrap();
    until(async || node.has_come(id(&path), 100_000).await).await;
    sender.send(Err(std::io::Error::other("cut"))).await.unwrap();
    assert!(sending.await.unwrap().is_err());
    assert_eq!(offset(&node, &path).await, 100_000);
}
