//! The connection that publishes: made again as long as the bus lives.

use std::{sync::Arc, time::Duration};

use fred::{interfaces::ClientLike as _, types::Value};
use tokio::{
    runtime::Handle,
    sync::watch,
    time::{MissedTickBehavior, interval, timeout},
};
use tokio_util::sync::CancellationToken;

use super::{
    backoff::Backoff,
    health::{self, Health},
    session::{ANSWER_MAX, Door, Session},
    trouble::Trouble,
};

/// How often a connection is asked whether it is alive.
const PING_EVERY: Duration = Duration::from_secs(1);
/// How long the first try to connect is waited for. Later, nobody waits for a connection.
const FIRST_TRY_MAX: Duration = Duration::from_millis(300);

/// Gives out the connection of this moment.
#[derive(Clone)]
pub(super) struct Link {
    state: watch::Receiver<State>,
    health: Arc<Health>,
}

#[derive(Clone)]
enum State {
    /// The first try to connect is going on.
    New,
    Up(Arc<Session>),
    Away,
}

impl Link {
    /// Connects, and connects again, until `ended`.
    pub(super) fn keep(runtime: &Handle, door: Arc<Door>, ended: CancellationToken) -> Self {
        let (sender, state) = watch::channel(State::New);
        let health = Arc::<Health>::default();
        let keep = keep(door, sender, Arc::clone(&health));
        runtime.spawn(ended.run_until_cancelled_owned(keep));
        Self { state, health }
    }

    /// The connection, if there is one.
    pub(super) async fn session(&self) -> Result<Arc<Session>, Trouble> {
        let mut state = self.state.clone();
        let known = state.wait_for(|state| !matches!(state, State::New));
        if let Ok(Ok(state)) = timeout(FIRST_TRY_MAX, known).await
            && let State::Up(session) = &*state
        {
            return Ok(Arc::clone(session));
        }
        Err(Trouble::Broken("there is no connection".to_owned()))
    }

    pub(super) fn health(&self) -> &Health {
        &self.health
    }
}

async fn keep(door: Arc<Door>, state: watch::Sender<State>, health: Arc<Health>) {
    let mut backoff = Backoff::default();
    loop {
        let trouble = match door.connect().await {
            Ok(session) => {
                backoff = Backoff::default();
                let session = Arc::new(session);
                state.send_replace(State::Up(Arc::clone(&session)));
                stay(&session, &health).await
            }
            Err(trouble) => trouble,
        };
        state.send_replace(State::Away);
        health.lost(&trouble);
        health::count("connect", &trouble);
        backoff.pause().await;
    }
}

/// Stays with a connection until it ends.
async fn stay(session: &Session, health: &Health) -> Trouble {
    let mut ping = interval(PING_EVERY);
    ping.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        health.answers();
        tokio::select! {
            trouble = session.ended() => return trouble,
            _ = ping.tick() => {}
        }
        if let Err(trouble) = session.ask(ANSWER_MAX, session.client.ping::<Value>(None)).await {
            return trouble;
        }
    }
}
