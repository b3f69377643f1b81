//! What one call encodes of a chunk.

use reelway_domain::RungSize;
use serde::{Deserialize, Serialize};

/// Which rungs of a plan are made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rungs {
    /// All of them.
    All,
    /// The smallest one, which is the plan's last.
    Smallest,
    /// All but the smallest one; none of a plan with one rung.
    AllButSmallest,
}

/// A part of a chunk's work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChunkJob {
    /// The chunk's place in the plan.
    pub chunk: usize,
    /// Which attempt this is, from 1.
    pub attempt: i32,
    /// What is made of it.
    pub rungs: Rungs,
    /// The bit rates that it must stay below.
    pub caps: Caps,
}

/// Caps of the bit rate that are lower than the ladder's, because a trial showed that this source needs no more. A rung keeps
/// one cap for all of its chunks: the cap is a part of the init section.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Caps(Vec<(String, u32)>);

impl Rungs {
    /// Those rungs of a plan's; largest first, like there.
    #[must_use]
    pub fn of(self, rungs: &[RungSize]) -> &[RungSize] {
        let smallest = rungs.len().saturating_sub(1);
        match self {
            Self::All => rungs,
            Self::Smallest => &rungs[smallest..],
            Self::AllButSmallest => &rungs[..smallest],
        }
    }
}

impl ChunkJob {
    /// All rungs of a chunk, with the ladder's caps.
    #[must_use]
    pub fn new(chunk: usize, attempt: i32) -> Self {
        Self {
            chunk,
            attempt,
            rungs: Rungs::All,
            caps: Caps::default(),
        }
    }
}

impl Caps {
    /// Caps by the rungs' names, in bits a second.
    pub(crate) fn new(caps: impl IntoIterator<Item = (String, u32)>) -> Self {
        Self(caps.into_iter().collect())
    }

    /// The cap of a rung, in bits a second; never above the ladder's.
    #[must_use]
    pub fn of(&self, rung: &RungSize) -> u32 {
        let own = self.0.iter().find(|(name, _)| *name == rung.name);
        own.map_or(rung.bitrate_max, |(_, cap)| rung.bitrate_max.min(*cap))
    }
}
