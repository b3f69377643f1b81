//! One connection to Redis, from its making to the first thing that goes wrong with it. The client library would connect again
//! by itself and keep commands meanwhile; here nothing is kept, and whoever uses a connection learns of its end.

use std::{future::Future, sync::Arc, time::Duration};

use fred::{
    clients::Client,
    error::Error,
    interfaces::ClientLike as _,
    types::{
        Value,
        config::{Config, ConnectionConfig, TcpConfig},
    },
};
use tokio::{sync::watch, task::AbortHandle, time::timeout};

use super::{RedisSettings, RedisSettingsError, trouble::Trouble};

/// A server that takes longer for an answer is as good as none.
pub(super) const ANSWER_MAX: Duration = Duration::from_secs(1);
/// How long it may take until a connection can be used. With a sentinel, these are several round trips to two servers.
const READY_MAX: Duration = Duration::from_secs(5);
/// The most that one step of connecting may take.
const STEP_MAX: Duration = Duration::from_secs(2);
/// Commands that wait for the connection's task. Nobody gives it so many at a time.
const COMMANDS_WAITING_MAX: usize = 16_384;

/// Knows how to get in.
pub(super) struct Door(Config);

/// A connection that answered once.
pub(super) struct Session {
    /// Takes the commands.
    pub(super) client: Client,
    router: AbortHandle,
    end: Arc<watch::Sender<Option<Trouble>>>,
}

impl Door {
    pub(super) fn new(settings: &RedisSettings) -> Result<Self, RedisSettingsError> {
        settings.config().map(Self)
    }

    /// Makes a connection to the server that can be written to, and sees that it answers.
    pub(super) async fn connect(&self) -> Result<Session, Trouble> {
        let connection = ConnectionConfig {
            connection_timeout: STEP_MAX,
            internal_command_timeout: STEP_MAX,
            max_command_attempts: 1,
            max_command_buffer_len: COMMANDS_WAITING_MAX,
            tcp: TcpConfig {
                nodelay: Some(true),
                ..TcpConfig::default()
            },
            ..ConnectionConfig::default()
        };
        let client = Client::new(self.0.clone(), None, Some(connection), None);
        let router = client.connect();
        let end = Arc::new(watch::Sender::new(None));
        // From here on, dropping it closes the connection.
        let session = Session {
            client,
            router: router.abort_handle(),
            end: Arc::clone(&end),
        };
        tokio::spawn(async move {
            let trouble = match router.await {
                Ok(Err(error)) => Trouble::from(error),
                _ => Trouble::closed(),
            };
            tell(&end, &trouble);
        });
        session.ask(READY_MAX, session.client.ping::<Value>(None)).await?;
        Ok(session)
    }
}

impl Session {
    /// What a command answers. If it took too long, or the server is the wrong one, the connection has ended.
    pub(super) async fn ask<T>(
        &self,
        within: Duration,
        command: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, Trouble> {
        let answered = timeout(within, command);
        let trouble = tokio::select! {
            biased;
            trouble = self.ended() => return Err(trouble),
            answered = answered => match answered {
                Ok(Ok(answer)) => return Ok(answer),
                Ok(Err(error)) => Trouble::from(error),
                Err(_) => Trouble::Silent(within),
            },
        };
        if !trouble.leaves_connection() {
            self.end(&trouble);
        }
        Err(trouble)
    }

    /// Why it ended, as soon as it did.
    pub(super) async fn ended(&self) -> Trouble {
        let mut end = self.end.subscribe();
        let trouble = end
            .wait_for(Option::is_some)
            .await
            .ok()
            .and_then(|trouble| trouble.clone());
        trouble.unwrap_or_else(Trouble::closed)
    }

    /// Ends it for all who use it.
    pub(super) fn end(&self, trouble: &Trouble) {
        tell(&self.end, trouble);
        self.router.abort();
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.router.abort();
    }
}

/// The first reason is the true one.
fn tell(end: &watch::Sender<Option<Trouble>>, trouble: &Trouble) {
    end.send_if_modified(|reason| reason.is_none() && reason.replace(trouble.clone()).is_none());
}
