//! Webhooks from the commit to a real receiver.

use std::time::Duration;

use reelway_domain::{Failure, Reason, WebhookUrl, WorkerId};
use serde_json::{Value, json};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::{
    WebhookSettings, WebhookTiming, run,
    testing::{Answer, Receiver, SECRET, settings},
};
use crate::testing::{Fixture, eventually, new_upload};

/// A deliverer, as one server has it.
struct Server {
    running: JoinHandle<()>,
    shutdown: CancellationToken,
}

impl Server {
    fn start(fixture: &Fixture, settings: WebhookSettings) -> Self {
        let shutdown = CancellationToken::new();
        let running = tokio::spawn(run(fixture.catalog.clone(), settings, shutdown.clone()));
        Self { running, shutdown }
    }

    /// As if it were killed.
    async fn kill(self) {
        self.running.abort();
        assert!(self.running.await.unwrap_err().is_cancelled());
    }

    async fn stop(self) {
        self.shutdown.cancel();
        self.running.await.unwrap();
    }
}

fn settings_for(endpoints: impl IntoIterator<Item = WebhookUrl>) -> WebhookSettings {
    WebhookSettings {
        endpoints: endpoints.into_iter().collect(),
        ..settings()
    }
}

fn timing(pauses: &'static [Duration]) -> WebhookTiming {
    WebhookTiming {
        pauses,
        ..WebhookTiming::default()
    }
}

/// Until nothing is to be delivered any more.
async fn all_is_over(fixture: &Fixture) {
    eventually(async || fixture.catalog.backlog().await.unwrap().webhooks == 0).await;
}

#[tokio::test]
async fn a_change_is_told_to_the_configured_endpoint_and_the_uploads_own() {
    let fixture = Fixture::new().await;
    let (mut configured, mut own) = (Receiver::start([]).await, Receiver::start([]).await);
    let server = Server::start(&fixture, settings_for([configured.url.clone()]));
    let mut new = new_upload();
    new.webhook_url = Some(own.url.clone());
    let upload = fixture.complete(new).await;
    let task = fixture
        .catalog
        .claim(WorkerId::new(), Duration::from_secs(60))
        .await
        .unwrap()
        .unwrap()
        .task;
    let failure = Failure::new(Reason::SourceNotMedia, "this is a text");
    for receiver in [&mut configured, &mut own] {
        let got = receiver.next().await;
        assert!(got.is_signed_with(SECRET));
        assert!(got.header("webhook-id").starts_with("msg_"));
        let body: Value = serde_json::from_str(&got.body).unwrap();
        assert_eq!(body["type"], "upload.completed");
        let data = json!({ "upload_id": upload.id.to_string(), "file_name": "a.mp4" });
        assert_eq!(body["data"], data);
    }
    fixture.catalog.fail_attempt(&task, &failure, "").await.unwrap();
    for receiver in [&mut configured, &mut own] {
        let body: Value = serde_json::from_str(&receiver.next().await.body).unwrap();
        assert_eq!(body["type"], "job.failed");
        assert_eq!(body["data"]["job_id"], task.job.to_string());
        assert_eq!(body["data"]["error"]["reason"], "SOURCE_NOT_MEDIA");
    }
    all_is_over(&fixture).await;
    server.stop().await;
    assert!(configured.has_nothing() && own.has_nothing(), "each is told once");
}

#[tokio::test]
async fn a_try_that_failed_is_repeated_under_the_same_id_at_a_new_time() {
    const PAUSES: &[Duration] = &[Duration::from_secs(1); 2];
    let fixture = Fixture::new().await;
    let mut receiver = Receiver::start([Answer::Status(500), Answer::Redirect(302, "/".into())]).await;
    let mut settings = settings_for([receiver.url.clone()]);
    settings.timing = timing(PAUSES);
    fixture.complete_upload_with_job().await;
    let server = Server::start(&fixture, settings);
    let tries = [receiver.next().await, receiver.next().await, receiver.next().await];
    all_is_over(&fixture).await;
    server.stop().await;
    assert!(receiver.has_nothing());
    let times = tries
        .each_ref()
        .map(|got| got.header("webhook-timestamp").parse::<i64>().unwrap());
    assert!(times[0] < times[1] && times[1] < times[2], "{times:?}");
    for got in &tries {
        assert_eq!(got.header("webhook-id"), tries[0].header("webhook-id"));
        assert_eq!(got.body, tries[0].body);
        assert!(got.is_signed_with(SECRET), "the signature is of this try");
    }
}

#[tokio::test]
async fn tries_end_with_the_schedule_or_when_the_receiver_is_gone() {
    const PAUSES: &[Duration] = &[Duration::ZERO];
    let fixture = Fixture::new().await;
    let mut failing = Receiver::start((0..9).map(|_| Answer::Status(500))).await;
    let mut gone = Receiver::start([Answer::Status(410)]).await;
    let mut settings = settings_for([failing.url.clone(), gone.url.clone()]);
    settings.timing = timing(PAUSES);
    fixture.complete_upload_with_job().await;
    let server = Server::start(&fixture, settings);
    all_is_over(&fixture).await;
    server.stop().await;
    for _ in 0..=PAUSES.len() {
        failing.next().await;
    }
    gone.next().await;
    assert!(failing.has_nothing() && gone.has_nothing());
}

#[tokio::test]
async fn a_server_that_dies_while_it_delivers_is_replaced_by_another() {
    let fixture = Fixture::new().await;
    let mut receiver = Receiver::start([Answer::Never]).await;
    let mut settings = settings_for([receiver.url.clone()]);
    settings.timing.lease = Duration::from_secs(2);
    let first = Server::start(&fixture, settings.clone());
    let second = Server::start(&fixture, settings);
    fixture.complete_upload_with_job().await;
    let lost = receiver.next().await;
    first.kill().await;
    let third = Server::start(&fixture, settings_for([receiver.url.clone()]));
    second.kill().await;
    let got = receiver.next().await;
    assert_eq!(got.header("webhook-id"), lost.header("webhook-id"));
    all_is_over(&fixture).await;
    third.stop().await;
    assert!(receiver.has_nothing());
}

#[tokio::test]
async fn what_is_committed_is_told_by_the_next_process() {
    let fixture = Fixture::new().await;
    let mut receiver = Receiver::start([]).await;
    let upload = fixture.complete_upload_with_job().await;
    let fixture = fixture.reopened().await;
    let server = Server::start(&fixture, settings_for([receiver.url.clone()]));
    assert!(receiver.next().await.body.contains(&upload.id.to_string()));
    server.stop().await;
}

#[tokio::test]
async fn a_slow_receiver_keeps_no_other_waiting() {
    const UPLOADS: usize = 6;
    let fixture = Fixture::new().await;
    let slow = Receiver::start((0..UPLOADS).map(|_| Answer::Never)).await;
    let mut quick = Receiver::start([]).await;
    for _ in 0..UPLOADS {
        fixture.complete_upload_with_job().await;
    }
    let server = Server::start(&fixture, settings_for([slow.by_name(), quick.url.clone()]));
    for _ in 0..UPLOADS {
        quick.next().await;
    }
    server.kill().await;
}

#[tokio::test]
async fn without_endpoints_nothing_piles_up() {
    let fixture = Fixture::new().await;
    let server = Server::start(&fixture, WebhookSettings::default());
    fixture.complete_upload_with_job().await;
    all_is_over(&fixture).await;
    server.stop().await;
}

#[tokio::test]
async fn the_receiver_hears_of_the_trace() {
    const TRACE: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let mut fixture = Fixture::new().await;
    fixture.catalog = fixture.catalog.clone().traced(|| TRACE.parse().ok());
    let mut receiver = Receiver::start([]).await;
    let server = Server::start(&fixture, settings_for([receiver.url.clone()]));
    fixture.complete_upload_with_job().await;
    assert_eq!(receiver.next().await.header("traceparent"), TRACE);
    server.stop().await;
}
