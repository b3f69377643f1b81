//! Which files a child may open: its program, its source and its scratch directory, and no TCP port.
//!
//! Landlock needs neither root nor namespaces, so it works in ordinary containers too. What the kernel doesn't know yet is
//! left out; [`Confinement`] tells what remains.

use std::{fmt, os::fd::OwnedFd, path::Path, ptr};

use landlock::{
    ABI, Access, AccessFs, AccessNet, BitFlags, PathBeneath, PathFd, Ruleset, RulesetAttr, RulesetCreatedAttr, Scope,
    path_beneath_rules,
};

/// The newest version of Landlock whose rights are asked for.
const NEWEST: ABI = ABI::V6;
/// The first version that can forbid TCP.
const ABI_WITH_NETWORK: u32 = 4;
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

/// How far the sandbox reaches on this machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Confinement {
    /// The kernel's version of Landlock; 0 if it has none or it is off.
    pub landlock_abi: u32,
    /// Children see only their own files.
    pub files: bool,
    /// Children can't use TCP.
    pub network: bool,
}

impl Confinement {
    /// What the running kernel can do.
    #[must_use]
    pub fn of_this_kernel() -> Self {
        /// `LANDLOCK_CREATE_RULESET_VERSION`: only tell the version.
        const VERSION_FLAG: libc::c_uint = 1;
        // SAFETY: landlock_create_ruleset(2) with this flag takes no attributes and creates nothing.
        let answer = unsafe {
            libc::syscall(
                libc::SYS_landlock_create_ruleset,
                ptr::null::<u8>(),
                0_usize,
                VERSION_FLAG,
            )
        };
        let landlock_abi = u32::try_from(answer).unwrap_or(0);
        Self {
            landlock_abi,
            files: landlock_abi > 0,
            network: landlock_abi >= ABI_WITH_NETWORK,
        }
    }
}

impl fmt::Display for Confinement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.files, self.network) {
            (true, true) => write!(f, "own files only, no TCP (Landlock {})", self.landlock_abi),
            (true, false) => write!(f, "own files only (Landlock {})", self.landlock_abi),
            _ => f.write_str("limits only, the kernel has no Landlock"),
        }
    }
}

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
