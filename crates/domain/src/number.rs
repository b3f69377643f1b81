//! Numbers that must not be mixed up: offsets, epochs, sequence numbers and times.

use std::fmt;

use serde::{Deserialize, Serialize};

macro_rules! number {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub i64);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

number!(
    /// A position in an upload, in bytes from its start. Signed because databases and protobuf are; never negative.
    Offset
);
number!(
    /// The fencing number of an upload's writer: one more each time a write stream is opened.
    WriterEpoch
);
number!(
    /// Which of an upload's files: the epoch of the writer that began it; 0 is the one that was made with the upload.
    FileEpoch
);
number!(
    /// The fencing number of a task's lease: one more with each claim, never reset.
    LeaseEpoch
);
number!(
    /// The number of an event within its job, from 1 without gaps; 0 stands before the first.
    EventSeq
);
number!(
    /// Milliseconds since 1970-01-01T00:00:00Z, by the database's clock wherever a lease depends on it.
    Timestamp
);

impl FileEpoch {
    /// The file that is made with the upload. Most uploads have no other.
    pub const FIRST: Self = Self(0);
}

impl Offset {
    /// The beginning.
    pub const ZERO: Self = Self(0);

    /// The offset `bytes` further on.
    ///
    /// # Panics
    /// If it doesn't fit an `i64`, which no accepted upload length comes near.
    #[must_use]
    pub fn advanced(self, bytes: usize) -> Self {
        let bytes = i64::try_from(bytes).expect("a buffer's length fits an i64");
        Self(
            self.0
                .checked_add(bytes)
                .expect("offsets stay below the upload size limit"),
        )
    }

    /// The offset as an unsigned number, for file positions.
    #[must_use]
    pub fn as_u64(self) -> u64 {
        self.0.unsigned_abs()
    }
}
