//! A reader of Server-Sent Events that shows what is on the wire, and can stop at any byte.

use std::{net::SocketAddr, time::Duration};

use serde_json::Value;
use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader},
    net::{TcpSocket, TcpStream},
    time::timeout,
};

use super::harness::SOCKET_BYTES;

/// Longer than anything takes here, unless it hangs.
pub(super) const PATIENCE: Duration = Duration::from_secs(30);

/// One block of the stream.
#[derive(Debug, Default, Clone, PartialEq)]
pub(super) struct Block {
    pub(super) id: Option<String>,
    pub(super) event: String,
    pub(super) data: String,
    pub(super) comment: String,
    pub(super) retry: Option<u64>,
}

impl Block {
    pub(super) fn json(&self) -> Value {
        serde_json::from_str(&self.data).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

/// A stream of events, or the answer that came instead.
pub(super) struct Reader {
    wire: BufReader<TcpStream>,
    pub(super) status: u16,
    /// In small letters.
    pub(super) head: String,
    /// What of the body was read and not yet made a block of.
    text: String,
    /// The id of the last whole block that had one.
    pub(super) last_id: String,
}

/// How a stream went on.
#[derive(Debug, PartialEq)]
pub(super) enum Next {
    Block(Block),
    /// The body came to its end.
    End,
    /// The connection broke off.
    Cut,
}

impl Reader {
    /// Asks for a path, with a last id if there is one.
    pub(super) async fn get(address: SocketAddr, path: &str, last_id: &str) -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_recv_buffer_size(SOCKET_BYTES).unwrap();
        let mut wire = BufReader::with_capacity(1 << 10, socket.connect(address).await.unwrap());
        let resume = match last_id {
            "" => String::new(),
            id => format!("Last-Event-ID: {id}\r\n"),
        };
        let request = format!("GET {path} HTTP/1.1\r\nHost: edge\r\nAccept: text/event-stream\r\n{resume}\r\n");
        wire.get_mut().write_all(request.as_bytes()).await.unwrap();
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            let read = timeout(PATIENCE, wire.read_line(&mut head)).await.expect("an answer");
            assert_ne!(read.unwrap(), 0, "{head}");
        }
        Self {
            wire,
            status: head.split(' ').nth(1).unwrap().parse().unwrap(),
            head: head.to_lowercase(),
            text: String::new(),
            last_id: last_id.to_owned(),
        }
    }

    /// The body of an answer that is not a stream.
    pub(super) async fn problem(mut self) -> Value {
        assert!(self.head.contains("application/problem+json"), "{}", self.head);
        let length = self.head.split("content-length: ").nth(1).expect("a length");
        let mut body = vec![0; length.split("\r\n").next().unwrap().parse().unwrap()];
        self.wire.read_exact(&mut body).await.unwrap();
        serde_json::from_slice(&body).unwrap()
    }

    /// The next block of whatever kind.
    pub(super) async fn next(&mut self) -> Next {
        timeout(PATIENCE, self.read()).await.expect("a sign of life")
    }

    /// The next block of a stream that goes on.
    pub(super) async fn block(&mut self) -> Block {
        match self.next().await {
            Next::Block(block) => block,
            other => panic!("{other:?}"),
        }
    }

    /// The next block with an event of this name.
    pub(super) async fn event(&mut self, name: &str) -> Block {
        loop {
            let block = self.block().await;
            if block.event == name {
                return block;
            }
        }
    }

    async fn read(&mut self) -> Next {
        loop {
            if let Some((block, rest)) = self.text.split_once("\n\n") {
                let (block, rest) = (parse(block), rest.to_owned());
                self.text = rest;
                self.last_id = block.id.clone().unwrap_or_else(|| self.last_id.clone());
                return Next::Block(block);
            }
            match self.chunk().await {
                Ok(chunk) if chunk.is_empty() => return Next::End,
                Ok(chunk) => self
                    .text
                    .push_str(std::str::from_utf8(&chunk).expect("blocks are not torn")),
                Err(_) => return Next::Cut,
            }
        }
    }

    /// One chunk of the body (RFC 9112, section 7.1).
    async fn chunk(&mut self) -> std::io::Result<Vec<u8>> {
        let mut line = String::new();
        if self.wire.read_line(&mut line).await? == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        let length = usize::from_str_radix(line.trim_end(), 16).expect("the length of a chunk");
        let mut chunk = vec![0; length + 2];
        self.wire.read_exact(&mut chunk).await?;
        chunk.truncate(length);
        Ok(chunk)
    }
}

fn parse(text: &str) -> Block {
    let mut block = Block::default();
    for line in text.lines() {
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "" => block.comment.push_str(value),
            "id" => block.id = Some(value.to_owned()),
            "event" => value.clone_into(&mut block.event),
            "data" => block.data.push_str(value),
            "retry" => block.retry = Some(value.parse().unwrap()),
            other => panic!("no field of an event: {other}"),
        }
    }
    block
}
