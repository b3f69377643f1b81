//! How far the sandbox reaches on the running kernel: for people and for metrics.

use std::{fmt, ptr};

use super::syscalls;

/// The first version of Landlock that can forbid TCP.
const ABI_WITH_NETWORK: u32 = 4;

/// How far the sandbox reaches on this machine. Limits, process groups and the lack of privileges are there in any case.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Confinement {
    /// The kernel's version of Landlock; 0 if it has none or it is off.
    pub landlock_abi: u32,
    /// Children see only their own files.
    pub files: bool,
    /// Children can't use TCP, even if they got hold of a socket.
    pub network: bool,
    /// Children can make no socket and none of the calls that break out of sandboxes.
    pub syscalls: bool,
}

impl Confinement {
    /// What the running kernel can do.
    #[must_use]
    pub fn of_this_kernel() -> Self {
        let landlock_abi = landlock_abi();
        Self {
            landlock_abi,
            files: landlock_abi > 0,
            network: landlock_abi >= ABI_WITH_NETWORK,
            syscalls: syscalls::filter().is_some(),
        }
    }

    /// One for each of the three that are there, for metrics.
    #[must_use]
    pub fn level(self) -> u8 {
        u8::from(self.files) + u8::from(self.network) + u8::from(self.syscalls)
    }
}

impl fmt::Display for Confinement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let files = if self.files {
            "own files only"
        } else {
            "all files of this user"
        };
        let calls = if self.syscalls { "no sockets" } else { "sockets" };
        write!(f, "{files}, {calls} (Landlock {})", self.landlock_abi)
    }
}

fn landlock_abi() -> u32 {
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
    u32::try_from(answer).unwrap_or(0)
}
