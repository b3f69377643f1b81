//! The pages are true: what ARCHITECTURE.md names exists, and every command of the README runs.

use std::{
    collections::BTreeSet,
    env, fs,
    net::TcpListener,
    path::{Path, PathBuf},
    time::Duration,
};

use tokio::process::Command;

use crate::harness::{Clip, Process, buf_path, clip, reelway_path};

/// The longest command: the smoke run of the bench, with a build.
const COMMAND_MAX: Duration = Duration::from_secs(900);
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

/// The commands of the page, in order: the lines of its `sh` blocks.
fn commands(page: &str) -> Vec<&str> {
    let blocks = page
        .split("```")
        .skip(1)
        .step_by(2)
        .filter_map(|block| block.strip_prefix("sh\n"));
    blocks.flat_map(str::lines).filter(|line| !line.is_empty()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_command_of_the_readme_runs() {
    let text = page("README.md");
    let dir = tempfile::tempdir().expect("a directory");
    fs::copy(clip(Clip::short(4)).await, dir.path().join("clip.mp4")).expect("a clip");
    let mut background = Vec::new();
    let shell = Shell::new(dir.path());
    for line in commands(&text) {
        // This is what runs the test.
        if line == "scripts/test" {
            continue;
        }
        if let Some(server) = line.strip_suffix(" &") {
            let process = Process::spawn(shell.command(server));
            let is_ready = |line: &str| line.contains("node is ready").then_some(());
            process.err.find(READY_MAX, "the node is ready", is_ready).await;
            background.push(process);
        } else {
            let ended = Process::spawn(shell.command(line)).ended(COMMAND_MAX).await;
            assert_eq!(
                ended.code,
                Some(0),
                "{line}\n{}\n{}",
                ended.out.join("\n"),
                ended.err.join("\n")
            );
        }
    }
    assert_eq!(background.len(), 1, "the README starts one node");
}

/// Runs lines of the README as their reader would, but on free ports and with the programs that are built already.
struct Shell {
    dir: PathBuf,
    path: String,
    variables: Vec<(&'static str, String)>,
    grpc: String,
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
            ("REELWAY_HTTP", http),
            ("REELWAY_GRPC", grpc.clone()),
            ("REELWAY_ADMIN", admin),
            ("REELWAY_SERVER", format!("http://{grpc}")),
            ("REELWAY_BIN", reelway_path().display().to_string()),
            ("REELWAY_BENCH_SMOKE", "1".to_owned()),
            ("XDG_STATE_HOME", dir.join("state").display().to_string()),
        ];
        Self {
            dir: dir.to_owned(),
            path,
            variables,
            grpc,
        }
    }

    fn command(&self, line: &str) -> Command {
        let mut command = Command::new("bash");
        // `exec`: a signal to the shell must reach the node. Scripts are the repository's own.
        let line = line.replace("127.0.0.1:50051", &self.grpc);
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
