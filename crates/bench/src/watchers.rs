//! Many watchers on one progress server, over the real catalog and bus: how soon they hear of an event while samples come.

use std::{
    collections::HashMap,
    error::Error,
    io::Write as _,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use reelway::v1::{
    self, progress_service_client::ProgressServiceClient, watch_progress_request::Target,
    watch_progress_response::Message,
};
use reelway_bus::Bus;
use reelway_catalog::{Catalog, Claim, NewJob};
use reelway_domain::{JobId, Sample, SourceAction, Tenant, WorkerId, preset};
use reelway_jobs::courier;
use tokio::{
    sync::mpsc,
    task::JoinSet,
    time::{MissedTickBehavior, interval, timeout},
};
use tokio_util::sync::CancellationToken;
use tonic::transport::{Channel, Endpoint};

use crate::deployment::{Servers, complete_upload};

type Outcome<T> = Result<T, Box<dyn Error>>;

/// Jobs that are watched: each by as many watchers as it takes.
const JOBS: usize = 1000;
/// Connections that the watchers share.
const CONNECTIONS: usize = 10;
/// Samples a second, of all jobs together.
const SAMPLES_PER_SECOND: u32 = 1000;
/// Jobs a second that are cancelled, which is an event for each of their watchers.
const CHANGES_PER_SECOND: u32 = 10;
/// A watcher that has not heard of an event by then counts as this late.
const LATEST: Duration = Duration::from_secs(30);
/// A connection's window, so that small unread messages of a thousand streams don't close it.
const CONNECTION_WINDOW_BYTES: u32 = 16 << 20;

#[derive(Debug, clap::Args)]
pub(crate) struct WatcherArgs {
    #[command(flatten)]
    servers: Servers,
    /// The progress server.
    #[arg(long)]
    url: String,
    /// How many watchers.
    #[arg(long)]
    count: usize,
    /// For how long events and samples come.
    #[arg(long)]
    seconds: u64,
}

/// When each event was committed, by its job and number.
type Commits = Arc<Mutex<HashMap<(String, i64), Instant>>>;

pub(crate) async fn run(args: WatcherArgs) -> Outcome<()> {
    let catalog = args.servers.catalog().await?;
    let bus = args.servers.bus()?;
    let shutdown = CancellationToken::new();
    let courier = tokio::spawn(courier::run(catalog.clone(), bus.clone(), shutdown.clone()));
    let claims = jobs(&catalog, JOBS.min(args.count)).await?;
    let (heard, mut latencies) = mpsc::unbounded_channel();
    let commits = Commits::default();
    let mut watching = watch_all(&args, &claims, &commits, &heard).await?;
    drop(heard);
    let samples = change_and_sample(&args, &catalog, &bus, &claims, &commits).await?;
    let events = commits.lock().unwrap_or_else(PoisonError::into_inner).len();
    let expected = events * args.count / claims.len();
    let mut told = Vec::with_capacity(expected);
    while told.len() < expected
        && let Ok(Some(latency)) = timeout(LATEST, latencies.recv()).await
    {
        told.push(latency);
    }
    watching.shutdown().await;
    told.resize(expected, LATEST);
    told.sort();
    let at = |share: usize| told[(told.len() * share / 100).min(told.len() - 1)].as_secs_f64() * 1000.0;
    let report = serde_json::json!({
        "events": expected, "samples_per_s": samples / args.seconds, "p50_ms": at(50).round(), "p99_ms": at(99).round(),
    });
    writeln!(std::io::stdout(), "{report}")?;
    shutdown.cancel();
    courier.await?;
    Ok(())
}

/// Jobs that run, each with one claimed task.
async fn jobs(catalog: &Catalog, count: usize) -> Outcome<Vec<Claim>> {
    let upload = complete_upload(catalog).await?;
    let mut claims = Vec::with_capacity(count);
    for _ in 0..count {
        let job = NewJob {
            id: JobId::new(),
            preset: "fast".into(),
            ladder: preset("fast").ok_or("no such preset")?,
            priority: 0,
            source_action: SourceAction::Keep,
        };
        catalog.create_job(&Tenant::single(), upload, &job, None).await?;
        let claim = catalog.claim(WorkerId::new(), Duration::from_secs(3600)).await?;
        claims.push(claim.ok_or("there is no task to claim")?);
    }
    Ok(claims)
}

/// Opens all watches, and returns when each has its first snapshot.
async fn watch_all(
    args: &WatcherArgs,
    claims: &[Claim],
    commits: &Commits,
    heard: &mpsc::UnboundedSender<Duration>,
) -> Outcome<JoinSet<()>> {
    let mut channels = Vec::with_capacity(CONNECTIONS);
    for _ in 0..CONNECTIONS {
        let endpoint = Endpoint::from_shared(args.url.clone())?
            .tcp_nodelay(true)
            .initial_connection_window_size(CONNECTION_WINDOW_BYTES);
        channels.push(endpoint.connect().await?);
    }
    let (begun, mut ready) = mpsc::unbounded_channel();
    let mut watching = JoinSet::new();
    for number in 0..args.count {
        let job = claims[number % claims.len()].job.id.to_string();
        let client = ProgressServiceClient::new(channels[number % CONNECTIONS].clone());
        let (begun, commits, heard) = (begun.clone(), Arc::clone(commits), heard.clone());
        watching.spawn(async move {
            if let Err(status) = watch(client, job, &commits, &begun, &heard).await {
                tracing::error!(%status, "a watch ended");
            }
        });
    }
    for _ in 0..args.count {
        timeout(LATEST * 4, ready.recv())
            .await?
            .ok_or("a watch could not be opened")?;
    }
    Ok(watching)
}

async fn watch(
    mut client: ProgressServiceClient<Channel>,
    job: String,
    commits: &Mutex<HashMap<(String, i64), Instant>>,
    begun: &mpsc::UnboundedSender<()>,
    heard: &mpsc::UnboundedSender<Duration>,
) -> Result<(), tonic::Status> {
    let request = v1::WatchProgressRequest {
        target: Some(Target::JobId(job)),
        ..Default::default()
    };
    let mut stream = client.watch_progress(request).await?.into_inner();
    while let Some(response) = stream.message().await? {
        match response.message {
            Some(Message::Snapshot(_)) => drop(begun.send(())),
            Some(Message::Event(event)) => {
                let at = commits
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .get(&(event.job_id, event.seq))
                    .copied();
                // An event whose commit has not returned yet was heard of at once.
                let _ = heard.send(at.map_or(Duration::ZERO, |at| at.elapsed()));
            }
            _ => {}
        }
    }
    Ok(())
}

/// Lets samples and events come for the time that was asked for. Gives how many samples were sent.
async fn change_and_sample(
    args: &WatcherArgs,
    catalog: &Catalog,
    bus: &Bus,
    claims: &[Claim],
    commits: &Commits,
) -> Outcome<u64> {
    let until = tokio::time::Instant::now() + Duration::from_secs(args.seconds);
    let (mut sampling, mut changing) = (ticks(SAMPLES_PER_SECOND), ticks(CHANGES_PER_SECOND));
    let (mut samples, mut changes) = (0, 0);
    loop {
        tokio::select! {
            () = tokio::time::sleep_until(until) => return Ok(samples),
            _ = sampling.tick() => {
                let number = usize::try_from(samples)?;
                bus.sample(sample(&claims[number % claims.len()], number / claims.len()));
                samples += 1;
            }
            _ = changing.tick() => {
                change(catalog, &claims[changes % claims.len()], commits).await?;
                changes += 1;
            }
        }
    }
}

fn ticks(per_second: u32) -> tokio::time::Interval {
    let mut ticks = interval(Duration::from_secs(1) / per_second);
    // What a busy moment delayed is made up for, so that the rate is what it says.
    ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
    ticks
}

fn sample(claim: &Claim, round: usize) -> Sample {
    Sample::Task {
        job: claim.job.id,
        task: claim.task.id,
        lease_epoch: claim.task.lease_epoch.0,
        done_ms: i64::try_from(round).unwrap_or(i64::MAX),
        speed: 1.0,
    }
}

/// One durable change that watchers are to hear of.
async fn change(catalog: &Catalog, claim: &Claim, commits: &Commits) -> Outcome<()> {
    let before = catalog.event_seqs(&[claim.job.id]).await?;
    catalog.cancel_job(&Tenant::single(), claim.job.id).await?;
    let at = Instant::now();
    let after = catalog.event_seqs(&[claim.job.id]).await?;
    let seq = |seqs: &HashMap<JobId, reelway_domain::EventSeq>| seqs.get(&claim.job.id).map_or(0, |seq| seq.0);
    let mut commits = commits.lock().unwrap_or_else(PoisonError::into_inner);
    for number in seq(&before) + 1..=seq(&after) {
        commits.insert((claim.job.id.to_string(), number), at);
    }
    Ok(())
}
