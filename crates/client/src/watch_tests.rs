//! Watches over connections that break.

use bytes::Bytes;
use futures_util::StreamExt as _;
use reelway::v1::{self, job_event::Change, watch_progress_response::Message};
use reelway_domain::{JobId, Reason};

use crate::{
    Error, Target,
    test_server::{TestServer, refusal},
};

fn event(seq: i64, state: v1::JobState) -> v1::WatchProgressResponse {
    let change = Change::JobState(v1::JobStateChange {
        state: state.into(),
        error: None,
    });
    let event = v1::JobEvent {
        job_id: "job".to_owned(),
        seq,
        change: Some(change),
        ..Default::default()
    };
    v1::WatchProgressResponse {
        message: Some(Message::Event(event)),
        resume_token: Bytes::from(format!("after {seq}")),
    }
}

/// The numbers of the events that a watch tells, and how it ends.
async fn watch(server: &TestServer) -> (Vec<i64>, Result<(), Error>) {
    let mut seqs = Vec::new();
    let mut stream = std::pin::pin!(server.client().watch(Target::Job(JobId::new())));
    while let Some(message) = stream.next().await {
        match message.map(|m| m.message) {
            Ok(Some(Message::Event(event))) => seqs.push(event.seq),
            Ok(_) => {}
            Err(error) => return (seqs, Err(error)),
        }
    }
    (seqs, Ok(()))
}

#[tokio::test]
async fn a_watch_goes_on_where_it_was_cut() {
    let server = TestServer::start();
    let running = |seq| Ok(event(seq, v1::JobState::Running));
    server.shared().watches = [
        vec![running(1), running(2), Err(refusal(Reason::ShuttingDown))],
        vec![Err(refusal(Reason::CatalogUnavailable))],
        // The server may tell what it told before.
        vec![running(2), running(3), Err(refusal(Reason::ShuttingDown))],
        vec![running(3), Ok(event(4, v1::JobState::Succeeded))],
    ]
    .into();
    let (seqs, end) = watch(&server).await;
    assert!(end.is_ok(), "{end:?}");
    assert_eq!(seqs, [1, 2, 3, 4]);
    assert_eq!(server.shared().tokens, ["", "after 2", "after 2", "after 3"]);
}

#[tokio::test]
async fn a_forgotten_token_starts_the_watch_anew() {
    let server = TestServer::start();
    server.shared().watches = [
        vec![Ok(event(1, v1::JobState::Running)), Err(refusal(Reason::ShuttingDown))],
        vec![Err(refusal(Reason::ResumeTokenInvalid))],
        vec![Ok(event(2, v1::JobState::Failed))],
    ]
    .into();
    let (seqs, end) = watch(&server).await;
    assert!(end.is_ok(), "{end:?}");
    assert_eq!(seqs, [1, 2]);
    assert_eq!(server.shared().tokens, ["", "after 1", ""]);
}

#[tokio::test]
async fn a_refusal_ends_a_watch() {
    let server = TestServer::start();
    let (seqs, end) = watch(&server).await;
    assert!(seqs.is_empty());
    assert_eq!(end.expect_err("there is no such job").reason(), "JOB_NOT_FOUND");
    assert_eq!(server.shared().tokens.len(), 1);
}

#[tokio::test]
async fn a_server_that_stays_away_ends_a_watch() {
    let mut server = TestServer::start();
    server.kill();
    let (_, end) = watch(&server).await;
    assert!(matches!(end, Err(Error::Refused(refusal)) if refusal.is_transport));
}
