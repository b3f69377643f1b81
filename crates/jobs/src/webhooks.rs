//! The deliverer of webhooks, as [Standard Webhooks](https://www.standardwebhooks.com) says: signed, tried again for days,
//! and the same id for every try. Any number of servers deliver at once; each try is one server's, and what a server that
//! died left is tried by another.

mod address;
mod answer;
mod flights;
mod schedule;
mod secret;
mod send;
mod settings;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;

use std::{sync::Arc, time::Duration};

use reelway_catalog::{Catalog, Error, Fenced, NextTry, Webhook};
use tokio_util::sync::CancellationToken;
use tracing::Instrument as _;

use self::{answer::SendError, flights::Flights, schedule::next_try, send::Sender};
pub use self::{
    secret::{WebhookSecret, WebhookSecretError},
    settings::{WebhookSettings, WebhookSettingsError, WebhookTiming},
};
use crate::trouble::Trouble;

/// How often the catalog is asked for webhooks that are due; a new one waits so long at most.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Messages that are addressed at a time.
const BATCH_MAX: usize = 100;
/// What became of tries, by `outcome`.
const DELIVERIES: &str = "reelway_webhook_deliveries_total";
/// How long deliveries under way may go on after the wish to stop.
const DRAIN: Duration = Duration::from_secs(5);

/// Delivers until `shutdown`, then waits a little for what is under way. Run it without endpoints too: uploads may name
/// receivers, and what has none is removed.
pub async fn run(catalog: Catalog, settings: WebhookSettings, shutdown: CancellationToken) {
    let mut trouble = Trouble::new("webhook deliverer");
    for outcome in ["delivered", "failed", "given_up"] {
        // Of a counter that appears with its first event, nobody sees that event.
        metrics::counter!(DELIVERIES, "outcome" => outcome).increment(0);
    }
    let Some(sender) = shutdown.run_until_cancelled(prepare(&settings, &mut trouble)).await else {
        return;
    };
    let mut deliverer = Deliverer {
        post: Arc::new(Post {
            catalog,
            settings,
            sender,
        }),
        flights: Flights::default(),
        shutdown,
    };
    deliverer.work(&mut trouble).await;
    deliverer.flights.land_all(DRAIN).await;
}

/// Waits until requests can be made: a system without certificates must not bring down the server.
async fn prepare(settings: &WebhookSettings, trouble: &mut Trouble) -> Sender {
    loop {
        match Sender::new(settings) {
            Ok(sender) => return sender,
            Err(error) => tokio::time::sleep(trouble.pause(Err(error), LOOK_EVERY)).await,
        }
    }
}

/// What every delivery needs.
struct Post {
    catalog: Catalog,
    settings: WebhookSettings,
    sender: Sender,
}

struct Deliverer {
    post: Arc<Post>,
    flights: Flights,
    shutdown: CancellationToken,
}

impl Deliverer {
    async fn work(&mut self, trouble: &mut Trouble) {
        while !self.shutdown.is_cancelled() {
            let pause = trouble.pause(self.round().await, LOOK_EVERY);
            let mut pause = std::pin::pin!(tokio::time::sleep(pause));
            loop {
                let held_back = self.holds_back();
                tokio::select! {
                    () = self.shutdown.cancelled() => break,
                    () = &mut pause => break,
                    // Room for what had to wait.
                    () = self.flights.landed() => if held_back { break },
                }
            }
        }
    }

    /// Starts what is due.
    async fn round(&mut self) -> Result<(), Error> {
        let endpoints = &self.post.settings.endpoints;
        while self.post.catalog.address_webhooks(endpoints, BATCH_MAX as i64).await? == BATCH_MAX {}
        while self.flights.has_room() && !self.shutdown.is_cancelled() {
            let lease = self.post.settings.timing.lease;
            let claimed = self
                .post
                .catalog
                .claim_webhook(lease, &self.flights.busy_hosts())
                .await?;
            let Some(webhook) = claimed else { break };
            let post = Arc::clone(&self.post);
            self.flights
                .start(webhook.host.clone(), async move { post.deliver(&webhook).await });
        }
        Ok(())
    }

    /// Whether something that is due may be waiting for room.
    fn holds_back(&self) -> bool {
        !self.flights.has_room() || !self.flights.busy_hosts().is_empty()
    }
}

impl Post {
    async fn deliver(&self, webhook: &Webhook) {
        let span = tracing::info_span!(
            "webhook",
            otel.name = format!("webhook {}", webhook.event),
            otel.kind = "client",
            "http.request.method" = "POST",
            "server.address" = webhook.host,
        );
        reelway_telemetry::continue_from(&span, webhook.trace.as_ref());
        let sent = self.sender.send(webhook).instrument(span).await;
        let (outcome, recorded) = match sent {
            Ok(()) => ("delivered", self.catalog.webhook_delivered(webhook).await),
            Err(error) => {
                let next = next_try(self.settings.timing.pauses, webhook.attempt, &error);
                let outcome = tell(webhook, &error, next);
                let error = error.to_string();
                (outcome, self.catalog.webhook_failed(webhook, &error, next).await)
            }
        };
        metrics::counter!(DELIVERIES, "outcome" => outcome).increment(1);
        match recorded {
            Ok(Fenced::Done) => {}
            Ok(Fenced::LeaseLost) => tracing::warn!(?webhook, outcome, "another server tried a webhook meanwhile"),
            Err(error) => tracing::warn!(?webhook, outcome, %error, "a try was not recorded and will be repeated"),
        }
    }
}

/// Logs a try that failed, and names it for the metric.
fn tell(webhook: &Webhook, error: &SendError, next: NextTry) -> &'static str {
    match next {
        NextTry::After(pause) => {
            tracing::info!(?webhook, %error, ?pause, "a webhook was not taken and is tried again");
            "failed"
        }
        NextTry::GiveUp => {
            tracing::warn!(?webhook, %error, "a webhook was not taken and is given up");
            "given_up"
        }
    }
}
