//! The pages are true: what ARCHITECTURE.md names exists, and every command of the README runs.

use std::{
    collections::BTreeSet,
    env, fs,
    net::TcpListener,
    path::{Path, PathBuf},
    time::Duration,
};

use reelway_testkit::{Database, FreshDatabase, Redis};
use tokio::process::Command;

use crate::{
    bench,
    harness::{Clip, Process, buf_path, clip, reelway_path},
};

/// The longest commands are the demo's and the cluster's, which encode.
const COMMAND_MAX: Duration = Duration::from_secs(300);
const READY_MAX: Duration = Duration::from_secs(30);

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../..")
        .canonicalize()
        .expect("the repository")
}

fn page(name: &str) -> String {
    fs::read_to_string(root().join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// The texts between single backquotes, outside of blocks of code.
fn quoted(page: &str) -> BTreeSet<&str> {
    let prose = page.split("```").step_by(2);
    prose.flat_map(|text| text.split('`').skip(1).step_by(2)).collect()
}

#[test]
fn what_the_architecture_names_exists() {
    let text = page("ARCHITECTURE.md");
    let missing: Vec<&str> = quoted(&text)
        .into_iter()
        .filter(|name| name.starts_with("crates/") || name.starts_with("scripts/") || name.starts_with("migrations/"))
        .filter(|name| !root().join(name).exists())
        .collect();
    assert!(
        missing.is_empty(),
        "ARCHITECTURE.md names files that are not there: {missing:?}"
    );
}

#[test]
fn every_invariant_has_its_test() {
    let text = page("ARCHITECTURE.md");
    let rows: Vec<&str> = text
        .lines()
        .filter(|line| line.starts_with('|') && line[1..].trim_start().starts_with(|c: char| c.is_ascii_digit()))
        .collect();
    assert_eq!(rows.len(), 11, "the design has eleven invariants");
    let sources = sources(&root().join("crates"));
    for row in rows {
        let shown_by = row.split('|').nth(4).unwrap_or_default();
        let tests: Vec<&str> = quoted(shown_by)
            .into_iter()
            .filter(|name| !name.contains('/'))
            .collect();
        assert!(!tests.is_empty(), "no test in: {row}");
        for test in tests {
            assert!(sources.contains(&format!("fn {test}(")), "there is no test {test}");
        }
    }
}

fn sources(dir: &Path) -> String {
    let mut text = String::new();
    for entry in fs::read_dir(dir).expect("a directory") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            text += &sources(&path);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            text += &fs::read_to_string(&path).expect("a source file");
        }
    }
    text
}

/// The `sh` blocks of the page, in order, each as the commands that it holds.
fn blocks(page: &str) -> Vec<Vec<&str>> {
    let blocks = page
        .split("```")
        .skip(1)
        .step_by(2)
        .filter_map(|block| block.strip_prefix("sh\n"));
    blocks
        .map(|block| block.lines().filter(|line| !line.is_empty()).collect())
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_command_of_the_readme_runs() {
    let text = page("README.md");
    let dir = tempfile::tempdir().expect("a directory");
    fs::copy(clip(Clip::short(4)).await, dir.path().join("clip.mp4")).expect("a clip");
    let (redis, database) = (Redis::start().await, shared_database());
    let mut background = Vec::new();
    let one_node = Shell::new(dir.path());
    let separate = Shell::of_separate_servers(dir.path(), &database.url(), &redis.url());
    for block in blocks(&text) {
        let is_separate = block.iter().any(|line| line.contains("shared=true"));
        let shell = if is_separate { &separate } else { &one_node };
        for line in block {
            // The one is what runs the test, the other has a test of its own.
            if ["scripts/test", bench::COMMAND].contains(&line) {
                continue;
            }
            background.extend(run(shell, line).await);
        }
    }
    assert_eq!(
        background.len(),
        3,
        "the README starts one node, and two processes of separate servers"
    );
}

/// Runs a command to its end, or a server until it is ready.
async fn run(shell: &Shell, line: &str) -> Option<Process> {
    if let Some(server) = line.strip_suffix(" &") {
        let process = Process::spawn(shell.command(server));
        let is_ready = |line: &str| line.contains("node is ready").then_some(());
        process.err.find(READY_MAX, "the node is ready", is_ready).await;
        return Some(process);
    }
    let ended = Process::spawn(shell.command(line)).ended(COMMAND_MAX).await;
    assert_eq!(
        ended.code,
        Some(0),
        "{line}\n{}\n{}",
        ended.out.join("\n"),
        ended.err.join("\n")
    );
    None
}

fn shared_database() -> FreshDatabase {
    let server = Database::shared().expect("scripts/test sets REELWAY_TEST_POSTGRES");
    FreshDatabase::beside(&server)
}

/// Runs lines of the README as their reader would, but on free ports and with the programs that are built already.
struct Shell {
    dir: PathBuf,
    path: String,
    variables: Vec<(&'static str, String)>,
    grpc: String,
    http: String,
}

impl Shell {
    fn new(dir: &Path) -> Self {
        let [http, grpc, admin] = free_addresses();
        let programs = [reelway_path(), buf_path()];
        let dirs = programs
            .iter()
            .filter_map(|program| program.parent())
            .map(|dir| dir.display().to_string());
        let path = dirs.chain(env::var("PATH")).collect::<Vec<_>>().join(":");
        let variables = vec![
            ("REELWAY_HTTP", http.clone()),
            ("REELWAY_GRPC", grpc.clone()),
            ("REELWAY_ADMIN", admin),
            ("REELWAY_SERVER", format!("http://{grpc}")),
            ("REELWAY_BIN", reelway_path().display().to_string()),
            ("XDG_STATE_HOME", dir.join("state").display().to_string()),
        ];
        Self {
            dir: dir.to_owned(),
            path,
            variables,
            grpc,
            http,
        }
    }

    /// The same for servers that share a database, a bus and a directory.
    fn of_separate_servers(dir: &Path, database: &str, redis: &str) -> Self {
        let mut shell = Self::new(dir);
        let any = || "127.0.0.1:0".to_owned();
        shell.variables = vec![
            ("REELWAY_DATABASE", database.to_owned()),
            ("REELWAY_REDIS", redis.to_owned()),
            ("REELWAY_HTTP", any()),
            ("REELWAY_ADMIN", any()),
            ("REELWAY_UPLOAD_GRPC", shell.grpc.clone()),
            ("REELWAY_JOBS_GRPC", any()),
            ("REELWAY_PROGRESS_GRPC", any()),
        ];
        shell
    }

    fn command(&self, line: &str) -> Command {
        let mut command = Command::new("bash");
        // `exec`: a signal to the shell must reach the node. Scripts are the repository's own.
        let line = line
            .replace("127.0.0.1:50051", &self.grpc)
            .replace("127.0.0.1:8080", &self.http)
            .replace("127.0.0.1:9091", "127.0.0.1:0")
            .replace("/srv/reelway", &self.dir.join("shared").display().to_string());
        let scripts = format!("exec {}/scripts/", root().display());
        let line = line
            .strip_prefix("scripts/")
            .map_or(format!("exec {line}"), |rest| scripts + rest);
        command
            .args(["-c", &line])
            .current_dir(&self.dir)
            .env("PATH", &self.path);
        command.envs(self.variables.iter().map(|(name, value)| (name, value)));
        command
    }
}

/// Addresses that were free a moment ago: the page's commands must know them before the node has taken them.
fn free_addresses() -> [String; 3] {
    let taken = [(); 3].map(|()| TcpListener::bind("127.0.0.1:0").expect("a free port"));
    taken
        .each_ref()
        .map(|listener| listener.local_addr().expect("it is bound").to_string())
}
