//! Health of a server: what each of its services says of itself, and all of them together under the empty name.

use std::convert::Infallible;

use futures_util::future::select_all;
use tokio::sync::watch;
use tonic_health::{
    ServingStatus,
    pb::health_server::HealthServer,
    server::{HealthReporter, HealthService},
};

/// The name of the whole server.
const WHOLE: &str = "";

/// Tells the health service what it is to say.
pub(super) struct Health {
    reporter: HealthReporter,
    services: Vec<Watched>,
}

struct Watched {
    name: &'static str,
    ready: watch::Receiver<bool>,
    /// Nobody can change it any more.
    is_settled: bool,
}

impl Health {
    /// The health of these services as it is now. [`Self::follow`] tells what becomes of it.
    pub(super) async fn new(
        services: Vec<(&'static str, watch::Receiver<bool>)>,
    ) -> (Self, HealthServer<HealthService>) {
        let reporter = HealthReporter::new();
        let service = HealthService::from_health_reporter(reporter.clone());
        let watched = |(name, ready)| Watched {
            name,
            ready,
            is_settled: false,
        };
        let services = services.into_iter().map(watched).collect();
        let mut health = Self { reporter, services };
        health.tell().await;
        (health, HealthServer::new(service))
    }

    /// Tells how the services are whenever that changes.
    pub(super) async fn follow(&mut self) -> Infallible {
        loop {
            self.changed().await;
            self.tell().await;
        }
    }

    async fn tell(&mut self) {
        let mut is_all = true;
        for service in &mut self.services {
            let is_ready = *service.ready.borrow_and_update();
            is_all &= is_ready;
            self.reporter.set_service_status(service.name, status(is_ready)).await;
        }
        self.reporter.set_service_status(WHOLE, status(is_all)).await;
    }

    /// Waits until a service changes.
    async fn changed(&mut self) {
        loop {
            let waiting: Vec<_> = self.services.iter_mut().filter(|service| !service.is_settled).collect();
            if waiting.is_empty() {
                return std::future::pending().await;
            }
            let changes = waiting.into_iter().map(|service| {
                Box::pin(async move {
                    service.is_settled = service.ready.changed().await.is_err();
                    service.is_settled
                })
            });
            let (is_settled, ..) = select_all(changes).await;
            if !is_settled {
                return;
            }
        }
    }

    /// Says NOT_SERVING, and ends the streams of those who watch: they would wait for as long as the server waits for them.
    pub(super) async fn end(mut self) {
        for name in self.services.iter().map(|service| service.name).chain([WHOLE]) {
            self.reporter.set_service_status(name, ServingStatus::NotServing).await;
            self.reporter.clear_service_status(name).await;
        }
    }
}

fn status(is_ready: bool) -> ServingStatus {
    if is_ready {
        ServingStatus::Serving
    } else {
        ServingStatus::NotServing
    }
}
