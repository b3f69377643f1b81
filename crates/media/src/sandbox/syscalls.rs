//! The system calls that no encoder needs and that exploits begin with.

use std::env::consts::ARCH;

use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule, TargetArch,
};

/// What every kind of processor has: sockets, other processes, namespaces and mounts, what Landlock doesn't look at, and the
/// kernel's most broken doors.
const DENIED: &[libc::c_long] = &[
    libc::SYS_socket,
    libc::SYS_socketpair,
    libc::SYS_ptrace,
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_process_madvise,
    libc::SYS_kcmp,
    libc::SYS_pidfd_open,
    libc::SYS_pidfd_getfd,
    libc::SYS_pidfd_send_signal,
    // Out of the process group, a child would outlive its kill.
    libc::SYS_setsid,
    libc::SYS_setpgid,
    libc::SYS_unshare,
    libc::SYS_setns,
    libc::SYS_chroot,
    libc::SYS_pivot_root,
    libc::SYS_mount,
    libc::SYS_umount2,
    libc::SYS_open_tree,
    libc::SYS_move_mount,
    libc::SYS_fsopen,
    libc::SYS_fsconfig,
    libc::SYS_fsmount,
    libc::SYS_fspick,
    libc::SYS_mount_setattr,
    libc::SYS_swapon,
    libc::SYS_swapoff,
    // Owners, modes and attributes of files, and files by their number, are beyond Landlock.
    libc::SYS_fchmod,
    libc::SYS_fchmodat,
    libc::SYS_fchown,
    libc::SYS_fchownat,
    libc::SYS_setxattr,
    libc::SYS_lsetxattr,
    libc::SYS_fsetxattr,
    libc::SYS_removexattr,
    libc::SYS_lremovexattr,
    libc::SYS_fremovexattr,
    libc::SYS_name_to_handle_at,
    libc::SYS_open_by_handle_at,
    // Landlock looks at it from version 3 on.
    libc::SYS_truncate,
    libc::SYS_bpf,
    libc::SYS_perf_event_open,
    libc::SYS_userfaultfd,
    libc::SYS_keyctl,
    libc::SYS_add_key,
    libc::SYS_request_key,
    libc::SYS_io_uring_setup,
    libc::SYS_io_uring_enter,
    libc::SYS_io_uring_register,
    libc::SYS_fanotify_init,
    libc::SYS_init_module,
    libc::SYS_finit_module,
    libc::SYS_delete_module,
    libc::SYS_kexec_load,
    libc::SYS_reboot,
    libc::SYS_acct,
    // Its flags are behind a pointer, which a filter can't follow; the C library falls back to clone.
    libc::SYS_clone3,
];

/// Older calls, which newer kinds of processors don't have.
#[cfg(target_arch = "x86_64")]
const DENIED_OLD: &[libc::c_long] = &[libc::SYS_chmod, libc::SYS_chown, libc::SYS_lchown];
#[cfg(not(target_arch = "x86_64"))]
const DENIED_OLD: &[libc::c_long] = &[];

/// Set in the number of a call that is made by the rules of x32, under which many kernels still take calls. A filter sees no
/// other difference, so each call has to be denied twice.
#[cfg(target_arch = "x86_64")]
const X32_BIT: Option<libc::c_long> = Some(0x4000_0000);
#[cfg(not(target_arch = "x86_64"))]
const X32_BIT: Option<libc::c_long> = None;
/// Calls that have a number of their own under x32: `ptrace`, `process_vm_readv` and `process_vm_writev`.
const DENIED_X32: [libc::c_long; 3] = [521, 539, 540];

/// What makes a new namespace. A process has all privileges in a user namespace of its own.
const NAMESPACES: [libc::c_int; 7] = [
    libc::CLONE_NEWUSER,
    libc::CLONE_NEWNS,
    libc::CLONE_NEWNET,
    libc::CLONE_NEWPID,
    libc::CLONE_NEWIPC,
    libc::CLONE_NEWUTS,
    libc::CLONE_NEWCGROUP,
];

/// The filter, ready to be applied; `None` if this kernel or this kind of processor has none.
pub(super) fn filter() -> Option<BpfProgram> {
    // SAFETY: asks for the mode, changes nothing.
    if unsafe { libc::prctl(libc::PR_GET_SECCOMP) } < 0 {
        return None;
    }
    let plain = DENIED.iter().chain(DENIED_OLD).copied();
    let x32 = |bit| plain.clone().chain(DENIED_X32).map(move |call| call | bit);
    // No rules: whatever the arguments are.
    let always = plain
        .clone()
        .chain(X32_BIT.into_iter().flat_map(x32))
        .map(|call| (call, Vec::new()));
    let clones = [Some(0), X32_BIT].into_iter().flatten();
    let clones = clones.map(|bit| Some((libc::SYS_clone | bit, new_namespace()?)));
    let rules = always.map(Some).chain(clones).collect::<Option<_>>()?;
    // As if the kernel didn't have these calls: programs are used to that, and go another way if there is one.
    let refuse = SeccompAction::Errno(libc::ENOSYS.unsigned_abs());
    let filter = SeccompFilter::new(rules, SeccompAction::Allow, refuse, TargetArch::try_from(ARCH).ok()?).ok()?;
    filter.try_into().ok()
}

/// A clone that makes a namespace.
fn new_namespace() -> Option<Vec<SeccompRule>> {
    let rules = NAMESPACES.iter().map(|flag| {
        let flag = u64::from(flag.unsigned_abs());
        let has_flag = SeccompCondition::new(0, SeccompCmpArgLen::Qword, SeccompCmpOp::MaskedEq(flag), flag).ok()?;
        SeccompRule::new(vec![has_flag]).ok()
    });
    rules.collect()
}
