//! How many tasks a worker runs at a time: as many as it has cores, as far as the memory reaches.

use std::{
    fs,
    num::NonZeroUsize,
    path::{Path, PathBuf},
    thread,
};

use crate::byte_size::ByteSize;

/// The memory that a task is given room for, in bytes: ffmpeg with one decoder and an encoder for each rung of 1080p. What a
/// task really may take is limited elsewhere.
const MEMORY_PER_TASK_BYTES: u64 = 1 << 30;
/// Where control groups (version 2) are mounted.
const CGROUP_ROOT: &str = "/sys/fs/cgroup";

/// As many as fit on this machine, with `memory` instead of what the machine has if it is given; at least one.
pub(super) fn fitting(memory: Option<ByteSize>) -> NonZeroUsize {
    let cores = thread::available_parallelism().unwrap_or(NonZeroUsize::MIN);
    memory_bytes(memory).map_or(cores, |bytes| fit(cores, bytes))
}

/// What tasks may take together, in bytes: `memory` if it is given, or what the machine has; `None` if it doesn't say.
pub(super) fn memory_bytes(memory: Option<ByteSize>) -> Option<u64> {
    memory.map(|size| size.0).or_else(available_bytes)
}

fn fit(cores: NonZeroUsize, memory_bytes: u64) -> NonZeroUsize {
    let by_memory = usize::try_from(memory_bytes / MEMORY_PER_TASK_BYTES).unwrap_or(usize::MAX);
    NonZeroUsize::new(by_memory).map_or(NonZeroUsize::MIN, |slots| slots.min(cores))
}

/// The smallest limit of the control groups that this process is in, or all memory of the machine.
fn available_bytes() -> Option<u64> {
    let of_machine = fs::read_to_string("/proc/meminfo")
        .ok()
        .and_then(|text| memory_total(&text));
    let of_groups = fs::read_to_string("/proc/self/cgroup")
        .ok()
        .and_then(|text| group(&text, Path::new(CGROUP_ROOT)))
        .and_then(|group| limit(&group, Path::new(CGROUP_ROOT)));
    of_machine.into_iter().chain(of_groups).min()
}

/// `MemTotal` of `/proc/meminfo`.
fn memory_total(meminfo: &str) -> Option<u64> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kibibytes.checked_mul(1024)
}

/// The directory of the control group that `/proc/self/cgroup` names: the line of version 2 begins with `0::`.
fn group(cgroup: &str, root: &Path) -> Option<PathBuf> {
    let path = cgroup.lines().find_map(|line| line.strip_prefix("0::/"))?;
    Some(root.join(path))
}

/// The smallest `memory.max` from a group up to the root; `None` if none has a limit.
fn limit(group: &Path, root: &Path) -> Option<u64> {
    let groups = group.ancestors().take_while(|group| group.starts_with(root));
    groups
        .filter_map(|group| fs::read_to_string(group.join("memory.max")).ok()?.trim().parse().ok())
        .min()
}

#[cfg(test)]
mod tests {
    use super::*;

    const GIB: u64 = 1 << 30;

    fn fits(cores: usize, memory_bytes: u64) -> usize {
        fit(NonZeroUsize::new(cores).expect("cores"), memory_bytes).get()
    }

    #[test]
    fn slots_follow_cores_and_memory() {
        assert_eq!(fits(8, 64 * GIB), 8);
        assert_eq!(fits(8, 3 * GIB + GIB / 2), 3);
        assert_eq!(fits(8, GIB / 2), 1, "a small machine still works");
        assert_eq!(fits(1, 64 * GIB), 1);
    }

    #[test]
    fn the_smallest_limit_of_the_groups_counts() {
        let root = tempfile::tempdir().expect("a directory");
        let inner = root.path().join("a/b");
        fs::create_dir_all(&inner).expect("groups");
        fs::write(inner.join("memory.max"), "max\n").expect("a limit");
        assert_eq!(limit(&inner, root.path()), None);
        fs::write(root.path().join("a/memory.max"), format!("{GIB}\n")).expect("a limit");
        assert_eq!(limit(&inner, root.path()), Some(GIB));
        let found = group("1:name=systemd:/x\n0::/a/b\n", root.path());
        assert_eq!(found, Some(inner));
    }

    #[test]
    fn the_machine_says_what_it_has() {
        assert_eq!(memory_total("MemTotal:       2048 kB\nMemFree: 1 kB\n"), Some(2 << 20));
        assert!(available_bytes().is_some_and(|bytes| bytes > 0));
    }
}
