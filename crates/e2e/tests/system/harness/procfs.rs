//! A look at processes through /proc.

use std::{fs, path::Path};

use nix::unistd::Pid;

/// The processes, other than `except`, that work in a directory or were given a path into it.
pub(crate) fn working_in(dir: &Path, except: Pid) -> Vec<String> {
    let dir = dir.canonicalize().expect("a directory");
    let processes = fs::read_dir("/proc").expect("/proc").filter_map(Result::ok);
    let ids = processes.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    ids.filter(|id| *id != except.as_raw())
        .filter_map(|id| describe(id, &dir))
        .collect()
}

/// The command line of a process that has to do with the directory. A process that ends meanwhile has nothing to do with it.
fn describe(id: i32, dir: &Path) -> Option<String> {
    let command = fs::read(format!("/proc/{id}/cmdline")).ok()?;
    let command = String::from_utf8_lossy(&command).replace('\0', " ");
    let works_there = fs::read_link(format!("/proc/{id}/cwd")).is_ok_and(|cwd| cwd.starts_with(dir));
    let is_told = command.contains(&*dir.to_string_lossy());
    (works_there || is_told).then(|| format!("{id}: {command}"))
}

/// The children of a process that run a program of this name.
pub(crate) fn children_of(parent: Pid, program: &str) -> Vec<Pid> {
    let threads = fs::read_dir(format!("/proc/{parent}/task"))
        .into_iter()
        .flatten()
        .filter_map(Result::ok);
    let lists = threads.filter_map(|thread| fs::read_to_string(thread.path().join("children")).ok());
    let ids: Vec<i32> = lists
        .flat_map(|list| {
            list.split_whitespace()
                .filter_map(|id| id.parse().ok())
                .collect::<Vec<_>>()
        })
        .collect();
    let runs = |id: &i32| fs::read_to_string(format!("/proc/{id}/comm")).is_ok_and(|name| name.trim() == program);
    ids.into_iter().filter(runs).map(Pid::from_raw).collect()
}

/// The most memory that a process had at once, in KiB.
pub(crate) fn memory_peak_kib(pid: Pid) -> u64 {
    status_kib(pid, "VmHWM:")
}

/// The memory that a process has now, in KiB.
pub(crate) fn memory_kib(pid: Pid) -> u64 {
    status_kib(pid, "VmRSS:")
}

fn status_kib(pid: Pid, name: &str) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("it runs");
    let line = status.lines().find_map(|line| line.strip_prefix(name));
    let number = line.expect("a line for it").trim().trim_end_matches(" kB");
    number.parse().expect("a number")
}
