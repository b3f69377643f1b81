//! The states of uploads, jobs and tasks, with the words that the database stores.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// A word that is not a state of the expected kind: the database was written by something else.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{word:?} is not a {kind}")]
pub struct StateError {
    word: String,
    kind: &'static str,
}

macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $word:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
        pub enum $name {
            $($(#[$vdoc])* #[serde(rename = $word)] $variant,)+
        }

        impl $name {
            /// All of them, in order.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// The stored word.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word,)+ }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl FromStr for $name {
            type Err = StateError;

            fn from_str(word: &str) -> Result<Self, StateError> {
                match word {
                    $($word => Ok(Self::$variant),)+
                    _ => Err(StateError { word: word.to_owned(), kind: stringify!($name) }),
                }
            }
        }
    };
}

words!(
    /// Where an upload stands.
    UploadState {
        /// Bytes may be written.
        Receiving = "receiving",
        /// Every byte is stored and verified; nothing can change it.
        Complete = "complete",
        /// The bytes were not what the client promised.
        Failed = "failed",
        /// The client gave it up.
        Aborted = "aborted",
        /// Nothing came for too long.
        Expired = "expired",
    }
);

words!(
    /// What an upload is for.
    UploadKind {
        /// A file of its own.
        Whole = "whole",
        /// One part of an upload that is put together later. Nothing is made of it, and it expires.
        Partial = "partial",
        /// Put together from partial uploads. No client writes it.
        Joined = "joined",
    }
);

words!(
    /// What becomes of a source once a job of it has succeeded.
    SourceAction {
        /// It stays where it is.
        Keep = "keep",
        /// Its bytes are removed.
        Delete = "delete",
        /// It is moved to the archive store, where later jobs read it.
        Archive = "archive",
    }
);

words!(
    /// Where the bytes of a complete upload are.
    SourceState {
        /// Where they were uploaded to.
        Stored = "stored",
        /// In the archive store.
        Archived = "archived",
        /// Nowhere: a job has succeeded that was to remove them.
        Removed = "removed",
    }
);

words!(
    /// Where a job stands.
    JobState {
        /// Waiting for bytes or a worker.
        Queued = "queued",
        /// At least one task was started.
        Running = "running",
        /// Everything was made and counted.
        Succeeded = "succeeded",
        /// It can't be done, or was tried too often.
        Failed = "failed",
        /// Somebody asked for the end.
        Cancelled = "cancelled",
    }
);

words!(
    /// Where a task stands.
    TaskState {
        /// Waiting for predecessors, bytes, its next attempt or a worker.
        Queued = "queued",
        /// A worker holds the lease.
        Running = "running",
        /// The result is recorded.
        Succeeded = "succeeded",
        /// It can't be done, or was tried too often.
        Failed = "failed",
        /// The job ended first.
        Cancelled = "cancelled",
    }
);

words!(
    /// What a task does.
    TaskKind {
        /// Finds out what the file is.
        Probe = "probe",
        /// Reads the packet index and lays out the other tasks.
        Plan = "plan",
        /// Encodes one chunk of the video at its smallest rung alone, ahead of the others, so that playing can begin.
        Lead = "lead",
        /// Encodes a few excerpts, to know how many bits this source needs.
        Trial = "trial",
        /// Encodes one chunk of the video at all rungs (all others, if a lead task makes the smallest).
        Video = "video",
        /// Encodes one run of an audio track.
        Audio = "audio",
        /// Turns one text track into WebVTT.
        Subtitles = "subtitles",
        /// Takes one picture.
        Poster = "poster",
        /// Takes small pictures at regular times, for search.
        Storyboard = "storyboard",
        /// Makes one file for download of a rendition.
        Download = "download",
        /// Holds the whole file against what was planned from its index while it arrived.
        Verify = "verify",
        /// Writes the playlists.
        Package = "package",
        /// Counts the sums and publishes.
        Finish = "finish",
    }
);

words!(
    /// What a webhook tells of. The words are API: receivers branch on them.
    WebhookEvent {
        /// An upload is complete.
        UploadCompleted = "upload.completed",
        /// A job's output is complete and counted.
        JobSucceeded = "job.succeeded",
        /// A job came to nothing.
        JobFailed = "job.failed",
    }
);

impl UploadState {
    /// Nothing can change any more.
    #[must_use]
    pub fn is_terminal(self) -> bool {
        self != Self::Receiving
    }
}

impl JobState {
    /// Nothing happens any more unless somebody retries.
    #[must_use]
    pub fn is_terminal(self) -> bool {
        matches!(self, Self::Succeeded | Self::Failed | Self::Cancelled)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stored_words_round_trip() {
        for state in JobState::ALL {
            assert_eq!(state.as_str().parse(), Ok(*state));
        }
        for kind in TaskKind::ALL {
            assert_eq!(kind.as_str().parse(), Ok(*kind));
        }
        assert!("done".parse::<TaskState>().is_err());
    }
}
