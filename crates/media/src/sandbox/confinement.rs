//! How far the sandbox reaches on the running kernel: for people and for metrics.

use std::{fmt, ptr};

use super::{SandboxLevel, syscalls};

/// The first version of Landlock that can forbid TCP.
const ABI_WITH_NETWORK: u32 = 4;

/// How far the sandbox reaches on this machine. Limits, process groups and the lack of privileges are there in any case.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Confinement {
    /// What the operator asks for.
    pub wanted: SandboxLevel,
    /// The kernel's version of Landlock; 0 if it has none, or it is not used.
    pub landlock_abi: u32,
    /// Children see only their own files.
    pub files: bool,
    /// Children can't use TCP, even if they got hold of a socket.
    pub network: bool,
    /// Children can make no socket and none of the calls that break out of sandboxes.
    pub syscalls: bool,
}

impl Confinement {
    /// What the running kernel can do, as far as it is wanted.
    #[must_use]
    pub fn of_this_kernel(wanted: SandboxLevel) -> Self {
        let is_on = wanted != SandboxLevel::Off;
        let landlock_abi = if is_on { landlock_abi() } else { 0 };
        Self {
            wanted,
            landlock_abi,
            files: landlock_abi > 0,
            network: landlock_abi >= ABI_WITH_NETWORK,
            syscalls: is_on && syscalls::filter().is_some(),
        }
    }

    /// One for each of the three that are there, for metrics.
    #[must_use]
    pub fn level(self) -> u8 {
        u8::from(self.files) + u8::from(self.network) + u8::from(self.syscalls)
    }

    /// Whether children are kept to their own files and from making sockets.
    #[must_use]
    pub fn is_whole(self) -> bool {
        self.files && self.syscalls
    }

    /// Whether anything may be started: what is required is there.
    #[must_use]
    pub fn is_enough(self) -> bool {
        self.wanted != SandboxLevel::Require || self.is_whole()
    }
}

impl fmt::Display for Confinement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let files = if self.files {
            "own files only"
        } else {
            "all files of this user"
        };
        let network = if self.network { "no TCP" } else { "TCP" };
        let calls = if self.syscalls { "no sockets" } else { "sockets" };
        let (wanted, abi) = (self.wanted.as_str(), self.landlock_abi);
        write!(f, "{wanted}: {files}, {calls}, {network} (Landlock {abi})")
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kernel_with_too_little_is_only_enough_if_it_need_not_be_more() {
        let bare = |wanted| Confinement {
            wanted,
            landlock_abi: 0,
            files: false,
            network: false,
            syscalls: true,
        };
        assert!(!bare(SandboxLevel::Require).is_enough());
        assert!(bare(SandboxLevel::Prefer).is_enough() && bare(SandboxLevel::Off).is_enough());
        assert_eq!(bare(SandboxLevel::Prefer).level(), 1);
        let text = bare(SandboxLevel::Prefer).to_string();
        assert_eq!(text, "prefer: all files of this user, no sockets, TCP (Landlock 0)");
    }

    #[test]
    fn what_is_off_confines_nothing() {
        let off = Confinement::of_this_kernel(SandboxLevel::Off);
        assert_eq!((off.level(), off.is_whole()), (0, false));
    }
}
