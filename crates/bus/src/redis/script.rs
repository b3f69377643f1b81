//! Scripts on the bus's Redis, for the few things beside the bus that processes of a deployment share.

use std::{fmt, time::Duration};

use fred::interfaces::LuaInterface as _;
use sha1::{Digest as _, Sha1};
use tokio::time::timeout;

use super::{Redis, health, link::Link, session::Session, trouble::Trouble};
use crate::{Bus, BusError, Kind};

/// The code of the answer of a Redis that doesn't know a script yet, or was emptied since.
const UNKNOWN: &str = "NOSCRIPT";

/// A script in Lua that works on one key and numbers, and answers a number. Redis keeps it once it has seen it.
#[derive(Debug, Clone)]
pub struct Script {
    text: &'static str,
    sha1: String,
}

impl Script {
    /// A script with this text.
    #[must_use]
    pub fn new(text: &'static str) -> Self {
        let digest = Sha1::digest(text);
        let sha1 = digest.iter().map(|byte| format!("{byte:02x}")).collect();
        Self { text, sha1 }
    }
}

/// Runs scripts. Clones are the same.
#[derive(Clone)]
pub struct Scripts {
    link: Link,
    prefix: String,
}

impl fmt::Debug for Scripts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scripts")
            .field("prefix", &self.prefix)
            .finish_non_exhaustive()
    }
}

impl Bus {
    /// The Redis that the bus goes through, for scripts; `None` if the bus lies within the process.
    #[must_use]
    pub fn scripts(&self) -> Option<Scripts> {
        match &self.0 {
            Kind::Local(_) => None,
            Kind::Redis(redis) => Some(redis.scripts()),
        }
    }
}

impl Redis {
    fn scripts(&self) -> Scripts {
        Scripts {
            link: self.0.link.clone(),
            prefix: self.0.prefix.clone(),
        }
    }
}

impl Scripts {
    /// Runs a script on a key, whose name gets the prefix of the deployment. Waits for no connection, and for an answer no
    /// longer than `within`: whether the script has run is not known then.
    ///
    /// # Errors
    /// [`BusError::Away`] if there is no answer.
    pub async fn run(&self, script: &Script, key: &str, numbers: &[i64], within: Duration) -> Result<i64, BusError> {
        let Some(session) = self.link.session_now() else {
            return Err(Trouble::Broken("there is no connection".to_owned()).into());
        };
        let key = format!("{}:{key}", self.prefix);
        // Others use the connection too. Whether a silent one is good for anything is not decided here.
        let answered = timeout(within, ask(&session, script, key, numbers)).await;
        answered.unwrap_or(Err(Trouble::Silent(within))).map_err(|trouble| {
            health::count("script", &trouble);
            trouble.into()
        })
    }
}

async fn ask(session: &Session, script: &Script, key: String, numbers: &[i64]) -> Result<i64, Trouble> {
    let client = &session.client;
    let known = client.evalsha(script.sha1.clone(), key.clone(), numbers.to_vec()).await;
    match known.map_err(Trouble::from) {
        Err(trouble) if trouble.code() == Some(UNKNOWN) => Ok(client.eval(script.text, key, numbers.to_vec()).await?),
        other => other,
    }
}
