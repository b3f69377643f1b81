//! What a worker takes at the same time.

use std::{sync::Arc, time::Duration};

use reelway_bus::Bus;
use reelway_catalog::{Effect, Fenced};
use reelway_domain::{NewTask, SourceInfo, TaskKind, TaskRef, WorkerId};
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use crate::{Pool, testing::Bench};

/// What the tasks of these tests may take together, in MiB.
const MEMORY_MIB: i64 = 1000;

/// A running task: what it takes, and what ends it.
type Running = (i64, oneshot::Sender<()>);

/// A job with tasks of these sizes, in MiB, that wait for nothing but a worker.
async fn tasks_of(bench: &Bench, sizes_mib: &[i64]) {
    bench.job(b"whatever".to_vec()).await;
    let task = |(index, size_mib): (i32, &i64)| NewTask {
        memory_mib: *size_mib,
        ..NewTask::new(
            TaskRef {
                kind: TaskKind::Video,
                index,
            },
            vec![],
        )
    };
    let planned = Effect::Planned {
        plan: "{}".into(),
        source: SourceInfo::default(),
        renditions: Vec::new(),
        tasks: (0..).zip(sizes_mib).map(task).collect(),
    };
    for effect in [Effect::None, planned] {
        let claim = bench
            .catalog
            .claim(WorkerId::new(), Duration::from_secs(60))
            .await
            .unwrap();
        let recorded = bench.catalog.succeed(&claim.unwrap().task, "{}", &effect).await;
        assert_eq!(recorded.unwrap(), Fenced::Done);
    }
}

/// Runs a pool of four slots whose tasks last until they are told to end.
fn start(
    bench: &Bench,
    shutdown: &CancellationToken,
) -> (tokio::task::JoinHandle<()>, mpsc::UnboundedReceiver<Running>) {
    let (begin, began) = mpsc::unbounded_channel();
    let begin = Arc::new(begin);
    let pool = Pool {
        worker: WorkerId::new(),
        catalog: bench.catalog.clone(),
        bus: Bus::default(),
        slots: 4,
        memory_mib: Some(MEMORY_MIB),
    };
    let running = pool.run(shutdown.clone(), Duration::ZERO, move |claimed, _| {
        let (end, ended) = oneshot::channel();
        begin.send((claimed.claim.task.memory_mib, end)).unwrap();
        async move {
            ended.await.unwrap();
        }
    });
    (tokio::spawn(running), began)
}

#[tokio::test(flavor = "multi_thread")]
async fn tasks_run_together_as_far_as_memory_reaches() {
    let bench = Bench::new().await;
    tasks_of(&bench, &[600, 700, 5000, 300, 50]).await;
    let shutdown = CancellationToken::new();
    let (pool, mut began) = start(&bench, &shutdown);
    let mut next = async || began.recv().await.unwrap();
    let (first, second, third) = (next().await, next().await, next().await);
    assert_eq!(
        [first.0, second.0, third.0],
        [600, 300, 50],
        "what doesn't fit is passed over by what does"
    );
    first.1.send(()).unwrap();
    second.1.send(()).unwrap();
    let fourth = next().await;
    assert_eq!(fourth.0, 700, "there is room for it when the others have ended");
    third.1.send(()).unwrap();
    fourth.1.send(()).unwrap();
    let last = next().await;
    assert_eq!(last.0, 5000, "an idle worker takes anything");
    last.1.send(()).unwrap();
    shutdown.cancel();
    pool.await.unwrap();
}
