//! What code that took over ffmpeg would try next, and what is left of the sandbox at each level.

use std::io::Error as OsError;

use super::*;

/// Calls that would lead out: each with zeros for arguments, which is harmless where it is allowed.
const ESCAPES: [libc::c_long; 15] = [
    libc::SYS_socket,
    libc::SYS_socketpair,
    libc::SYS_ptrace,
    libc::SYS_process_vm_readv,
    libc::SYS_pidfd_open,
    libc::SYS_setsid,
    libc::SYS_setpgid,
    libc::SYS_unshare,
    libc::SYS_mount,
    libc::SYS_open_tree,
    libc::SYS_bpf,
    libc::SYS_keyctl,
    libc::SYS_io_uring_setup,
    libc::SYS_fchmodat,
    libc::SYS_setxattr,
];

/// Not a test of its own: [`every_way_out_is_shut`] runs it within the sandbox.
#[test]
#[ignore = "every_way_out_is_shut runs it within the sandbox"]
fn try_to_get_out() {
    // SAFETY: asks for a flag, changes nothing.
    if unsafe { libc::prctl(libc::PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) } != 1 {
        return;
    }
    for call in ESCAPES {
        // SAFETY: no call of the list does anything with zeros for pointers.
        let answer = unsafe { libc::syscall(call, 0, 0, 0, 0, 0, 0) };
        let error = OsError::last_os_error().raw_os_error();
        assert_eq!((answer, error), (-1, Some(libc::ENOSYS)), "call {call}");
    }
    // SAFETY: makes a namespace of this process's own if it succeeds, in a child that ends at once.
    let answer = unsafe { libc::syscall(libc::SYS_clone, libc::CLONE_NEWNET, 0, 0, 0, 0) };
    if answer == 0 {
        // SAFETY: ends the child, which shares nothing that would have to be put away.
        unsafe { libc::_exit(0) };
    }
    assert_eq!(answer, -1, "a network of its own");
}

/// This program within the sandbox; gives its exit code and what it said.
async fn within(bench: &Bench) -> (Option<i32>, String) {
    let (scratch, program) = (bench.scratch(), std::env::current_exe().unwrap());
    let args = ["--ignored", "--exact", "sandbox::tests::escapes::try_to_get_out"];
    let invocation = invocation(&program, args.map(OsString::from).to_vec(), &scratch);
    let mut said = String::new();
    let finished = run(bench.tools.limits(), invocation, &bench.cancel, |line| {
        said += line;
        said.push('\n');
        Ok(Step::Waiting)
    })
    .await
    .unwrap();
    (finished.status.code(), said)
}

async fn at(level: SandboxLevel) -> Bench {
    let sandbox = level;
    Bench::with(Limits {
        sandbox,
        ..Limits::default()
    })
    .await
}

#[tokio::test]
async fn every_way_out_is_shut() {
    for level in [SandboxLevel::Prefer, SandboxLevel::Require] {
        let bench = at(level).await;
        assert!(bench.tools.confinement().syscalls, "{}", bench.tools.confinement());
        let (code, said) = within(&bench).await;
        assert_eq!(code, Some(0), "{said}");
        assert!(said.contains("1 passed"), "it was run: {said}");
    }
}

/// Shows that the test above can fail.
#[tokio::test]
async fn without_the_sandbox_the_ways_are_open() {
    let (code, said) = within(&at(SandboxLevel::Off).await).await;
    assert_eq!(code, Some(101), "{said}");
}

#[tokio::test]
async fn off_means_that_only_the_user_counts() {
    let (strict, loose) = (at(SandboxLevel::Require).await, at(SandboxLevel::Off).await);
    assert!(strict.tools.confinement().is_whole());
    assert_eq!(loose.tools.confinement().level(), 0);
    for (bench, expected) in [(&strict, false), (&loose, true)] {
        let other = bench.file("other", b"somebody else's");
        let script = format!("read x < {} || test \"$x\"", other.display());
        let code = shell(bench, &bench.scratch(), None, &script).await;
        assert_eq!(code == Some(0), expected);
    }
}
