//! Whether anything between a client and the edge holds bytes back: bodies of uploads, whose cut would lose everything, and
//! answers that never end, whose events nobody would see.

use std::time::Duration;

use bytes::Bytes;
use reqwest::{Body, Method, header::ACCEPT};
use tokio::time::{Instant, sleep, timeout};

use super::{
    Finding,
    edge::{Edge, Made, Trickle, Trouble, expect},
};

/// What is promised: more than proxies take unless they are told to.
const PROMISED_BYTES: usize = 8 << 20;
/// What is sent of it before the wait.
const SENT_BYTES: usize = 256 << 10;
/// A server makes bytes durable every two seconds; what isn't there by then is held back.
const ARRIVAL_MAX: Duration = Duration::from_secs(12);
/// A snapshot is the first that is told, at once.
const SNAPSHOT_MAX: Duration = Duration::from_secs(8);
const LOOK_EVERY: Duration = Duration::from_millis(250);

const UNBUFFERED_BODIES: &str = "switch buffering of requests off for /files/, /uploads/ and /v1/ (nginx: proxy_request_buffering off; \
                                 and proxy_http_version 1.1;): until then a cut upload begins again, and nothing is encoded while it arrives";
const UNBUFFERED_ANSWERS: &str = "switch buffering of answers off for /v1/ (nginx: proxy_buffering off; unless it may obey \
                                  X-Accel-Buffering), and compression of text/event-stream";

/// Looks at both directions.
pub(super) async fn findings(edge: &Edge) -> Vec<Finding> {
    let upload = match edge.create("reelway-doctor.bin", PROMISED_BYTES, "none").await {
        Ok(upload) => upload,
        Err(trouble) => return vec![trouble.finding("edge")],
    };
    let mut findings = vec![Finding::ok("edge", format!("{} answers", edge.base()))];
    let (arrival, events) = tokio::join!(arrival(edge, &upload), events(edge, &upload));
    findings.push(arrival.unwrap_or_else(|trouble| trouble.finding("proxy-uploads")));
    findings.push(events.unwrap_or_else(|trouble| trouble.finding("proxy-events")));
    let path = format!("/v1/uploads/{}", upload.id);
    if let Err(trouble) = edge.json(Method::DELETE, &path, None).await {
        let told = format!(
            "the upload {} of this test stays until it expires: {trouble}",
            upload.id
        );
        findings.push(Finding::warning("tidy", told).advise("`reelway uploads abort` gives it up"));
    }
    findings
}

/// Sends a piece of a body, and looks whether the server has it while the request goes on.
async fn arrival(edge: &Edge, upload: &Made) -> Result<Finding, Trouble> {
    let (pieces, body) = Trickle::of(PROMISED_BYTES as u64);
    let sending = edge.patch(upload, 0, Body::wrap(body)).send();
    let mut sending = std::pin::pin!(sending);
    let begun = Instant::now();
    // The body is there for as long as this function runs.
    let _ = pieces.send(Bytes::from(vec![0; SENT_BYTES]));
    while begun.elapsed() < ARRIVAL_MAX {
        tokio::select! {
            early = &mut sending => {
                let answer = expect("PATCH /files/", early).await?;
                let message = format!("HTTP {} came before the body's end", answer.status());
                return Ok(Finding::failed("proxy-uploads", message).advise(UNBUFFERED_BODIES));
            }
            () = sleep(LOOK_EVERY) => {}
        }
        let arrived = edge.durable(upload).await?;
        if arrived > 0 {
            let message = format!(
                "bytes of an upload arrive while it is sent ({} ms)",
                begun.elapsed().as_millis()
            );
            return Ok(Finding::ok("proxy-uploads", message));
        }
    }
    let message = format!(
        "nothing of {SENT_BYTES} bytes that were sent had arrived after {} s: something on the way waits for the whole body",
        ARRIVAL_MAX.as_secs()
    );
    Ok(Finding::failed("proxy-uploads", message).advise(UNBUFFERED_BODIES))
}

/// Listens to events of an upload that goes on, and looks whether the first one comes.
async fn events(edge: &Edge, upload: &Made) -> Result<Finding, Trouble> {
    let begun = Instant::now();
    let path = format!("/v1/uploads/{}/events", upload.id);
    let first = timeout(SNAPSHOT_MAX, first_event(edge, &path)).await;
    Ok(match first.ok().transpose()? {
        Some(true) => {
            let message = format!("events arrive as they happen ({} ms)", begun.elapsed().as_millis());
            Finding::ok("proxy-events", message)
        }
        Some(false) => Finding::failed("proxy-events", "the stream of events ended at once").advise(UNBUFFERED_ANSWERS),
        None => {
            let message = format!(
                "no event came within {} s: something on the way waits for the whole answer",
                SNAPSHOT_MAX.as_secs()
            );
            Finding::failed("proxy-events", message).advise(UNBUFFERED_ANSWERS)
        }
    })
}

/// Whether a snapshot came before the stream's end.
async fn first_event(edge: &Edge, path: &str) -> Result<bool, Trouble> {
    let request = edge.request(Method::GET, path).header(ACCEPT, "text/event-stream");
    let mut answer = expect("the events", request.send().await).await?;
    let mut seen = Vec::new();
    loop {
        let more = answer.chunk().await.map_err(|source| Trouble::Unreachable {
            what: "the events".to_owned(),
            source,
        })?;
        let Some(more) = more else { return Ok(false) };
        seen.extend_from_slice(&more);
        if String::from_utf8_lossy(&seen).contains("event: snapshot") {
            return Ok(true);
        }
    }
}
