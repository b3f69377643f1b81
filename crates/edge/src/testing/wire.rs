//! HTTP/1.1 byte by byte: what is sent, when, and how the connection ends.

use std::{fmt::Write as _, net::SocketAddr};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use super::patient;

/// One connection.
pub(crate) struct Wire {
    stream: TcpStream,
    read: Vec<u8>,
}

/// One answer.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    /// The header's only line, by its name in small letters.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self.headers.iter().filter(|(other, _)| other == name);
        let line = lines.next();
        assert!(lines.next().is_none(), "{name} stands twice");
        line.map(|(_, value)| value.as_str())
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    /// The path that Location names.
    pub(crate) fn location(&self) -> String {
        let url = url::Url::parse(self.header("location").expect("a location")).unwrap();
        url.path().to_owned()
    }

    /// The id at the end of Location.
    pub(crate) fn id(&self) -> String {
        self.location().rsplit('/').next().unwrap().to_owned()
    }
}

impl Wire {
    pub(crate) async fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        Self {
            stream,
            read: Vec::new(),
        }
    }

    /// Sends bytes as they are. A peer that has gone is found out by who reads.
    pub(crate) async fn write(&mut self, bytes: &[u8]) {
        let _ = patient(self.stream.write_all(bytes)).await;
    }

    /// Sends the head of a request.
    pub(crate) async fn head(&mut self, method: &str, path: &str, headers: &[(&str, &str)]) {
        let mut head = format!(
            "{method} {path} HTTP/1.1\r\nHost: {}\r\n",
            self.stream.peer_addr().unwrap()
        );
        for (name, value) in headers {
            write!(head, "{name}: {value}\r\n").unwrap();
        }
        head.push_str("\r\n");
        self.write(head.as_bytes()).await;
    }

    /// Sends a whole request. Its length is told unless the headers tell it in another way.
    pub(crate) async fn request(&mut self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) {
        let length = body.len().to_string();
        let mut headers = headers.to_vec();
        let told = headers.iter().any(|(name, _)| {
            name.eq_ignore_ascii_case("content-length") || name.eq_ignore_ascii_case("transfer-encoding")
        });
        if !told && (!body.is_empty() || matches!(method, "POST" | "PATCH" | "PUT")) {
            headers.push(("Content-Length", &length));
        }
        self.head(method, path, &headers).await;
        self.write(body).await;
    }

    /// Sends one piece of a chunked body; an empty one ends it.
    pub(crate) async fn chunk(&mut self, data: &[u8]) {
        self.write(format!("{:x}\r\n", data.len()).as_bytes()).await;
        self.write(data).await;
        self.write(b"\r\n").await;
    }

    /// Reads the answer to a request with this method.
    pub(crate) async fn answer(&mut self, method: &str) -> Answer {
        let answer = patient(self.try_answer(method)).await;
        answer.expect("the connection was closed before the answer")
    }

    /// The same; `None` if the connection ends before it.
    pub(crate) async fn try_answer(&mut self, method: &str) -> Option<Answer> {
        let end = loop {
            if let Some(end) = self.read.windows(4).position(|bytes| bytes == b"\r\n\r\n") {
                break end;
            }
            self.read_more().await?;
        };
        let head: Vec<u8> = self.read.drain(..end + 4).collect();
        let head = String::from_utf8(head).unwrap();
        let mut lines = head.trim_end().split("\r\n");
        let status = lines.next()?.split(' ').nth(1)?.parse().ok()?;
        let headers = lines.map(|line| {
            let (name, value) = line.split_once(':').expect("a header");
            (name.to_ascii_lowercase(), value.trim().to_owned())
        });
        let mut answer = Answer {
            status,
            headers: headers.collect(),
            body: Vec::new(),
        };
        let has_body = method != "HEAD" && status >= 200 && status != 204 && status != 304;
        if has_body {
            assert_eq!(answer.header("transfer-encoding"), None, "answers have a length here");
            let length = answer
                .header("content-length")
                .map_or(0, |length| length.parse().unwrap());
            while self.read.len() < length {
                self.read_more().await?;
            }
            answer.body = self.read.drain(..length).collect();
        }
        Some(answer)
    }

    async fn read_more(&mut self) -> Option<()> {
        let mut buffer = [0; 4096];
        let length = self.stream.read(&mut buffer).await.ok().filter(|length| *length > 0)?;
        self.read.extend_from_slice(&buffer[..length]);
        Some(())
    }

    /// Waits until the other side has closed the connection, with FIN or RST.
    pub(crate) async fn closed(&mut self) {
        patient(async { while self.read_more().await.is_some() {} }).await;
    }

    /// Ends the connection with FIN.
    pub(crate) fn close(self) {
        drop(self.stream);
    }

    /// Ends it with RST.
    pub(crate) fn reset(self) {
        self.stream.set_zero_linger().unwrap();
        drop(self.stream);
    }
}
