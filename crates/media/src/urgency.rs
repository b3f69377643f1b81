//! Who goes first when there are more encoders than cores.

/// How soon somebody waits for what a program makes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Urgency {
    /// Playing begins with it, or everything else comes after it.
    #[default]
    Soon,
    /// It is a share of the bulk of the work.
    Whenever,
}

impl Urgency {
    /// How far below the server the program stands in the scheduler's eyes, as nice(2) counts. On a core that both want,
    /// what is wanted soon gets about five times the share of the rest.
    pub(crate) fn niceness(self) -> i32 {
        match self {
            Self::Soon => 10,
            Self::Whenever => 17,
        }
    }
}
