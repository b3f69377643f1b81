//! One trace shows an upload, its way through the queue, its encoding and what players fetch, whichever processes did it.

mod collector;

use std::{collections::BTreeSet, time::Duration};

use bytes::Bytes;
use futures_util::StreamExt as _;
use http_body_util::{BodyExt as _, Empty};
use hyper::Request;
use hyper_util::{client::legacy, rt::TokioExecutor};
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use reelway::v1;
use reelway_client::{Client, Target};
use reelway_domain::{JobId, TraceContext};
use serde_json::Value;
use tokio::time::timeout;
use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient};

use self::collector::{Collector, Seen};
use crate::harness::{Clip, Role, Shape, System, clip, upload};

const CLIP: Clip = Clip::short(2);
const JOB_MAX: Duration = Duration::from_secs(120);

const CREATE: &str = "reelway.v1.UploadService/CreateUpload";
const STREAM: &str = "reelway.v1.UploadService/StreamUpload";
const JOB: &str = "reelway.v1.JobService/GetJob";
const WATCH: &str = "reelway.v1.ProgressService/WatchProgress";
const PROGRESS: &str = "reelway.v1.ProgressService/GetProgress";
const PLAY: &str = "GET /play/{job}/{*path}";

#[tokio::test(flavor = "multi_thread")]
async fn one_trace_shows_the_whole_way_through_one_node() {
    let collector = Collector::start().await;
    let node = System::embedded(traced_to(&collector)).await;
    let way = go(node, collector).await;
    way.is_whole();
}

#[tokio::test(flavor = "multi_thread")]
async fn one_trace_shows_the_whole_way_through_separate_servers() {
    let collector = Collector::start().await;
    let servers = System::split(traced_to(&collector)).await;
    let way = go(servers, collector).await;
    way.is_whole();
    for (name, role) in [
        (CREATE, "upload"),
        (STREAM, "upload"),
        (JOB, "jobs"),
        ("process video", "worker"),
        (WATCH, "progress"),
        (PLAY, "edge"),
    ] {
        assert!(way.named(name).all(|span| span.roles == [role]), "{name}");
    }
}

/// Without a collector nothing is recorded, but who calls with a trace finds it again in the logs of everybody.
#[tokio::test(flavor = "multi_thread")]
async fn a_callers_trace_goes_through_without_a_collector() {
    let node = System::embedded(Shape {
        options: worker_lines(),
        ..Shape::default()
    })
    .await;
    let trace = new_trace();
    let job = make(&node, &node.client().with_trace(&trace)).await;
    let lines = worker_lines_of(&node, &job);
    assert!(!lines.is_empty());
    for line in lines {
        assert_eq!(line["trace_id"], trace.trace_id(), "{line}");
    }
}

/// What came of one upload.
struct Way {
    /// What the caller sent along.
    caller: TraceContext,
    spans: Vec<Seen>,
    lines: Vec<Value>,
}

/// Makes a job out of a clip, all calls in one trace; looks at it in another trace; then ends the system.
async fn go(mut system: System, collector: Collector) -> Way {
    let caller = new_trace();
    let client = system.client().with_trace(&caller);
    let job_id = make(&system, &client).await;
    let request = v1::GetJobRequest { job_id: job_id.clone() };
    let job = client.get_job(request).await.expect("a job");
    assert_eq!(job.state(), v1::JobState::Succeeded, "{job:?}");
    fetch(&job.playback_url, &caller).await;
    let target = v1::get_progress_request::Target::JobId(job_id.clone());
    let stranger = system.client().with_trace(&new_trace());
    let request = v1::GetProgressRequest { target: Some(target) };
    stranger.get_progress(request).await.expect("progress");
    let channel = system.server(Role::Progress, 0).channel().await;
    HealthClient::new(channel)
        .check(HealthCheckRequest::default())
        .await
        .expect("an answer");

    let lines = worker_lines_of(&system, &job_id);
    for server in system.servers_mut() {
        assert_eq!(server.terminate().await.code, Some(0));
    }
    Way {
        caller,
        spans: collector.spans(),
        lines,
    }
}

impl Way {
    /// The spans of the one trace.
    fn own(&self) -> impl Iterator<Item = &Seen> {
        self.spans.iter().filter(|span| span.trace() == self.caller.trace_id())
    }

    fn named(&self, name: &str) -> impl Iterator<Item = &Seen> {
        self.own().filter(move |span| span.name() == name)
    }

    fn the(&self, name: &str) -> &Seen {
        let names: BTreeSet<&str> = self.own().map(Seen::name).collect();
        let mut found = self.named(name);
        found.next().unwrap_or_else(|| panic!("no {name} in {names:?}"))
    }

    fn is_whole(&self) {
        let caller = self.caller.as_str();
        for name in [CREATE, STREAM, JOB, WATCH, PLAY] {
            let span = self.the(name);
            assert!(caller.contains(&format!("-{}-", span.parent())), "{name}: {span:?}");
            assert_eq!(span.kind(), SpanKind::Server, "{name}");
        }
        let create = self.the(CREATE);
        assert_eq!(create.text("rpc.system.name").as_deref(), Some("grpc"));
        assert_eq!(create.text("rpc.method").as_deref(), Some(CREATE));
        assert_eq!(create.text("rpc.response.status_code").as_deref(), Some("OK"));
        self.tasks_belong_to_the_call_that_wanted_them();
        self.changes_are_published();
        // The watch lasts until the job's end, and has one span however much it told.
        assert!(self.the(WATCH).outlasts(self.the("process finish")));
        assert_eq!(self.named(WATCH).count(), 1);
        self.other_traces_are_linked();
        assert!(
            self.lines.iter().all(|line| line["trace_id"] == self.caller.trace_id()),
            "{:?}",
            self.lines
        );
        assert!(!self.lines.is_empty() && self.lines.iter().all(|line| line["span_id"].is_string()));
    }

    fn tasks_belong_to_the_call_that_wanted_them(&self) {
        let create = self.the(CREATE).id();
        for kind in ["probe", "plan", "video", "audio", "poster", "package", "finish"] {
            let span = self.the(&format!("process {kind}"));
            assert_eq!(
                (span.parent(), span.kind()),
                (create.clone(), SpanKind::Consumer),
                "{kind}"
            );
            assert_eq!(
                span.text("reelway.task.outcome").as_deref(),
                Some("succeeded"),
                "{kind}"
            );
        }
        for (program, task) in [("run ffprobe", "process probe"), ("run ffmpeg", "process video")] {
            let task = self.the(task).id();
            assert!(self.named(program).any(|span| span.parent() == task), "{program}");
        }
    }

    fn changes_are_published(&self) {
        let causes: BTreeSet<String> = self
            .own()
            .filter(|span| [CREATE, STREAM].contains(&span.name()) || span.name().starts_with("process "))
            .map(Seen::id)
            .collect();
        for name in ["publish tasks", "publish events"] {
            self.the(name);
            for span in self.named(name) {
                assert_eq!(span.kind(), SpanKind::Producer, "{name}");
                assert!(causes.contains(&span.parent()), "{span:?}");
            }
        }
        // What wakes the first worker is the end of the upload.
        let stream = self.the(STREAM).id();
        assert!(self.named("publish tasks").any(|span| span.parent() == stream));
    }

    fn other_traces_are_linked(&self) {
        let asked = self.spans.iter().find(|span| span.name() == PROGRESS).expect(PROGRESS);
        assert_ne!(asked.trace(), self.caller.trace_id());
        assert_eq!(asked.links(), BTreeSet::from([self.caller.trace_id().to_owned()]));
        let asked_all_the_time = |span: &&Seen| span.name().starts_with("grpc.");
        assert_eq!(self.spans.iter().find(asked_all_the_time).map(Seen::name), None);
    }
}

/// Uploads the clip and watches its job to the end. Gives the job's id.
async fn make(system: &System, client: &Client) -> String {
    let file = clip(CLIP).await;
    let request = v1::CreateUploadRequest {
        size_bytes: Some(i64::try_from(file.metadata().expect("a file").len()).expect("a length")),
        file_name: "clip.mp4".to_owned(),
        preset: "fast".to_owned(),
        ..Default::default()
    };
    let job_id = upload(client, request, &file).await.job_id;
    let target = Target::Job(job_id.parse::<JobId>().expect("an id"));
    let watched = client.watch(target).map(|message| message.expect("the watch goes on"));
    timeout(JOB_MAX, watched.count()).await.expect("the job ends");
    assert_eq!(system.job(&job_id).await.state(), v1::JobState::Succeeded);
    job_id
}

async fn fetch(url: &str, trace: &TraceContext) {
    let client = legacy::Client::builder(TokioExecutor::new()).build_http::<Empty<Bytes>>();
    let request = Request::get(url).header("traceparent", trace.as_str());
    let answer = client
        .request(request.body(Empty::new()).expect("a request"))
        .await
        .expect("an answer");
    assert!(answer.status().is_success(), "{url}: {answer:?}");
    answer.into_body().collect().await.expect("a playlist");
}

/// The lines of workers about a job.
fn worker_lines_of(system: &System, job_id: &str) -> Vec<Value> {
    let lines = system.servers().iter().flat_map(crate::harness::Server::log);
    let lines = lines.map(|line| serde_json::from_str::<Value>(&line).expect("a JSON object"));
    lines
        .filter(|line| line["job.id"] == job_id && line["message"] == "task started")
        .collect()
}

/// Options that let workers log each task.
fn worker_lines() -> Vec<String> {
    ["--log", "reelway_worker=debug,info"].map(str::to_owned).to_vec()
}

fn traced_to(collector: &Collector) -> Shape {
    let mut options = worker_lines();
    options.extend(["--otlp".to_owned(), collector.url()]);
    Shape {
        options,
        ..Shape::default()
    }
}

fn new_trace() -> TraceContext {
    let (trace, span) = (rand::random::<u128>().max(1), rand::random::<u64>().max(1));
    format!("00-{trace:032x}-{span:016x}-01")
        .parse()
        .expect("a trace context")
}
