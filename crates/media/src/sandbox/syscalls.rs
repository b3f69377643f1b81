//! The system calls that no encoder needs and that exploits begin with.

use std::env::consts::ARCH;

use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule, TargetArch,
};

/// Sockets, other processes' memory, namespaces and mounts, and the kernel's most broken doors.
const DENIED: [libc::c_long; 18] = [
    libc::SYS_socket,
    libc::SYS_socketpair,
    libc::SYS_ptrace,
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_pidfd_getfd,
    libc::SYS_unshare,
    libc::SYS_setns,
    libc::SYS_mount,
    libc::SYS_umount2,
    libc::SYS_pivot_root,
    libc::SYS_bpf,
    libc::SYS_perf_event_open,
    libc::SYS_userfaultfd,
    libc::SYS_keyctl,
    libc::SYS_add_key,
    libc::SYS_io_uring_setup,
    // Its flags are behind a pointer, which a filter can't follow; the C library falls back to clone.
    libc::SYS_clone3,
];

/// The filter, ready to be applied; `None` if this kernel or this kind of processor has none.
pub(super) fn filter() -> Option<BpfProgram> {
    // SAFETY: asks for the mode, changes nothing.
    if unsafe { libc::prctl(libc::PR_GET_SECCOMP) } < 0 {
        return None;
    }
    // No rules: whatever the arguments are.
    let always = DENIED.iter().map(|&call| (call, Vec::new()));
    let rules = always.chain([(libc::SYS_clone, vec![new_user_namespace()?])]).collect();
    // As if the kernel didn't have these calls: programs are used to that, and go another way if there is one.
    let refuse = SeccompAction::Errno(libc::ENOSYS.unsigned_abs());
    let filter = SeccompFilter::new(rules, SeccompAction::Allow, refuse, TargetArch::try_from(ARCH).ok()?).ok()?;
    filter.try_into().ok()
}

/// A clone that makes a user namespace, in which a process would have all privileges.
fn new_user_namespace() -> Option<SeccompRule> {
    let flag = u64::from(libc::CLONE_NEWUSER.unsigned_abs());
    let has_flag = SeccompCondition::new(0, SeccompCmpArgLen::Qword, SeccompCmpOp::MaskedEq(flag), flag).ok()?;
    SeccompRule::new(vec![has_flag]).ok()
}
