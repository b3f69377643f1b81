//! Leases against a model: random steps of three workers, a reaper and an owner, each with a known right answer.

use std::collections::{HashMap, HashSet};

use rand::{Rng as _, SeedableRng as _, rngs::StdRng, seq::IndexedRandom as _};
use reelway_domain::{JobId, JobState, LeaseEpoch, TaskId};

use super::{db::Db, fixture::*, on_both};
use crate::{Beat, Cancelled, Fenced, Retried, Task};

on_both!(both_databases_one_behaviour);

const SEEDS: [u64; 2] = [1, 2];
const STEPS: usize = 400;
const CHUNKS: i32 = 3;
const LIVING_JOBS: usize = 3;

struct Model<'a> {
    db: &'a Db,
    random: StdRng,
    /// Everything that any worker ever claimed: they all try again with what they lost long ago.
    claims: Vec<Task>,
    /// The leases that are good.
    leases: HashMap<TaskId, Task>,
    /// Those among them that ran out and were not renewed.
    expired: HashSet<TaskId>,
    epochs: HashMap<TaskId, LeaseEpoch>,
    accepted: HashSet<(TaskId, LeaseEpoch)>,
    jobs: Vec<JobId>,
}

async fn both_databases_one_behaviour(db: &Db) {
    for seed in SEEDS {
        let mut model = Model {
            db,
            random: StdRng::seed_from_u64(seed),
            claims: Vec::new(),
            leases: HashMap::new(),
            expired: HashSet::new(),
            epochs: HashMap::new(),
            accepted: HashSet::new(),
            jobs: Vec::new(),
        };
        for step in 0..STEPS {
            model.step(&format!("seed {seed}, step {step}")).await;
        }
        model.check_rows().await;
        assert!(model.accepted.len() > STEPS / 10, "seed {seed} gets things done");
        for job in model.jobs.clone() {
            db.catalog.cancel_job(&tenant(), job).await.unwrap();
        }
    }
}

impl Model<'_> {
    async fn step(&mut self, place: &str) {
        if self.living().await < LIVING_JOBS {
            self.jobs.push(self.db.complete().await.1);
        }
        match self.random.random_range(0..100) {
            0..35 => self.claim(place).await,
            35..45 => self.beat(place).await,
            45..75 => self.result(place).await,
            75..85 => self.expire().await,
            85..92 => self.reap(place).await,
            92..94 => self.cancel().await,
            94..98 => self.retry().await,
            _ => self.db.skip_backoff().await,
        }
    }

    async fn living(&self) -> usize {
        let count = self.db.count("jobs WHERE state IN ('queued', 'running')").await;
        usize::try_from(count).unwrap()
    }

    async fn claim(&mut self, place: &str) {
        let Some(claim) = self.db.try_claim().await else { return };
        let task = claim.task;
        assert!(
            !self.leases.contains_key(&task.id),
            "{place}: two workers have {:?}",
            task.id
        );
        let before = self.epochs.insert(task.id, task.lease_epoch);
        assert_eq!(task.lease_epoch.0, before.map_or(1, |e| e.0 + 1), "{place}");
        self.leases.insert(task.id, task.clone());
        self.claims.push(task);
    }

    /// Mostly a lease that is good, sometimes one of long ago.
    fn any_claim(&mut self) -> Option<Task> {
        let good: Vec<Task> = self.claims.iter().filter(|task| self.holds(task)).cloned().collect();
        let all = if good.is_empty() || self.random.random_ratio(1, 4) {
            &self.claims
        } else {
            &good
        };
        all.choose(&mut self.random).cloned()
    }

    fn holds(&self, task: &Task) -> bool {
        self.leases
            .get(&task.id)
            .is_some_and(|held| held.lease_epoch == task.lease_epoch)
    }

    fn expected(&self, task: &Task) -> Fenced {
        if self.holds(task) {
            Fenced::Done
        } else {
            Fenced::LeaseLost
        }
    }

    async fn beat(&mut self, place: &str) {
        let Some(task) = self.any_claim() else { return };
        let alive = self.db.catalog.heartbeat(&task, LONG).await.unwrap() == Beat::Alive;
        assert_eq!(alive, self.holds(&task), "{place}");
        if alive {
            self.expired.remove(&task.id);
        }
    }

    async fn result(&mut self, place: &str) {
        let Some(task) = self.any_claim() else { return };
        let expected = self.expected(&task);
        let catalog = &self.db.catalog;
        let what = self.random.random_range(0..20);
        let outcome = match what {
            0..13 => catalog.succeed(&task, "{}", &effect_of(task.kind, CHUNKS)).await,
            13..16 => catalog.fail_attempt(&task, &transient(), "").await,
            16 => catalog.fail_attempt(&task, &permanent(), "").await,
            _ => catalog.hand_back(&task).await,
        };
        assert_eq!(outcome.unwrap(), expected, "{place}: {task:?}");
        if expected == Fenced::LeaseLost {
            return;
        }
        assert!(
            self.accepted.insert((task.id, task.lease_epoch)),
            "{place}: two results of one epoch"
        );
        self.end_lease(&task);
        if what == 16 || ((13..16).contains(&what) && task.attempt == task.attempt_max) {
            self.end_leases_of(task.job);
        }
    }

    async fn expire(&mut self) {
        let ids: Vec<TaskId> = self.leases.keys().copied().collect();
        let Some(id) = ids.choose(&mut self.random) else { return };
        self.db.expire_lease(&self.leases[id]).await;
        self.expired.insert(*id);
    }

    async fn reap(&mut self, place: &str) {
        let reaped = self.db.catalog.reap(MANY).await.unwrap();
        let expired: Vec<Task> = self.expired.iter().map(|id| self.leases[id].clone()).collect();
        let last: HashSet<JobId> = expired
            .iter()
            .filter(|t| t.attempt == t.attempt_max)
            .map(|t| t.job)
            .collect();
        // A job that fails on the way takes the leases of its other tasks before the reaper comes to them.
        let surely = expired.iter().filter(|t| !last.contains(&t.job)).count() + last.len();
        assert!(
            (surely..=expired.len()).contains(&reaped),
            "{place}: {reaped} of {expired:?}"
        );
        expired.iter().for_each(|task| self.end_lease(task));
        last.into_iter().for_each(|job| self.end_leases_of(job));
    }

    async fn cancel(&mut self) {
        let Some(job) = self.jobs.choose(&mut self.random).copied() else {
            return;
        };
        let cancelled = self.db.catalog.cancel_job(&tenant(), job).await.unwrap();
        assert!(matches!(cancelled, Cancelled::Job(job) if job.state.is_terminal()));
        self.end_leases_of(job);
    }

    async fn retry(&mut self) {
        let Some(id) = self.jobs.choose(&mut self.random).copied() else {
            return;
        };
        let before = self.db.job(id).await.state;
        let retried = self.db.catalog.retry_job(&tenant(), id).await.unwrap();
        let can = matches!(before, JobState::Failed | JobState::Cancelled);
        assert_eq!(matches!(retried, Retried::Queued(_)), can);
    }

    fn end_lease(&mut self, task: &Task) {
        self.leases.remove(&task.id);
        self.expired.remove(&task.id);
    }

    fn end_leases_of(&mut self, job: JobId) {
        let (leases, expired) = (&mut self.leases, &mut self.expired);
        leases.retain(|id, task| {
            let keep = task.job != job;
            if !keep {
                expired.remove(id);
            }
            keep
        });
    }

    /// What must hold for all rows, whatever happened.
    async fn check_rows(&self) {
        let running = usize::try_from(self.db.count("tasks WHERE state = 'running'").await).unwrap();
        assert_eq!(running, self.leases.len());
        let wrong = [
            "tasks t JOIN jobs j ON j.id = t.job_id WHERE t.state = 'running' AND j.state <> 'running'",
            "tasks t JOIN jobs j ON j.id = t.job_id WHERE j.state = 'succeeded' AND t.state <> 'succeeded'",
            "tasks t WHERE t.pending <> (SELECT COUNT(*) FROM task_edges e JOIN tasks b ON b.id = e.before_id
                                         WHERE e.after_id = t.id AND b.state <> 'succeeded')",
            "jobs j WHERE j.event_seq <> (SELECT COUNT(*) FROM job_events e WHERE e.job_id = j.id)
                       OR j.event_seq <> (SELECT MAX(seq) FROM job_events e WHERE e.job_id = j.id)",
        ];
        for rows in wrong {
            assert_eq!(self.db.count(rows).await, 0, "{rows}");
        }
    }
}
