//! Server-Sent Events.

use std::time::Duration;

use rand::{Rng as _, SeedableRng as _, rngs::StdRng};
use reelway_domain::{JobId, UploadId};

use super::{
    assert_gapless,
    harness::{Live, SIZE, Setup},
    reader::{Next, Reader},
    seq,
};

async fn of_job(live: &Live, job: JobId, last_id: &str) -> Reader {
    Reader::get(live.address, &format!("/v1/jobs/{job}/events"), last_id).await
}

/// Reads to the end; gives the numbers of the events.
async fn to_end(reader: &mut Reader) -> Vec<i64> {
    let mut seqs = Vec::new();
    loop {
        match reader.next().await {
            Next::Block(block) if block.event == "event" => seqs.push(seq(&block.json())),
            Next::Block(_) => {}
            Next::End => return seqs,
            Next::Cut => panic!("the connection broke off"),
        }
    }
}

#[tokio::test]
async fn a_stream_tells_everything_and_then_ends_for_good() {
    let live = Live::start().await;
    let (upload, job) = live.job().await;
    let mut reader = of_job(&live, job, "").await;
    assert_eq!(reader.status, 200);
    for header in [
        "content-type: text/event-stream",
        "cache-control: no-store",
        "x-accel-buffering: no",
    ] {
        assert!(reader.head.contains(header), "{}", reader.head);
    }
    assert_eq!(reader.block().await.retry, Some(1_000));
    let first = reader.event("snapshot").await;
    let entry = &first.json()["entries"][0];
    assert_eq!(
        (entry["job"]["id"].as_str(), entry["uploadId"].as_str()),
        (Some(&*job.to_string()), Some(&*upload.to_string()))
    );
    let begun = entry["job"]["eventSeq"].as_str().unwrap().parse::<i64>().unwrap();

    live.sample(upload, 1 << 30);
    let sample = reader.event("sample").await;
    assert_eq!(sample.json()["durableOffset"], (1 << 30).to_string());
    live.work().await;
    live.cancel(job).await;
    let told = to_end(&mut reader).await;
    assert_gapless(&told, begun + 1, live.last_seq(job).await);

    let again = of_job(&live, job, &reader.last_id).await;
    assert_eq!(again.status, 204, "a browser stays away");
    let mut anew = of_job(&live, job, "").await;
    let last = anew.event("snapshot").await.json();
    assert_eq!(last["entries"][0]["job"]["state"], "JOB_STATE_CANCELLED");
    assert_eq!(anew.next().await, Next::End);
    assert_eq!(of_job(&live, job, &anew.last_id).await.status, 204);
    let mut late = of_job(&live, job, &first.id.unwrap()).await;
    assert_eq!(to_end(&mut late).await, told, "what was missed comes also late");
}

#[tokio::test]
async fn a_reader_that_is_cut_anywhere_misses_nothing() {
    let live = Live::start().await;
    let (upload, job) = live.job().await;
    let mut random = StdRng::seed_from_u64(7);
    let begin = async {
        let mut reader = of_job(&live, job, "").await;
        let snapshot = reader.event("snapshot").await.json();
        (
            reader.last_id,
            snapshot["entries"][0]["job"]["eventSeq"]
                .as_str()
                .unwrap()
                .parse::<i64>()
                .unwrap(),
        )
    };
    let (mut last_id, begun) = begin.await;
    let happen = async {
        for round in 0..60 {
            live.work().await;
            live.sample(upload, SIZE + round);
        }
        live.cancel(job).await;
    };
    let watch = async {
        let mut seqs = Vec::new();
        loop {
            let mut reader = of_job(&live, job, &last_id).await;
            if reader.status == 204 {
                return seqs;
            }
            assert_eq!(reader.status, 200);
            for _ in 0..random.random_range(0..9) {
                match reader.next().await {
                    Next::Block(block) if block.event == "event" => seqs.push(seq(&block.json())),
                    Next::Block(_) => {}
                    Next::End => break,
                    Next::Cut => panic!("only the reader cuts"),
                }
            }
            // Whatever was read beyond the last whole block is lost with the connection.
            last_id.clone_from(&reader.last_id);
        }
    };
    let (seqs, ()) = tokio::join!(watch, happen);
    assert_gapless(&seqs, begun + 1, live.last_seq(job).await);
}

#[tokio::test]
async fn everything_and_uploads_are_watched_too() {
    let live = Live::start().await;
    let mut everything = Reader::get(live.address, "/v1/events", "").await;
    assert_eq!(
        everything.event("snapshot").await.json()["entries"]
            .as_array()
            .unwrap()
            .len(),
        0
    );
    let (upload, job) = live.job().await;
    let mut one = Reader::get(live.address, &format!("/v1/uploads/{upload}/events"), "").await;
    one.event("snapshot").await;
    live.cancel(job).await;
    to_end(&mut one).await;
    let mut seqs = Vec::new();
    let last = live.last_seq(job).await;
    while seqs.last() != Some(&last) {
        let event = everything.event("event").await.json();
        assert_eq!(event["jobId"], job.to_string());
        seqs.push(seq(&event));
    }
    assert_gapless(&seqs, 1, last);
    let path = format!("/v1/events?last_event_id={}", everything.last_id);
    let mut resumed = Reader::get(live.address, &path, "").await;
    resumed.event("snapshot").await;
    let (_, next) = live.job().await;
    assert_eq!(
        resumed.event("event").await.json()["jobId"],
        next.to_string(),
        "nothing comes twice"
    );
}

#[tokio::test]
async fn what_can_not_be_watched_is_a_problem() {
    let live = Live::start().await;
    let (_, job) = live.job().await;
    let mut of_another = of_job(&live, live.job().await.1, "").await;
    of_another.event("snapshot").await;
    let other = of_another.last_id.clone();
    let (unknown, lost) = (JobId::new(), UploadId::new());
    for (path, last_id, status, reason) in [
        (format!("/v1/jobs/{unknown}/events"), "", 404, "JOB_NOT_FOUND"),
        (format!("/v1/uploads/{lost}/events"), "", 404, "UPLOAD_NOT_FOUND"),
        ("/v1/jobs/x/events".to_owned(), "", 400, "FIELD_INVALID"),
        ("/v1/jobs/%ff%00/events".to_owned(), "", 400, "FIELD_INVALID"),
        (
            format!("/v1/jobs/{job}/events"),
            "garbage!",
            410,
            "RESUME_TOKEN_INVALID",
        ),
        (
            format!("/v1/jobs/{job}/events"),
            "Z2FyYmFnZQ",
            410,
            "RESUME_TOKEN_INVALID",
        ),
        (format!("/v1/jobs/{job}/events"), &other, 410, "RESUME_TOKEN_INVALID"),
        (
            format!("/v1/jobs/{job}/events?last_event_id={other}"),
            "",
            410,
            "RESUME_TOKEN_INVALID",
        ),
    ] {
        let answer = Reader::get(live.address, &path, last_id).await;
        assert_eq!(answer.status, status, "{path}");
        assert!(answer.head.contains("cache-control: no-store"), "{}", answer.head);
        assert_eq!(answer.problem().await["reason"], reason, "{path}");
    }
}

#[tokio::test]
async fn a_header_counts_before_the_query_that_a_browser_repeats() {
    let live = Live::start().await;
    let (_, job) = live.job().await;
    let mut reader = of_job(&live, job, "").await;
    let early = reader.event("snapshot").await.id.unwrap();
    live.cancel(job).await;
    to_end(&mut reader).await;
    let path = format!("/v1/jobs/{job}/events?last_event_id={early}");
    assert_eq!(Reader::get(live.address, &path, &reader.last_id).await.status, 204);
    assert_eq!(Reader::get(live.address, &path, "").await.status, 200);
}

#[tokio::test]
async fn a_bookmark_moves_the_last_id_and_is_no_event() {
    let mut setup = Setup::default();
    setup.progress.bookmark_every = Duration::from_millis(20);
    let live = Live::with(setup).await;
    let (_, job) = live.job().await;
    let mut reader = of_job(&live, job, "").await;
    reader.event("snapshot").await;
    let bookmark = reader.block().await;
    assert_eq!(
        (
            bookmark.comment.as_str(),
            bookmark.data.as_str(),
            bookmark.event.as_str()
        ),
        ("bookmark", "", "")
    );
    assert_eq!(of_job(&live, job, &bookmark.id.unwrap()).await.status, 200);
}

#[tokio::test]
async fn a_failure_in_the_middle_is_an_event_and_the_end() {
    let mut setup = Setup::default();
    setup.progress.watch_max = Duration::from_millis(100);
    let live = Live::with(setup).await;
    let (_, job) = live.job().await;
    let mut reader = of_job(&live, job, "").await;
    reader.event("snapshot").await;
    let error = reader.event("error").await.json();
    assert_eq!(
        (error["status"].as_i64(), error["reason"].as_str()),
        (Some(503), Some("SERVICE_UNAVAILABLE"))
    );
    assert_eq!(reader.next().await, Next::End);
    assert_eq!(of_job(&live, job, &reader.last_id).await.status, 200, "it goes on");
}

#[tokio::test]
async fn shutdown_ends_a_stream_that_can_be_resumed() {
    let live = Live::start().await;
    let (_, job) = live.job().await;
    let mut reader = of_job(&live, job, "").await;
    reader.event("snapshot").await;
    live.shutdown.cancel();
    assert_eq!(reader.event("error").await.json()["reason"], "SHUTTING_DOWN");
    assert_eq!(reader.next().await, Next::End);
    let other = Live::on(live.node, Setup::default()).await;
    let mut resumed = of_job(&other, job, &reader.last_id).await;
    resumed.event("snapshot").await;
    other.cancel(job).await;
    assert!(!to_end(&mut resumed).await.is_empty());
}
