//! Group commit: successes that come at the same time are recorded in one transaction, so that many short tasks don't wait for
//! the disk one after the other.

use reelway_catalog::{Catalog, Effect, Error, Fenced, Success};
use tokio::sync::{mpsc, oneshot};

/// The most successes in one transaction.
const BATCH_MAX: usize = 256;

/// Records successes that mean nothing for the job but their result. Clones share the transactions.
#[derive(Debug, Clone)]
pub struct Finisher {
    arriving: mpsc::Sender<Arrival>,
}

type Arrival = (Success, oneshot::Sender<Result<Fenced, Error>>);

impl Finisher {
    /// Begins; ends when the last clone is dropped.
    #[must_use]
    pub fn new(catalog: Catalog) -> Self {
        let (arriving, arrived) = mpsc::channel(BATCH_MAX);
        tokio::spawn(record_all(catalog, arrived));
        Self { arriving }
    }

    /// Records a success under its lease.
    ///
    /// # Errors
    /// [`Error::Database`] if the database fails: it may be recorded or not then.
    pub async fn succeed(&self, success: Success) -> Result<Fenced, Error> {
        let (answer, answered) = oneshot::channel();
        let ended = || Error::Corrupt("the finisher has ended".into());
        self.arriving.send((success, answer)).await.map_err(|_| ended())?;
        answered.await.map_err(|_| ended())?
    }
}

async fn record_all(catalog: Catalog, mut arrived: mpsc::Receiver<Arrival>) {
    let mut batch = Vec::with_capacity(BATCH_MAX);
    // Whatever came while the last transaction was under way is the next one.
    while arrived.recv_many(&mut batch, BATCH_MAX).await > 0 {
        let (successes, answers): (Vec<_>, Vec<_>) = batch.drain(..).unzip();
        for (answer, result) in answers.into_iter().zip(record(&catalog, &successes).await) {
            // Nobody listens if the attempt was dropped.
            let _ = answer.send(result);
        }
    }
}

async fn record(catalog: &Catalog, successes: &[Success]) -> Vec<Result<Fenced, Error>> {
    match catalog.succeed_batch(successes).await {
        Ok(fenced) => fenced.into_iter().map(Ok).collect(),
        Err(error) if successes.len() == 1 => vec![Err(error)],
        Err(error) => {
            tracing::debug!(%error, count = successes.len(), "successes are recorded one by one");
            let mut results = Vec::with_capacity(successes.len());
            for success in successes {
                results.push(catalog.succeed(&success.task, &success.result, &Effect::None).await);
            }
            results
        }
    }
}
