//! How many changed files are tried, from which number on, and in how much memory.

use std::{env, fmt::Display, fs, ops::Range, process::Stdio, str::FromStr};

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use tokio::process::Command;

/// The number of the first case: that of a case which failed makes the same case again.
const SEED_VARIABLE: &str = "REELWAY_TEST_FUZZ_SEED";
/// How many times as many cases as usual there are.
const TIMES_VARIABLE: &str = "REELWAY_TEST_FUZZ_TIMES";
/// Tells a test that its process is its own.
const ALONE_VARIABLE: &str = "REELWAY_TEST_ALONE";
/// What our readers may take for a file of some kilobytes, in bytes, beside what the process has when they begin.
const READERS_BYTES_MAX: u64 = 256 << 20;

/// The numbers of the cases to try, where so many are usual. They are told, so that the same can be tried again.
pub(super) fn numbers(what: &str, usual: u64) -> Range<u64> {
    let (first, times) = (asked(SEED_VARIABLE, 0), asked(TIMES_VARIABLE, 1));
    let numbers = first..first + usual * times;
    eprintln!("{what}: cases {numbers:?} ({SEED_VARIABLE}={first} {TIMES_VARIABLE}={times})");
    numbers
}

fn asked<N: FromStr<Err: Display>>(variable: &str, usual: N) -> N {
    let read = |text: String| {
        text.parse()
            .unwrap_or_else(|error| panic!("{variable}={text}: {error}"))
    };
    env::var(variable).map_or(usual, read)
}

/// Runs another test of this crate in a process of its own, and expects it to pass.
pub(super) async fn alone(test: &str) {
    let mut command = Command::new(env::current_exe().unwrap());
    command.args(["--exact", "--nocapture", test]).env(ALONE_VARIABLE, "1");
    let ended = command.stdin(Stdio::null()).kill_on_drop(true).output().await.unwrap();
    let said = [ended.stdout, ended.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    assert!(
        ended.status.success() && said[0].contains("1 passed"),
        "{}",
        said.concat()
    );
    eprint!("{}", said[1]);
}

/// Whether this test has its process to itself.
pub(super) fn is_alone() -> bool {
    env::var_os(ALONE_VARIABLE).is_some()
}

/// From now on, taking more memory than readers may ends this process.
pub(super) fn bound_memory() {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let address_space = status.lines().find_map(|line| line.strip_prefix("VmSize:")).unwrap();
    let kib: u64 = address_space.trim().trim_end_matches(" kB").parse().unwrap();
    let (_, hard) = getrlimit(Resource::RLIMIT_AS).unwrap();
    setrlimit(Resource::RLIMIT_AS, (kib << 10) + READERS_BYTES_MAX, hard).unwrap();
}
