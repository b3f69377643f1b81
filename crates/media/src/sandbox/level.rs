//! How much of the sandbox the operator insists on.

/// How much of what the kernel offers is used, and what happens where it offers too little. Limits, process groups and the
/// lack of privileges are there at every level.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum SandboxLevel {
    /// Nothing is started where children can't be kept to their own files and from making sockets.
    Require,
    /// As much as the kernel offers.
    #[default]
    Prefer,
    /// Neither Landlock nor seccomp: to find out whether they are what is in the way.
    Off,
}

impl SandboxLevel {
    /// The word for it in settings.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Require => "require",
            Self::Prefer => "prefer",
            Self::Off => "off",
        }
    }
}
