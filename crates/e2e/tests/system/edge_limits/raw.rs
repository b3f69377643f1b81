//! Bytes to and from a server, without a client in between that would be careful.

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

/// What a client of HTTP/2 begins with: the preface and an empty SETTINGS frame.
const HTTP2: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";

/// A connection.
pub(super) struct Raw(TcpStream);

impl Raw {
    pub(super) async fn connect(url: &str) -> Self {
        let address = url.strip_prefix("http://").expect("a plain URL");
        Self(TcpStream::connect(address).await.expect("it listens"))
    }

    /// A connection that has begun with HTTP/2.
    pub(super) async fn http2(url: &str) -> Self {
        let mut raw = Self::connect(url).await;
        assert!(raw.say(HTTP2).await);
        raw
    }

    /// Says something; no if the server doesn't listen any more.
    pub(super) async fn say(&mut self, bytes: &[u8]) -> bool {
        self.0.write_all(bytes).await.is_ok()
    }

    /// Reads what has come already, and forgets it. Says whether more may come.
    pub(super) fn drain(&mut self) -> bool {
        let mut sink = [0; 16 << 10];
        loop {
            match self.0.try_read(&mut sink) {
                Ok(0) => return false,
                Ok(_) => {}
                Err(error) => return error.kind() == std::io::ErrorKind::WouldBlock,
            }
        }
    }

    /// Everything until the server closes.
    pub(super) async fn rest(&mut self) -> Vec<u8> {
        let mut heard = Vec::new();
        // A connection that is closed on unread bytes is reset.
        let _ = self.0.read_to_end(&mut heard).await;
        heard
    }

    /// Reads an HTTP/1 answer up to the end of its head.
    pub(super) async fn head(&mut self) -> String {
        let mut heard = Vec::new();
        while !heard.windows(4).any(|end| end == b"\r\n\r\n") {
            assert_ne!(self.0.read_buf(&mut heard).await.expect("an answer"), 0);
        }
        String::from_utf8_lossy(&heard).into_owned()
    }
}

/// The whole answer to a request, of which the head is given without its end.
pub(super) async fn ask(url: &str, head: &str) -> String {
    let mut raw = Raw::connect(url).await;
    raw.say(format!("{head}Connection: close\r\n\r\n").as_bytes()).await;
    String::from_utf8_lossy(&raw.rest().await).into_owned()
}

/// A frame of HTTP/2 (RFC 9113 section 4.1).
pub(super) fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).expect("a small frame").to_be_bytes();
    let mut frame = vec![length[1], length[2], length[3], kind, flags];
    frame.extend(stream.to_be_bytes());
    frame.extend(payload);
    frame
}

/// The headers of a request, by which a stream begins; literal ones are not put into any table (RFC 7541 section 6.2.2).
pub(super) fn headers(stream: u32, method: &str, path: &str, others: &[(&str, &str)]) -> Vec<u8> {
    const HEADERS: u8 = 1;
    const END_HEADERS: u8 = 4;
    // `:scheme: http` has a place in the static table.
    let mut block = vec![0x86];
    let pseudo = [(":method", method), (":path", path), (":authority", "h")];
    for (name, value) in pseudo.iter().chain(others) {
        block.push(0);
        for text in [name, value] {
            block.push(
                u8::try_from(text.len())
                    .ok()
                    .filter(|length| *length < 127)
                    .expect("a short text"),
            );
            block.extend(text.as_bytes());
        }
    }
    frame(HEADERS, END_HEADERS, stream, &block)
}
