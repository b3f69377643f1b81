//! One change: a transaction with the events and hints that it leaves, and the trace that it belongs to.

use std::{
    collections::BTreeMap,
    ops::{Deref, DerefMut},
};

use reelway_domain::{Hint, JobId, Notice, TraceContext};
use sqlx::{Any, Executor as _, Transaction};

use crate::{Catalog, Dialect, Error, event::NewEvent, quota::Usage};

/// A transaction that gathers events, hints and changes of accounts, to be written when it commits. Dropping it undoes everything.
pub(crate) struct Tx {
    inner: Transaction<'static, Any>,
    /// The trace of the call that this change belongs to.
    pub(crate) trace: Option<TraceContext>,
    /// The trace of the call that created the job which is changed: what hints belong to if no call is behind this change.
    pub(crate) job_trace: Option<TraceContext>,
    /// Events that have their place in their job, in the order in which they happened.
    pub(crate) events: Vec<NewEvent>,
    /// How the accounts of tenants change.
    pub(crate) usage: BTreeMap<String, Usage>,
    /// What those who wait are to look at.
    pub(crate) notices: Vec<Notice>,
}

impl Catalog {
    /// Begins a change.
    pub(crate) async fn begin(&self) -> Result<Tx, Error> {
        let inner = match self.dialect {
            // The right to write at once: one that is asked for after reading is refused if another process has written since.
            Dialect::Sqlite => self.write.begin_with("BEGIN IMMEDIATE").await?,
            Dialect::Postgres => self.write.begin().await?,
        };
        Ok(Tx {
            inner,
            trace: (self.trace_source)(),
            job_trace: None,
            events: Vec::new(),
            usage: BTreeMap::new(),
            notices: Vec::new(),
        })
    }

    /// Lets a change take as long as it takes.
    pub(crate) async fn take_time(&self, tx: &mut Tx) -> Result<(), Error> {
        if self.dialect == Dialect::Postgres {
            let no_limits = "SET LOCAL statement_timeout = 0; SET LOCAL idle_in_transaction_session_timeout = 0";
            tx.inner.execute(no_limits).await?;
        }
        Ok(())
    }

    /// Writes what a change has gathered, commits it, and hands its hints to the courier of this process. The events and
    /// accounts come last, because from there on the tenants' rows are locked.
    ///
    /// # Errors
    /// [`Error::Quota`] if a tenant may not have what the change would give it; all of it is undone then.
    pub(crate) async fn commit(&self, mut tx: Tx) -> Result<(), Error> {
        let fresh = self.write_hints(&mut tx).await?;
        self.write_events(&mut tx).await?;
        tx.inner.commit().await?;
        self.fresh.add(fresh);
        Ok(())
    }
}

impl Tx {
    /// Undoes the change now.
    pub(crate) async fn rollback(self) -> Result<(), Error> {
        Ok(self.inner.rollback().await?)
    }

    /// Leaves a hint. Hints that say the same become one; a count of no tasks is none.
    pub(crate) fn leave(&mut self, hint: Hint) {
        for notice in &mut self.notices {
            match (&mut notice.hint, hint) {
                (Hint::Tasks { count }, Hint::Tasks { count: more }) => {
                    *count = count.saturating_add(more);
                    return;
                }
                (before, hint) if *before == hint => return,
                _ => {}
            }
        }
        if hint != (Hint::Tasks { count: 0 }) {
            let trace = self.trace.clone();
            self.notices.push(Notice { hint, trace });
        }
    }

    /// Leaves the hint that so many tasks can be claimed.
    pub(crate) fn leave_tasks(&mut self, count: i64) {
        let count = u32::try_from(count).unwrap_or(u32::MAX);
        self.leave(Hint::Tasks { count });
    }

    /// Leaves the hint that a job has new events. It belongs to the job's own trace if no call is behind this change.
    pub(crate) fn leave_events(&mut self, job: JobId, of_job: Option<TraceContext>) {
        if self.job_trace.is_none() {
            self.job_trace.clone_from(&of_job);
        }
        let hint = Hint::Events { job };
        if !self.notices.iter().any(|notice| notice.hint == hint) {
            let trace = self.trace.clone().or(of_job);
            self.notices.push(Notice { hint, trace });
        }
    }
}

impl Deref for Tx {
    type Target = Transaction<'static, Any>;

    fn deref(&self) -> &Self::Target {
        &self.inner
    }
}

impl DerefMut for Tx {
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut self.inner
    }
}
