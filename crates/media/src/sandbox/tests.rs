use std::{path::PathBuf, time::Duration};

use super::*;
use crate::{input::Args, testbench::Bench};

mod escapes;

/// An encode that would take hours.
fn endless(scratch: &Path) -> Vec<OsString> {
    let mut args = Vec::new();
    args.words(["-nostdin", "-v", "error", "-progress", "pipe:1", "-stats_period", "0.1"]);
    args.words([
        "-f",
        "lavfi",
        "-i",
        "testsrc2=s=640x360:d=100000",
        "-c:v",
        "libx264",
        "-f",
        "null",
    ]);
    args.push(file_url(&scratch.join("out")));
    args
}

fn invocation<'a>(program: &'a Path, args: Vec<OsString>, scratch: &'a Path) -> Invocation<'a> {
    let wall_max = Duration::from_secs(60);
    Invocation {
        program,
        args,
        scratch: Some(scratch),
        source: None,
        file_bytes_max: 1 << 20,
        wall_max,
        stall_max: None,
        urgency: Urgency::Soon,
    }
}

/// The processes whose working directory is `dir`.
fn processes_in(dir: &Path) -> Vec<PathBuf> {
    let all = std::fs::read_dir("/proc")
        .unwrap()
        .filter_map(Result::ok)
        .map(|entry| entry.path());
    all.filter(|process| std::fs::read_link(process.join("cwd")).is_ok_and(|cwd| cwd == dir))
        .collect()
}

/// Waits until no process is left; a reaper of the runtime may need a moment.
async fn gone(dir: &Path) -> bool {
    let wait = async {
        while !processes_in(dir).is_empty() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(1), wait).await.is_ok()
}

#[tokio::test]
async fn cancelling_kills_at_once_and_leaves_nobody() {
    let bench = Bench::new().await;
    let scratch = bench.scratch();
    let mut cancelled_at = None;
    let ended = run(
        bench.tools.limits(),
        invocation(bench.tools.ffmpeg(), endless(&scratch), &scratch),
        &bench.cancel,
        |line| {
            // It is at work: cancel now.
            if line.starts_with("frame=") && cancelled_at.is_none() {
                assert_eq!(processes_in(&scratch).len(), 1);
                cancelled_at = Some(Instant::now());
                bench.cancel.cancel();
            }
            Ok(Step::Moved)
        },
    )
    .await;
    assert!(matches!(ended, Err(Error::Cancelled)));
    // It would run for ever.
    assert!(cancelled_at.unwrap().elapsed() < Duration::from_secs(10));
    assert_eq!(processes_in(&scratch), [] as [PathBuf; 0], "killed and reaped");
}

#[tokio::test]
async fn dropping_the_future_kills_too() {
    let bench = Bench::new().await;
    let scratch = bench.scratch();
    let (started, mut at_work) = tokio::sync::mpsc::unbounded_channel();
    let invocation = invocation(bench.tools.ffmpeg(), endless(&scratch), &scratch);
    let running = run(bench.tools.limits(), invocation, &bench.cancel, |_| {
        let _ = started.send(());
        Ok(Step::Moved)
    });
    tokio::select! {
        _ = running => panic!("it ended by itself"),
        _ = at_work.recv() => {}
    }
    assert!(gone(&scratch).await);
}

#[tokio::test]
async fn what_makes_no_progress_is_killed() {
    let bench = Bench::new().await;
    let scratch = bench.scratch();
    let mut invocation = invocation(bench.tools.ffmpeg(), endless(&scratch), &scratch);
    invocation.stall_max = Some(Duration::from_millis(300));
    let ended = run(bench.tools.limits(), invocation, &bench.cancel, |_| Ok(Step::Waiting)).await;
    let failure = ended.unwrap_err().failure().unwrap().clone();
    assert_eq!(failure.reason, Reason::EncoderStalled);
    assert!(failure.message.contains("no progress"), "{failure}");
    assert!(processes_in(&scratch).is_empty());
}

#[tokio::test]
async fn what_runs_too_long_is_killed() {
    let bench = Bench::new().await;
    let scratch = bench.scratch();
    let mut invocation = invocation(bench.tools.ffmpeg(), endless(&scratch), &scratch);
    invocation.wall_max = Duration::from_millis(300);
    let ended = run(bench.tools.limits(), invocation, &bench.cancel, |_| Ok(Step::Moved)).await;
    assert_eq!(ended.unwrap_err().failure().unwrap().reason, Reason::EncoderStalled);
}

/// Runs a shell (no ffmpeg needed to test what the kernel refuses) and gives its exit code.
async fn shell(bench: &Bench, scratch: &Path, source: Option<&Path>, script: &str) -> Option<i32> {
    let mut invocation = invocation(Path::new("/bin/sh"), vec!["-c".into(), script.into()], scratch);
    invocation.source = source;
    let finished = run(bench.tools.limits(), invocation, &bench.cancel, |_| Ok(Step::Waiting))
        .await
        .unwrap();
    finished.status.code()
}

#[tokio::test]
async fn a_hostile_file_harms_nobody() {
    let bench = Bench::new().await;
    if !bench.tools.confinement().files {
        return;
    }
    let scratch = bench.scratch();
    let (own, other) = (bench.file("own", b"mine"), bench.file("other", b"somebody else's"));
    let (own, other) = (own.display(), other.display());
    let source = Some(bench.path("own"));
    let source = source.as_deref();
    assert_eq!(
        shell(
            &bench,
            &scratch,
            source,
            &format!("read x < {own} || test \"$x\" = mine")
        )
        .await,
        Some(0)
    );
    assert_eq!(
        shell(&bench, &scratch, source, "echo x > made && rm made").await,
        Some(0)
    );
    assert_ne!(shell(&bench, &scratch, source, &format!("cat {other}")).await, Some(0));
    assert_ne!(
        shell(&bench, &scratch, source, &format!("echo x > {own}")).await,
        Some(0)
    );
    assert_ne!(shell(&bench, &scratch, source, "cat /etc/passwd").await, Some(0));
    assert_ne!(
        shell(&bench, &scratch, source, &format!("echo x > {other}_new")).await,
        Some(0)
    );
    assert_eq!(std::fs::read(bench.path("own")).unwrap(), b"mine");
}

#[tokio::test]
async fn ffmpeg_can_not_read_another_file_even_if_it_is_told_to() {
    let bench = Bench::new().await;
    if !bench.tools.confinement().files {
        return;
    }
    let scratch = bench.scratch();
    let other = bench.clip("10", 1.0, "-c:v libx264 -preset ultrafast", "other.mp4");
    let args = vec!["-v".into(), "error".into(), file_url(&other)];
    let invocation = invocation(bench.tools.ffprobe(), args, &scratch);
    let finished = run(bench.tools.limits(), invocation, &bench.cancel, |_| Ok(Step::Waiting))
        .await
        .unwrap();
    assert!(finished.stderr.contains("Permission denied"), "{}", finished.stderr);
}

#[tokio::test]
async fn limits_reach_the_child_and_its_environment_is_empty() {
    let bench = Bench::new().await;
    let scratch = bench.scratch();
    let script = "test $(ulimit -n) = 256 && test $(ulimit -c) = 0 && test $(ulimit -v) = 4194304 && \
                  test $(ulimit -f) = 2048 && test -z \"$HOME$USER$CARGO$HOSTNAME\" && test $(nice) = 10";
    assert_eq!(shell(&bench, &scratch, None, script).await, Some(0));
    assert_ne!(
        shell(&bench, &scratch, None, "head -c 2000000 /dev/urandom > big").await,
        Some(0),
        "1 MiB at most"
    );
}

#[tokio::test]
async fn what_nobody_waits_for_is_the_most_polite() {
    let bench = Bench::new().await;
    let (scratch, sh) = (bench.scratch(), Path::new("/bin/sh"));
    let args = vec!["-c".into(), "test $(nice) = 17".into()];
    let invocation = Invocation {
        urgency: Urgency::Whenever,
        ..invocation(sh, args, &scratch)
    };
    let finished = run(bench.tools.limits(), invocation, &bench.cancel, |_| Ok(Step::Waiting));
    assert_eq!(finished.await.unwrap().status.code(), Some(0));
}

#[tokio::test]
async fn what_can_not_be_started_is_an_error() {
    let bench = Bench::new().await;
    let scratch = bench.scratch();
    let missing = Path::new("/usr/bin/no-such-program");
    let ended = run(
        bench.tools.limits(),
        invocation(missing, vec![], &scratch),
        &bench.cancel,
        |_| Ok(Step::Waiting),
    )
    .await;
    assert_eq!(ended.unwrap_err().failure().unwrap().reason, Reason::Internal);
}

#[tokio::test]
async fn no_socket_can_be_made() {
    let bench = Bench::new().await;
    if !bench.tools.confinement().syscalls {
        return;
    }
    let scratch = bench.scratch();
    for address in ["tcp://127.0.0.1:9", "udp://127.0.0.1:9", "unix:///tmp/socket"] {
        let args = vec!["-v".into(), "error".into(), address.into()];
        let invocation = invocation(bench.tools.ffprobe(), args, &scratch);
        let finished = run(bench.tools.limits(), invocation, &bench.cancel, |_| Ok(Step::Waiting))
            .await
            .unwrap();
        assert!(
            finished.stderr.contains("Function not implemented"),
            "{address}: {}",
            finished.stderr
        );
    }
}

/// Names the scratch directory of [`a_server_that_is_killed`], which does nothing without it.
const VICTIM_SCRATCH: &str = "REELWAY_TEST_VICTIM_SCRATCH";

/// Not a test of its own: the process that [`children_die_with_the_server`] kills.
#[tokio::test]
async fn a_server_that_is_killed() {
    let Some(scratch) = std::env::var_os(VICTIM_SCRATCH).map(PathBuf::from) else {
        return;
    };
    let bench = Bench::new().await;
    let invocation = invocation(bench.tools.ffmpeg(), endless(&scratch), &scratch);
    let _ = run(bench.tools.limits(), invocation, &bench.cancel, |_| Ok(Step::Moved)).await;
}

#[tokio::test]
async fn children_die_with_the_server() {
    let bench = Bench::new().await;
    let scratch = bench.scratch();
    let mut server = tokio::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "sandbox::tests::a_server_that_is_killed"])
        .env(VICTIM_SCRATCH, &scratch)
        .stdout(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let started = async {
        while processes_in(&scratch).is_empty() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), started).await.unwrap();
    server.kill().await.unwrap();
    assert!(gone(&scratch).await);
}
