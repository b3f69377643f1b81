//! A release replaced by the next one, pod by pod, while people upload and watch: nothing is lost, nobody misses anything.
//!
//! The schema is the next release's from the beginning of the upgrade, as `reelway migrate` leaves it: it has more than these servers
//! know. Nothing balances here but the clients themselves, who know of both servers of each role.

mod load;
mod slow;
mod tus;
mod watchers;

use std::time::Duration;

use reelway::v1;

use self::{load::Load, watchers::Watchers};
use crate::harness::{Role, Server, Setup, Shape, System, within_secs};

/// How long a server that is to stop takes calls as before, so that whoever balances load hears of it.
const LAME_DUCK: &str = "1s";
const JOB_MAX: Duration = Duration::from_secs(180);
/// What a later release adds: tables and columns of which these servers don't know, and rows in none of theirs.
const NEXT_RELEASE: &str = "
    ALTER TABLE uploads ADD COLUMN next_release TEXT NOT NULL DEFAULT 'nothing';
    ALTER TABLE jobs ADD COLUMN next_release BIGINT;
    CREATE TABLE next_release (id TEXT PRIMARY KEY);
    INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time)
        VALUES (9999, 'of the next release', TRUE, '', 0);";

#[tokio::test(flavor = "multi_thread")]
async fn each_server_is_replaced_under_load_and_nothing_is_lost() {
    let mut system = two_of_each().await;
    let watchers = Watchers::start(&system);
    let load = Load::start(&system).await;
    load.goes_on().await;
    system.database().execute(NEXT_RELEASE);
    for place in 0..system.servers().len() {
        let server = &mut system.servers_mut()[place];
        let ended = server.terminate().await;
        assert_eq!(ended.code, Some(0), "{ended:#?}");
        server.restart().await;
        // Everybody gets on with what is there, before the next one goes.
        load.goes_on().await;
    }
    let done = load.stop().await;

    assert!(
        done.uploads.len() >= 3 * system.servers().len(),
        "{}",
        done.uploads.len()
    );
    for (id, bytes) in &done.uploads {
        assert!(&system.stored(id) == bytes, "{id} has other bytes");
    }
    let mut last = Vec::new();
    for id in &done.jobs {
        let job = system.job_ended(id, JOB_MAX).await;
        assert_eq!(
            (job.state(), job.missing_frames),
            (v1::JobState::Succeeded, 0),
            "{job:?}"
        );
        last.push((job.id, job.event_seq));
    }
    assert!(!last.is_empty());
    watchers.expect_each_event_once(&last).await;
}

/// Two servers of each role, on one database.
async fn two_of_each() -> System {
    let shape = Shape {
        upload: 2,
        jobs: 2,
        progress: 2,
        worker: 2,
        options: ["--lame-duck", LAME_DUCK].map(str::to_owned).to_vec(),
        ..Shape::default()
    };
    let mut system = System::split(shape).await;
    let roles = [Role::Upload, Role::Jobs, Role::Progress];
    let urls = roles.map(|role| (format!("--{}-url", role.name()), urls(&system, role)));
    let edge = urls
        .into_iter()
        .fold(Setup::of(Role::Edge), |edge, (option, urls)| edge.option(&option, urls));
    system.join(edge).await;
    within_secs(60, "both edges", async || {
        let mut ready = true;
        for edge in system.all(Role::Edge) {
            ready &= edge.probe("readyz").await;
        }
        ready
    })
    .await;
    system
}

/// Where all servers with a role are, as clients are told.
fn urls(system: &System, role: Role) -> String {
    system.all(role).map(Server::grpc_url).collect::<Vec<_>>().join(",")
}
