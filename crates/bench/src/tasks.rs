//! Empty tasks over the real catalog and bus: how many a second, and how soon a ready one is started. The worker is the one
//! that encodes, with work that does nothing.

use std::{
    collections::HashMap,
    error::Error,
    io::Write as _,
    process::Stdio,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use reelway_bus::{Bus, RedisSettings};
use reelway_catalog::{Catalog, Claim, Effect, NewJob, Success};
use reelway_domain::{JobId, NewTask, SourceAction, SourceInfo, TaskKind, TaskRef, Tenant, WorkerId, limits, preset};
use reelway_jobs::courier;
use reelway_worker::{Finisher, Pool};
use tokio::{
    io::{AsyncBufReadExt as _, BufReader},
    process::Command,
    sync::mpsc,
    time::sleep_until,
};
use tokio_util::sync::CancellationToken;

use crate::deployment::{Servers, complete_upload};

type Outcome<T> = Result<T, Box<dyn Error>>;

/// What a plan may add to one job besides its first tasks.
const TASKS_PER_JOB: usize = limits::TASKS_PER_JOB_MAX - 2;

#[derive(Debug, clap::Args)]
pub(crate) struct TaskArgs {
    #[command(flatten)]
    servers: Servers,
    /// How many tasks.
    #[arg(long)]
    count: usize,
    /// How many of them at the same time.
    #[arg(long, default_value_t = 50)]
    slots: usize,
    /// How many become ready a second.
    #[arg(long, default_value_t = 50)]
    rate: u32,
}

/// Empties a backlog; prints how long that took from the first start on.
pub(crate) async fn drain(args: TaskArgs) -> Outcome<()> {
    let catalog = args.servers.catalog().await?;
    fill(&catalog, args.count).await?;
    let began = Arc::new(Mutex::new(None::<Instant>));
    let seen = Arc::clone(&began);
    let (done, mut all_done) = mpsc::unbounded_channel();
    let worker = work(&args, catalog, move |claim| {
        let mut began = seen.lock().unwrap_or_else(PoisonError::into_inner);
        began.get_or_insert_with(Instant::now);
        let is_ours = claim.task.kind == TaskKind::Video;
        is_ours.then(|| done.clone())
    })?;
    for _ in 0..args.count {
        all_done.recv().await.ok_or("the worker ended")?;
    }
    let began = began
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .ok_or("nothing was started")?;
    print(&serde_json::json!({ "seconds": began.elapsed().as_secs_f64() }))?;
    worker.stop().await
}

/// Makes tasks ready at a rate, for a worker in another process; prints how soon each was started.
pub(crate) async fn start(args: TaskArgs) -> Outcome<()> {
    let catalog = args.servers.catalog().await?;
    let upload = complete_upload(&catalog).await?;
    let mut child = Command::new(std::env::current_exe()?)
        .args([
            "tasks",
            "work",
            "--count",
            &args.count.to_string(),
            "--slots",
            &args.slots.to_string(),
        ])
        .args(args.servers.options())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()?;
    let mut lines = BufReader::new(child.stdout.take().ok_or("no pipe")?).lines();
    lines.next_line().await?.ok_or("the worker did not start")?;
    let shutdown = CancellationToken::new();
    let courier = tokio::spawn(courier::run(catalog.clone(), args.servers.bus()?, shutdown.clone()));
    let (began, pause) = (tokio::time::Instant::now(), Duration::from_secs(1) / args.rate);
    let mut asked = Vec::with_capacity(args.count);
    for number in 0..args.count {
        sleep_until(began + pause * u32::try_from(number)?).await;
        let job = new_job()?;
        let called = micros()?;
        catalog.create_job(&Tenant::single(), upload, &job, None).await?;
        asked.push((job.id.to_string(), called, micros()?));
    }
    let started: HashMap<String, u64> = serde_json::from_str(&lines.next_line().await?.ok_or("the worker ended")?)?;
    let since = |moment: fn(&(String, u64, u64)) -> u64| {
        let late = asked
            .iter()
            .filter_map(|task| started.get(&task.0)?.checked_sub(moment(task)));
        // A start that comes before the call has returned came at once.
        let mut millis: Vec<f64> = late
            .map(|micros| Duration::from_micros(micros).as_secs_f64() * 1000.0)
            .collect();
        millis.resize(asked.len(), 0.0);
        millis
    };
    print(&serde_json::json!({ "from_call_ms": since(|task| task.1), "from_return_ms": since(|task| task.2) }))?;
    shutdown.cancel();
    courier.await?;
    child.wait().await?;
    Ok(())
}

/// The worker of [`start`]: prints when it started the first task of each job.
pub(crate) async fn run_worker(args: TaskArgs) -> Outcome<()> {
    let catalog = args.servers.catalog().await?;
    let (started, mut starts) = mpsc::unbounded_channel();
    let worker = work(&args, catalog, move |claim| {
        if claim.task.kind == TaskKind::Probe
            && let Ok(now) = micros()
        {
            let _ = started.send((claim.job.id.to_string(), now));
        }
        None
    })?;
    writeln!(std::io::stdout(), "ready")?;
    let mut told = HashMap::with_capacity(args.count);
    while told.len() < args.count {
        told.extend(starts.recv().await);
    }
    print(&serde_json::json!(told))?;
    worker.stop().await
}

/// A running worker.
struct Worker {
    shutdown: CancellationToken,
    running: Vec<tokio::task::JoinHandle<()>>,
}

impl Worker {
    async fn stop(self) -> Outcome<()> {
        self.shutdown.cancel();
        for task in self.running {
            task.await?;
        }
        Ok(())
    }
}

/// Runs tasks that do nothing. `begin` sees each as it starts, and may ask to hear of its end.
fn work(
    args: &TaskArgs,
    catalog: Catalog,
    begin: impl Fn(&Claim) -> Option<mpsc::UnboundedSender<()>> + Send + Sync + 'static,
) -> Outcome<Worker> {
    let (bus, shutdown) = (args.servers.bus()?, CancellationToken::new());
    let pool = Pool {
        worker: WorkerId::new(),
        catalog: catalog.clone(),
        bus: bus.clone(),
        slots: args.slots,
        memory_mib: None,
    };
    let finisher = Finisher::new(catalog.clone());
    let courier = tokio::spawn(courier::run(catalog, bus, shutdown.clone()));
    let running = pool.run(shutdown.clone(), Duration::ZERO, move |claimed, _| {
        let (done, finisher) = (begin(&claimed.claim), finisher.clone());
        async move {
            let success = Success {
                task: claimed.claim.task,
                result: "{}".into(),
            };
            if let Err(error) = finisher.succeed(success).await {
                tracing::error!(%error, "a task could not be finished");
            }
            if let Some(done) = done {
                let _ = done.send(());
            }
        }
    });
    Ok(Worker {
        running: vec![courier, tokio::spawn(running)],
        shutdown,
    })
}

/// Makes so many tasks that wait for nothing but a worker.
async fn fill(catalog: &Catalog, count: usize) -> Outcome<()> {
    let upload = complete_upload(catalog).await?;
    let jobs = count.div_ceil(TASKS_PER_JOB);
    for _ in 0..jobs {
        catalog.create_job(&Tenant::single(), upload, &new_job()?, None).await?;
    }
    // All plans are claimed before the first one is told: its tasks would be claimed instead of another job's plan.
    let mut plans = Vec::with_capacity(jobs);
    while plans.len() < jobs {
        let claim = catalog.claim(WorkerId::new(), Duration::from_secs(60)).await?;
        let task = claim.ok_or("there is no task to claim")?.task;
        match task.kind {
            TaskKind::Plan => plans.push(task),
            _ => drop(catalog.succeed(&task, "{}", &Effect::None).await?),
        }
    }
    let mut left = count;
    for plan in plans {
        let some = left.min(TASKS_PER_JOB);
        left -= some;
        let task = |index| TaskRef {
            kind: TaskKind::Video,
            index,
        };
        let after = vec![TaskRef::only(TaskKind::Plan)];
        let tasks = (0..i32::try_from(some)?).map(|index| NewTask::new(task(index), after.clone()));
        let planned = Effect::Planned {
            plan: String::new(),
            source: SourceInfo::default(),
            renditions: Vec::new(),
            tasks: tasks.collect(),
        };
        catalog.succeed(&plan, "{}", &planned).await?;
    }
    Ok(())
}

fn new_job() -> Outcome<NewJob> {
    Ok(NewJob {
        id: JobId::new(),
        preset: "fast".into(),
        ladder: preset("fast").ok_or("no such preset")?,
        priority: 0,
        source_action: SourceAction::Keep,
    })
}

/// Now, in microseconds since 1970, for two processes of one machine.
fn micros() -> Outcome<u64> {
    Ok(u64::try_from(
        SystemTime::now().duration_since(UNIX_EPOCH)?.as_micros(),
    )?)
}

fn print(report: &serde_json::Value) -> Outcome<()> {
    Ok(writeln!(std::io::stdout(), "{report}")?)
}

impl Servers {
    pub(crate) fn bus(&self) -> Outcome<Bus> {
        Ok(Bus::redis(RedisSettings::new(&self.redis))?)
    }
}
