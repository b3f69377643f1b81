//! Uploads over tus, as one client of many connections would send them, all bytes from one buffer.

use std::{
    convert::Infallible,
    error::Error,
    io::Write as _,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Instant,
};

use bytes::Bytes;
use http::{
    Method, Request, Response, StatusCode, Uri,
    header::{CONTENT_LENGTH, CONTENT_TYPE, HOST, LOCATION},
};
use http_body_util::{BodyExt, StreamBody, combinators::BoxBody};
use hyper::{
    body::{Frame, Incoming},
    client::conn::http1::{SendRequest, handshake},
};
use hyper_util::rt::TokioIo;
use tokio::{net::TcpStream, task::JoinSet};
use tokio_stream::iter;

use crate::load::content;

type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;
type Body = BoxBody<Bytes, Infallible>;

/// The bytes that are handed to a connection at a time.
const PIECE_BYTES: usize = 256 << 10;

#[derive(Debug, Clone, clap::Args)]
pub(crate) struct TusArgs {
    /// Where uploads are created, for example `http://127.0.0.1:8080/files/`.
    #[arg(long)]
    url: Uri,
    /// How many uploads.
    #[arg(long, default_value_t = 1)]
    uploads: usize,
    /// The size of each, in KiB.
    #[arg(long)]
    kib: usize,
    /// The most bytes of one PATCH, in KiB.
    #[arg(long, default_value_t = usize::MAX >> 10)]
    patch_kib: usize,
    /// How many at once, each over a connection of its own.
    #[arg(long, default_value_t = 1)]
    at_once: usize,
}

pub(crate) async fn run(args: TusArgs) -> Result<(), Box<dyn Error>> {
    let args = Arc::new(args);
    let (next, piece) = (Arc::new(AtomicUsize::new(0)), content(PIECE_BYTES));
    let began = Instant::now();
    let mut running = JoinSet::new();
    for _ in 0..args.at_once {
        running.spawn(upload_some(Arc::clone(&args), Arc::clone(&next), piece.clone()));
    }
    while let Some(ended) = running.join_next().await {
        ended?.map_err(|error| error.to_string())?;
    }
    let report = serde_json::json!({ "seconds": began.elapsed().as_secs_f64() });
    Ok(writeln!(std::io::stdout(), "{report}")?)
}

/// Uploads one after the other over one connection, until none is left.
async fn upload_some(args: Arc<TusArgs>, next: Arc<AtomicUsize>, piece: Bytes) -> Outcome<()> {
    let mut connection = Connection::open(&args.url).await?;
    while next.fetch_add(1, Ordering::Relaxed) < args.uploads {
        let size = args.kib << 10;
        let file = connection.create(args.url.path(), size).await?;
        let mut offset = 0;
        while offset < size {
            let length = args.patch_kib.saturating_mul(1 << 10).min(size - offset);
            connection.patch(&file, offset, length, &piece).await?;
            offset += length;
        }
    }
    Ok(())
}

/// A connection that is kept open.
struct Connection {
    host: String,
    sender: SendRequest<Body>,
}

impl Connection {
    async fn open(url: &Uri) -> Outcome<Self> {
        let host = url.authority().ok_or("a URL without a host")?.to_string();
        let stream = TcpStream::connect(&host).await?;
        stream.set_nodelay(true)?;
        let (sender, connection) = handshake(TokioIo::new(stream)).await?;
        tokio::spawn(connection);
        Ok(Self { host, sender })
    }

    /// Creates an upload; gives the path to send its bytes to.
    async fn create(&mut self, path: &str, size: usize) -> Outcome<String> {
        let metadata = "filename YmVuY2guYmlu,preset bm9uZQ==";
        let request = self.request(Method::POST, path).header("Upload-Length", size);
        let request = request.header("Upload-Metadata", metadata).header(CONTENT_LENGTH, 0);
        let response = self
            .send(request.body(pieces(0, &Bytes::new()))?, StatusCode::CREATED)
            .await?;
        let location = response
            .headers()
            .get(LOCATION)
            .ok_or("no Location")?
            .to_str()?
            .to_owned();
        read(response).await?;
        Ok(location.parse::<Uri>()?.path().to_owned())
    }

    async fn patch(&mut self, file: &str, offset: usize, length: usize, piece: &Bytes) -> Outcome<()> {
        let request = self.request(Method::PATCH, file).header("Upload-Offset", offset);
        let request = request
            .header(CONTENT_TYPE, "application/offset+octet-stream")
            .header(CONTENT_LENGTH, length);
        let response = self
            .send(request.body(pieces(length, piece))?, StatusCode::NO_CONTENT)
            .await?;
        let told = response
            .headers()
            .get("Upload-Offset")
            .ok_or("no Upload-Offset")?
            .to_str()?;
        if told.parse::<usize>()? != offset + length {
            return Err(format!("{told} bytes are there, {} were sent", offset + length).into());
        }
        read(response).await
    }

    fn request(&self, method: Method, path: &str) -> http::request::Builder {
        let request = Request::builder().method(method).uri(path).header(HOST, &self.host);
        request.header("Tus-Resumable", "1.0.0")
    }

    async fn send(&mut self, request: Request<Body>, expected: StatusCode) -> Outcome<Response<Incoming>> {
        self.sender.ready().await?;
        let response = self.sender.send_request(request).await?;
        if response.status() == expected {
            return Ok(response);
        }
        let status = response.status();
        let said = response.into_body().collect().await?.to_bytes();
        Err(format!("{status}: {}", String::from_utf8_lossy(&said)).into())
    }
}

/// Reads an answer to its end, so that the connection is free again.
async fn read(response: Response<Incoming>) -> Outcome<()> {
    response.into_body().collect().await?;
    Ok(())
}

/// A body of so many bytes, which are those of the piece again and again.
fn pieces(length: usize, piece: &Bytes) -> Body {
    let (piece, step) = (piece.clone(), piece.len().max(1));
    let starts = (0..length).step_by(step);
    let frames = starts.map(move |start| Ok(Frame::data(piece.slice(..step.min(length - start)))));
    BodyExt::boxed(StreamBody::new(iter(frames)))
}
