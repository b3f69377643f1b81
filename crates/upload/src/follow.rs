//! What happens to uploads on other servers ends the streams that write them here, within a second.
//!
//! Hints tell at once; a look at the catalog tells what no hint did, and how much is to be durable before a task can begin.

use std::time::Duration;

use reelway_bus::{Heard, Hints};
use reelway_domain::Hint;
use tokio::time::{MissedTickBehavior, interval};

use crate::{UploadServer, server::Shared};

/// How often the open writers are held against the catalog.
const LOOK_EVERY: Duration = Duration::from_millis(500);

impl UploadServer {
    /// Ends write streams whose upload was taken over, aborted or expired elsewhere, until shutdown. Without this they find
    /// out at their next commit.
    pub async fn follow(self) {
        let shared = self.shared;
        let hints = shared.bus.hints();
        let following = async { tokio::join!(heed(&shared, hints), look(&shared)) };
        shared.shutdown.run_until_cancelled(following).await;
    }
}

/// Never waits for the catalog: what a hint says itself counts also while the catalog is slow.
async fn heed(shared: &Shared, mut hints: Hints) {
    while let Some(heard) = hints.next().await {
        match heard {
            Heard::Hint(Hint::Writer { upload, epoch }) => shared.registry.end_before(upload, epoch),
            Heard::Hint(Hint::WriterAsked { upload, epoch }) => drop(shared.registry.ask(upload, Some(epoch))),
            Heard::Hint(Hint::Upload { upload }) => {
                if shared.registry.writes(upload) {
                    shared.look_now.notify_one();
                }
                shared.parts_changed.notify_one();
            }
            Heard::Hint(_) => {}
            Heard::Lost => {
                shared.look_now.notify_one();
                shared.parts_changed.notify_one();
            }
        }
    }
}

async fn look(shared: &Shared) {
    let mut regularly = interval(LOOK_EVERY);
    regularly.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = shared.look_now.notified() => {}
            _ = regularly.tick() => {}
        }
        let uploads = shared.registry.uploads();
        if uploads.is_empty() {
            continue;
        }
        match shared.catalog.writer_marks(&uploads).await {
            Ok(marks) => {
                for upload in uploads {
                    // Whoever ends an upload from outside moves its epoch. An end without that is our own writer's.
                    match marks.get(&upload) {
                        Some(mark) => {
                            shared.registry.end_before(upload, mark.writer_epoch);
                            shared.registry.want(upload, mark.wake_at);
                        }
                        None => shared.registry.end(upload),
                    }
                }
            }
            // Nobody can commit either.
            Err(error) => tracing::debug!(%error, "open writers were not compared with the catalog"),
        }
    }
}
