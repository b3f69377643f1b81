//! Progress in a browser: over Server-Sent Events and WebSockets, from the upload to what can be played, with connections that are
//! cut and a server that dies.

use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt as _;
use http_body_util::{BodyExt as _, Empty};
use hyper::{Request, StatusCode, body::Incoming};
use hyper_util::{client::legacy::Client, rt::TokioExecutor};
use rand::Rng as _;
use reelway::v1;
use serde_json::Value;
use tokio::time::timeout;
use tokio_tungstenite::{connect_async, tungstenite::Message};

use crate::harness::{Clip, Node, children_of, clip, within_secs};

const CLIP: Clip = Clip::short(30);
/// No server is silent for so long, with all that this machine has to do.
const SILENCE_MAX: Duration = Duration::from_secs(60);

/// What a browser keeps of a stream of events.
#[derive(Default)]
struct Page {
    last_id: String,
    /// The number of the last event that the first snapshot tells of.
    first: i64,
    seqs: Vec<i64>,
    was_playable: bool,
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_sees_each_event_once_over_cuts_and_a_kill() {
    let mut node = Node::start().await;
    let file = clip(CLIP).await;
    let upload = node.upload(&file, "fast").await;
    let path = format!("{}/v1/jobs/{}/events", node.http_url(), upload.job_id);
    let mut page = Page::default();
    assert!(page.read(&path, 3).await, "there is something to tell");
    within_secs(60, "an encoder", async || !children_of(node.pid(), "ffmpeg").is_empty()).await;
    node.kill9().await;
    node.restart().await;
    let mut random = rand::rng();
    while page.read(&path, random.random_range(1..20)).await {}

    let job = node.job(&upload.job_id).await;
    assert_eq!(job.state(), v1::JobState::Succeeded, "{job:?}");
    assert_eq!(page.seqs, (page.first + 1..=job.event_seq).collect::<Vec<_>>());
    assert!(page.was_playable);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_script_hears_that_the_server_goes_and_goes_on_after_it() {
    let mut node = Node::start().await;
    let everything = format!("{}/v1/ws", node.http_url().replace("http://", "ws://"));
    let (mut socket, _) = connect_async(&everything).await.expect("a handshake");
    let snapshot = message(socket.next().await.expect("a snapshot").expect("a message"));
    assert!(snapshot.get("snapshot").is_some(), "{snapshot}");

    let file = clip(CLIP).await;
    let upload = node.upload(&file, "fast").await;
    let mut script = Script::default();
    while script.seqs.is_empty() {
        script.take(&next(&mut socket).await.expect("it goes on"));
    }
    let leave = async {
        assert_eq!(node.terminate().await.code, Some(0));
    };
    let hear = async {
        loop {
            match next(&mut socket).await {
                Ok(told) => script.take(&told),
                Err(code) => return code,
            }
        }
    };
    let ((), code) = tokio::join!(leave, hear);
    assert_eq!(code, 1001, "going away");

    node.restart().await;
    let resumed = format!("{everything}?resume_token={}", script.token.replace('+', "%2B"));
    let (mut socket, _) = connect_async(resumed).await.expect("a handshake");
    while !script.has_succeeded {
        script.take(&next(&mut socket).await.expect("it goes on"));
    }
    let job = node.job(&upload.job_id).await;
    assert_eq!(script.seqs, (1..=job.event_seq).collect::<Vec<_>>());
}

/// What a script keeps of the messages of a WebSocket.
#[derive(Default)]
struct Script {
    token: String,
    seqs: Vec<i64>,
    has_succeeded: bool,
}

impl Script {
    fn take(&mut self, told: &Value) {
        told["resumeToken"]
            .as_str()
            .expect("a token")
            .clone_into(&mut self.token);
        if let Some(event) = told.get("event") {
            self.seqs.push(seq(event));
            self.has_succeeded |= event["jobState"]["state"] == "JOB_STATE_SUCCEEDED";
        }
    }
}

impl Page {
    /// Reads some events from where it was, and then goes away in the middle of whatever comes. Gives whether there was anything to
    /// read.
    async fn read(&mut self, url: &str, count: usize) -> bool {
        let client = Client::builder(TokioExecutor::new()).build_http::<Empty<Bytes>>();
        let request = Request::get(url).header("last-event-id", &self.last_id);
        let answer = client
            .request(request.body(Empty::new()).expect("a request"))
            .await
            .expect("an answer");
        if answer.status() == StatusCode::NO_CONTENT {
            return false;
        }
        assert_eq!(answer.status(), StatusCode::OK);
        let (mut body, mut text) = (answer.into_body(), String::new());
        for _ in 0..count {
            let Some(block) = block(&mut body, &mut text).await else {
                return true;
            };
            self.take(&block);
        }
        true
    }

    fn take(&mut self, block: &str) {
        let field = |name: &str| {
            block
                .lines()
                .find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
        };
        if let Some(id) = field("id") {
            id.clone_into(&mut self.last_id);
        }
        let (Some(event), Some(data)) = (field("event"), field("data")) else {
            return;
        };
        let data: Value = serde_json::from_str(data).expect("JSON");
        match event {
            "event" => {
                self.was_playable |= data.get("playable").is_some();
                self.seqs.push(seq(&data));
            }
            "snapshot" if self.first == 0 => {
                let told = &data["entries"][0]["job"]["eventSeq"];
                self.first = told.as_str().expect("a number").parse().expect("a number");
            }
            "snapshot" | "sample" => {}
            other => panic!("{other}: {data}"),
        }
    }
}

/// The next block of a stream; none at its end, also one by force.
async fn block(body: &mut Incoming, text: &mut String) -> Option<String> {
    loop {
        if let Some((block, rest)) = text.split_once("\n\n") {
            let (block, rest) = (block.to_owned(), rest.to_owned());
            *text = rest;
            return Some(block);
        }
        let frame = timeout(SILENCE_MAX, body.frame())
            .await
            .expect("a sign of life")?
            .ok()?;
        text.push_str(std::str::from_utf8(frame.data_ref()?).expect("text"));
    }
}

fn seq(event: &Value) -> i64 {
    event["seq"].as_str().expect("a number").parse().expect("a number")
}

fn message(message: Message) -> Value {
    serde_json::from_str(&message.into_text().expect("text")).expect("JSON")
}

/// The next message, or the number with which the server closes.
async fn next<S>(socket: &mut S) -> Result<Value, u16>
where
    S: futures_util::Stream<Item = Result<Message, tokio_tungstenite::tungstenite::Error>> + Unpin,
{
    loop {
        let next = timeout(SILENCE_MAX, socket.next()).await.expect("a sign of life");
        match next.expect("a closing before the end").expect("a message") {
            Message::Close(frame) => return Err(frame.expect("a reason").code.into()),
            Message::Ping(_) | Message::Pong(_) => {}
            told => return Ok(message(told)),
        }
    }
}
