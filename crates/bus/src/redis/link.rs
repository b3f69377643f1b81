//! The connection that publishes: made again as long as the bus lives.

use std::{sync::Arc, time::Duration};

use fred::{interfaces::StreamsInterface as _, types::Value};
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

/// How often a connection is asked whether it is alive and takes writes.
const PROBE_EVERY: Duration = Duration::from_secs(1);
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
    pub(super) fn keep(runtime: &Handle, door: Arc<Door>, probe: String, ended: CancellationToken) -> Self {
        health::begin();
        let (sender, state) = watch::channel(State::New);
        let health = Arc::<Health>::default();
        let keep = keep(door, probe, sender, Arc::clone(&health));
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

    /// The connection, if there is one at this moment.
    pub(super) fn session_now(&self) -> Option<Arc<Session>> {
        match &*self.state.borrow() {
            State::Up(session) => Some(Arc::clone(session)),
            State::New | State::Away => None,
        }
    }

    pub(super) fn health(&self) -> &Health {
        &self.health
    }
}

async fn keep(door: Arc<Door>, probe: String, state: watch::Sender<State>, health: Arc<Health>) {
    let mut backoff = Backoff::default();
    loop {
        let trouble = match door.connect().await {
            Ok(session) => {
                backoff = Backoff::default();
                let session = Arc::new(session);
                state.send_replace(State::Up(Arc::clone(&session)));
                stay(&session, &probe, &health).await
            }
            Err(trouble) => trouble,
        };
        state.send_replace(State::Away);
        health.lost(&trouble);
        health::count("connect", &trouble);
        backoff.pause().await;
    }
}

/// Stays with a connection until it ends. A server that is full answers and takes nothing: so it is asked to write.
async fn stay(session: &Session, probe: &str, health: &Health) -> Trouble {
    let mut ask = interval(PROBE_EVERY);
    ask.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            trouble = session.ended() => return trouble,
            _ = ask.tick() => {}
        }
        let write = session
            .client
            .xadd::<Value, _, _, _, _>(probe, true, None, "*", vec![("probe", "")]);
        match session.ask(ANSWER_MAX, write).await {
            Ok(_) => health.accepts(),
            Err(trouble) if trouble.leaves_connection() => health.fails(&trouble),
            Err(trouble) => return trouble,
        }
    }
}
