//! Leases against a model: random steps of two workers, a reaper, an owner and a clock, each with a known right answer. What
//! goes wrong is shrunk to the fewest steps that show it. `PROPTEST_CASES` asks for more cases.

use std::{
    collections::{HashMap, HashSet},
    env,
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use proptest::{
    collection::vec,
    prelude::{Just, Strategy, any},
    prop_oneof,
    sample::Index,
    test_runner::{Config, TestRunner},
};
use reelway_domain::{JobId, JobState, LeaseEpoch, TaskId, WorkerId};
use tokio::{runtime::Handle, task::block_in_place};

use super::{db::Db, fixture::*, on_both};
use crate::{Beat, Cancelled, Claim, Dialect, Effect, Fenced, Retried, Success, Task};

on_both!(both_databases_one_behaviour);

const CHUNKS: i32 = 2;
const STEPS_MAX: usize = 90;
/// Each iteration of shrinking runs a whole case.
const SHRINK_ITERATIONS_MAX: u32 = 400;
const LEASE: Duration = Duration::from_secs(3600);
const LEASE_MINUTES: i64 = 60;
/// No sum of these is the length of a lease, so the time that the test itself takes doesn't matter.
const MINUTES: [i64; 2] = [25, 40];

/// Which claim a worker means: one that is good, if there is one, or any that it ever had.
#[derive(Debug, Clone)]
struct Which {
    worker: usize,
    is_good: bool,
    index: Index,
}

#[derive(Debug, Clone, Copy)]
enum Outcome {
    Success,
    Transient,
    Permanent,
    HandBack,
}

#[derive(Debug, Clone)]
enum Step {
    Create,
    Claim {
        worker: usize,
        count_max: usize,
    },
    Beat(Which),
    End(Which, Outcome),
    /// The results of all chunks that a worker ever had, at once.
    EndAll {
        worker: usize,
    },
    Pass {
        minutes: i64,
    },
    Reap,
    Cancel(Index),
    Retry(Index),
}

fn which() -> impl Strategy<Value = Which> {
    let is_good = prop_oneof![3 => Just(true), 1 => Just(false)];
    (0..2_usize, is_good, any::<Index>()).prop_map(|(worker, is_good, index)| Which { worker, is_good, index })
}

fn step() -> impl Strategy<Value = Step> {
    let outcome = prop_oneof![
        12 => Just(Outcome::Success),
        3 => Just(Outcome::Transient),
        1 => Just(Outcome::Permanent),
        2 => Just(Outcome::HandBack),
    ];
    prop_oneof![
        1 => Just(Step::Create),
        12 => (0..2_usize, 1..4_usize).prop_map(|(worker, count_max)| Step::Claim { worker, count_max }),
        4 => which().prop_map(Step::Beat),
        12 => (which(), outcome).prop_map(|(which, outcome)| Step::End(which, outcome)),
        4 => (0..2_usize).prop_map(|worker| Step::EndAll { worker }),
        5 => prop_oneof![Just(MINUTES[0]), Just(MINUTES[1])].prop_map(|minutes| Step::Pass { minutes }),
        4 => Just(Step::Reap),
        1 => any::<Index>().prop_map(Step::Cancel),
        2 => any::<Index>().prop_map(Step::Retry),
    ]
}

async fn both_databases_one_behaviour(db: &Db) {
    let mut config = Config {
        failure_persistence: None,
        max_shrink_iters: SHRINK_ITERATIONS_MAX,
        ..Config::default()
    };
    if env::var_os("PROPTEST_CASES").is_none() {
        config.cases = if db.catalog.dialect() == Dialect::Sqlite {
            48
        } else {
            16
        };
    }
    let accepted = AtomicUsize::new(0);
    let cases = usize::try_from(config.cases).unwrap();
    let found = block_in_place(|| {
        TestRunner::new(config).run(&vec(step(), 1..STEPS_MAX), |steps| {
            accepted.fetch_add(Handle::current().block_on(run(db, steps)), Ordering::Relaxed);
            Ok(())
        })
    });
    if let Err(found) = found {
        panic!("{found}");
    }
    assert!(accepted.into_inner() > cases, "things get done");
}

/// Runs a case in an empty catalog. Gives how many results were accepted.
async fn run(db: &Db, steps: Vec<Step>) -> usize {
    for table in ["webhooks", "outbox", "jobs", "uploads", "tenants"] {
        db.raw(&format!("DELETE FROM {table}")).await.unwrap();
    }
    let mut model = Model {
        db,
        minute: 0,
        workers: [WorkerId::new(), WorkerId::new()],
        claims: [Vec::new(), Vec::new()],
        leases: HashMap::new(),
        epochs: HashMap::new(),
        accepted: HashSet::new(),
        succeeded: HashSet::new(),
        jobs: vec![db.complete().await.1],
    };
    for step in steps {
        model.step(step).await;
    }
    model.check_rows().await;
    model.accepted.len()
}

struct Lease {
    task: Task,
    until_minute: i64,
}

struct Model<'a> {
    db: &'a Db,
    minute: i64,
    workers: [WorkerId; 2],
    /// Everything that each worker ever claimed: they try again with what they lost long ago.
    claims: [Vec<Task>; 2],
    /// The leases that were not taken away, whether they ran out or not.
    leases: HashMap<TaskId, Lease>,
    epochs: HashMap<TaskId, LeaseEpoch>,
    accepted: HashSet<(TaskId, LeaseEpoch)>,
    succeeded: HashSet<TaskId>,
    jobs: Vec<JobId>,
}

impl Model<'_> {
    async fn step(&mut self, step: Step) {
        match step {
            Step::Create => self.jobs.push(self.db.complete().await.1),
            Step::Claim { worker, count_max } => self.claim(worker, count_max).await,
            Step::Beat(which) => self.beat(&which).await,
            Step::End(which, outcome) => self.end(&which, outcome).await,
            Step::EndAll { worker } => self.end_all(worker).await,
            Step::Pass { minutes } => self.pass(minutes).await,
            Step::Reap => self.reap().await,
            Step::Cancel(index) => self.cancel(*index.get(&self.jobs)).await,
            Step::Retry(index) => self.retry(*index.get(&self.jobs)).await,
        }
    }

    async fn claim(&mut self, worker: usize, count_max: usize) {
        let owner = self.workers[worker];
        let claims = self
            .db
            .catalog
            .claim_batch(owner, LEASE, count_max, None)
            .await
            .unwrap();
        assert!(claims.len() <= count_max);
        self.claimed(worker, claims);
    }

    fn claimed(&mut self, worker: usize, claims: Vec<Claim>) {
        for task in claims.into_iter().map(|claim| claim.task) {
            assert!(!self.leases.contains_key(&task.id), "two workers have {}", task.id);
            assert!(!self.succeeded.contains(&task.id), "{} is done", task.id);
            let before = self.epochs.insert(task.id, task.lease_epoch);
            assert_eq!(task.lease_epoch.0, before.map_or(1, |epoch| epoch.0 + 1));
            let lease = Lease {
                task: task.clone(),
                until_minute: self.minute + LEASE_MINUTES,
            };
            self.leases.insert(task.id, lease);
            self.claims[worker].push(task);
        }
    }

    fn find(&self, which: &Which) -> Option<Task> {
        let all = &self.claims[which.worker];
        let good: Vec<&Task> = all.iter().filter(|task| self.holds(task)).collect();
        if which.is_good && !good.is_empty() {
            return Some((*which.index.get(&good)).clone());
        }
        (!all.is_empty()).then(|| which.index.get(all).clone())
    }

    fn holds(&self, task: &Task) -> bool {
        let held = self.leases.get(&task.id);
        held.is_some_and(|lease| lease.task.lease_epoch == task.lease_epoch)
    }

    fn expected(&self, task: &Task) -> Fenced {
        if self.holds(task) {
            Fenced::Done
        } else {
            Fenced::LeaseLost
        }
    }

    async fn beat(&mut self, which: &Which) {
        let Some(task) = self.find(which) else { return };
        let is_alive = self.db.catalog.heartbeat(&task, LEASE).await.unwrap() == Beat::Alive;
        assert_eq!(is_alive, self.holds(&task));
        if is_alive && let Some(lease) = self.leases.get_mut(&task.id) {
            lease.until_minute = self.minute + LEASE_MINUTES;
        }
    }

    async fn end(&mut self, which: &Which, outcome: Outcome) {
        let Some(task) = self.find(which) else { return };
        let catalog = &self.db.catalog;
        let answer = match outcome {
            Outcome::Success => catalog.succeed(&task, "{}", &effect_of(task.kind, CHUNKS)).await,
            Outcome::Transient => catalog.fail_attempt(&task, &transient(), "").await,
            Outcome::Permanent => catalog.fail_attempt(&task, &permanent(), "").await,
            Outcome::HandBack => catalog.hand_back(&task).await,
        };
        assert_eq!(answer.unwrap(), self.expected(&task));
        if !self.holds(&task) {
            return;
        }
        self.accept(&task);
        match outcome {
            Outcome::Success => {
                self.succeeded.insert(task.id);
            }
            Outcome::Permanent => self.end_leases_of(task.job),
            Outcome::Transient if task.attempt == task.attempt_max => self.end_leases_of(task.job),
            Outcome::Transient | Outcome::HandBack => {}
        }
    }

    async fn end_all(&mut self, worker: usize) {
        let chunks = self.claims[worker]
            .iter()
            .filter(|task| effect_of(task.kind, 0) == Effect::None);
        let successes: Vec<Success> = chunks
            .map(|task| Success {
                task: task.clone(),
                result: "{}".into(),
            })
            .collect();
        let answers = self.db.catalog.succeed_batch(&successes).await.unwrap();
        assert_eq!(answers.len(), successes.len());
        for (success, answer) in successes.iter().zip(answers) {
            assert_eq!(answer, self.expected(&success.task));
            if answer == Fenced::Done {
                self.accept(&success.task);
                self.succeeded.insert(success.task.id);
            }
        }
    }

    fn accept(&mut self, task: &Task) {
        assert!(
            self.accepted.insert((task.id, task.lease_epoch)),
            "two results of one lease"
        );
        self.leases.remove(&task.id);
    }

    /// Time passes for the catalog when everything that it waits for comes nearer.
    async fn pass(&mut self, minutes: i64) {
        self.minute += minutes;
        let ms = minutes * 60_000;
        let nearer =
            format!("UPDATE tasks SET run_at_ms = run_at_ms - {ms}, lease_expires_at_ms = lease_expires_at_ms - {ms}");
        self.db.raw(&nearer).await.unwrap();
    }

    async fn reap(&mut self) {
        let reaped = self.db.catalog.reap(MANY).await.unwrap();
        let ran_out = self.leases.values().filter(|lease| lease.until_minute < self.minute);
        let ran_out: Vec<Task> = ran_out.map(|lease| lease.task.clone()).collect();
        let is_last = |task: &&Task| task.attempt == task.attempt_max;
        let failed: HashSet<JobId> = ran_out.iter().filter(is_last).map(|task| task.job).collect();
        // A job that fails on the way takes the leases of its other tasks before the reaper comes to them.
        let surely = ran_out.iter().filter(|task| !failed.contains(&task.job)).count() + failed.len();
        assert!((surely..=ran_out.len()).contains(&reaped), "{reaped} of {ran_out:?}");
        for task in &ran_out {
            self.leases.remove(&task.id);
        }
        failed.into_iter().for_each(|job| self.end_leases_of(job));
    }

    async fn cancel(&mut self, job: JobId) {
        let cancelled = self.db.catalog.cancel_job(&tenant(), job).await.unwrap();
        assert!(matches!(cancelled, Cancelled::Job(job) if job.state.is_terminal()));
        self.end_leases_of(job);
    }

    async fn retry(&mut self, job: JobId) {
        let before = self.db.job(job).await.state;
        let retried = self.db.catalog.retry_job(&tenant(), job).await.unwrap();
        let can = matches!(before, JobState::Failed | JobState::Cancelled);
        assert_eq!(matches!(retried, Retried::Queued(_)), can);
    }

    fn end_leases_of(&mut self, job: JobId) {
        self.leases.retain(|_, lease| lease.task.job != job);
    }

    /// What must hold for all rows, whatever happened.
    async fn check_rows(&self) {
        let count = async |rows| usize::try_from(self.db.count(rows).await).unwrap();
        assert_eq!(count("tasks WHERE state = 'running'").await, self.leases.len());
        assert_eq!(count("tasks WHERE state = 'succeeded'").await, self.succeeded.len());
        let wrong = [
            "tasks t JOIN jobs j ON j.id = t.job_id WHERE t.state = 'running' AND j.state <> 'running'",
            "tasks t JOIN jobs j ON j.id = t.job_id WHERE j.state = 'succeeded' AND t.state <> 'succeeded'",
            "tasks t WHERE t.pending <> (SELECT COUNT(*) FROM task_edges e JOIN tasks b ON b.id = e.before_id
                                         WHERE e.after_id = t.id AND b.state <> 'succeeded')",
            "jobs j WHERE j.event_seq <> (SELECT COUNT(*) FROM job_events e WHERE e.job_id = j.id)
                       OR j.event_seq <> (SELECT MAX(seq) FROM job_events e WHERE e.job_id = j.id)",
            "tenants t WHERE t.event_seq <> (SELECT COUNT(*) FROM job_events e WHERE e.tenant = t.id)",
        ];
        for rows in wrong {
            assert_eq!(self.db.count(rows).await, 0, "{rows}");
        }
    }
}
