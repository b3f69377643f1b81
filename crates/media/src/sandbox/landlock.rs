//! Which files a child may open: its program, its source and its scratch directory, and no TCP port.
//!
//! Landlock needs neither root nor namespaces, so it works in ordinary containers too. What the kernel doesn't know yet is
//! left out; [`super::Confinement`] tells what remains.

use std::{os::fd::OwnedFd, path::Path};

use landlock::{
    ABI, Access, AccessFs, AccessNet, BitFlags, PathBeneath, PathFd, Ruleset, RulesetAttr, RulesetCreatedAttr, Scope,
    path_beneath_rules,
};

/// The newest version of Landlock whose rights are asked for.
const NEWEST: ABI = ABI::V6;
/// What a program needs to start: its libraries, the loader's cache, and the two devices that libraries open.
const SYSTEM_PATHS: [&str; 7] = [
    "/usr",
    "/lib",
    "/lib64",
    "/bin",
    "/etc/ld.so.cache",
    "/dev/urandom",
    "/nix/store",
];

/// Everything that is refused to a child, ready to be applied; `None` if the kernel has no Landlock.
///
/// # Errors
/// If the source or the scratch directory can't be opened, or the kernel refuses the rules.
pub(super) fn ruleset(
    program: &Path,
    source: Option<&Path>,
    scratch: Option<&Path>,
) -> Result<Option<OwnedFd>, Box<dyn std::error::Error + Send + Sync>> {
    let read = AccessFs::ReadFile | AccessFs::ReadDir;
    let write = AccessFs::WriteFile | AccessFs::MakeReg | AccessFs::RemoveFile | AccessFs::Truncate;
    let system = SYSTEM_PATHS.iter().map(Path::new).chain(program.parent());
    let mut rules = Ruleset::default()
        .handle_access(AccessFs::from_all(NEWEST))?
        .handle_access(AccessNet::from_all(NEWEST))?
        .scope(Scope::from_all(NEWEST))?
        .create()?
        .add_rules(path_beneath_rules(system, read | AccessFs::Execute))?
        .add_rules(path_beneath_rules(
            ["/dev/null"],
            AccessFs::ReadFile | AccessFs::WriteFile,
        ))?;
    if let Some(source) = source {
        rules = rules.add_rule(PathBeneath::new(
            PathFd::new(source)?,
            BitFlags::from(AccessFs::ReadFile),
        ))?;
    }
    if let Some(scratch) = scratch {
        rules = rules.add_rule(PathBeneath::new(PathFd::new(scratch)?, read | write))?;
    }
    Ok(rules.into())
}
