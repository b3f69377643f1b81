//! Who goes first when there are more encoders than cores.

/// How soon somebody waits for what a program makes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Urgency {
    /// Nothing can be watched before it is there.
    Now,
    /// Playing goes on with it, or everything else comes after it.
    #[default]
    Soon,
    /// It is a share of the bulk of the work.
    Whenever,
}

impl Urgency {
    /// How far below the server the program stands in the scheduler's eyes, as nice(2) counts. On a core that two of them want,
    /// what is wanted now gets three times the share of what is wanted soon, and that about five times the share of the rest.
    pub(crate) fn niceness(self) -> i32 {
        match self {
            Self::Now => 5,
            Self::Soon => 10,
            Self::Whenever => 17,
        }
    }
}
