//! What is told on the way: the lines of `reelway upload --json`.

use serde::Serialize;

/// One line. Progress comes at most twice a second, everything else once.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub(crate) enum Event {
    /// A new upload, nothing of it is sent.
    UploadCreated {
        upload_id: String,
        job_id: String,
        size_bytes: i64,
    },
    /// An upload of an earlier run goes on.
    UploadResumed {
        upload_id: String,
        job_id: String,
        size_bytes: i64,
        durable_offset: i64,
    },
    /// Bytes became durable.
    UploadProgress {
        upload_id: String,
        durable_offset: u64,
        size_bytes: u64,
    },
    /// The connection broke; another attempt follows.
    UploadWaiting {
        upload_id: String,
        retries: u32,
        reason: String,
        message: String,
    },
    /// Every byte is stored and verified.
    UploadComplete { upload_id: String },
    /// The job entered a state.
    JobState { job_id: String, state: String },
    /// How far the job is.
    JobProgress { job_id: String, percent: f64, speed: f64 },
    /// The video can be played from here on.
    Playable { job_id: String, playback_url: String },
}

/// The last line of a file.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Summary {
    /// Always `result`.
    pub(crate) event: &'static str,
    /// The file.
    pub(crate) file: String,
    /// The upload; empty if none was created.
    pub(crate) upload_id: String,
    /// The job; empty if there is none.
    pub(crate) job_id: String,
    /// The job's state; the upload's if nobody waited for a job; `interrupted` if the same command goes on with it.
    pub(crate) state: String,
    /// The multivariant playlist; empty if nothing is playable.
    pub(crate) playback_url: String,
    /// The trace of everything that was done for the file, for whoever collects traces.
    pub(crate) trace_id: String,
    /// What went wrong.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) error: Option<Cause>,
}

/// What went wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Cause {
    /// The word to branch on.
    pub(crate) reason: String,
    /// The sentence to read.
    pub(crate) message: String,
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn lines_say_what_they_are() {
        let playable = Event::Playable {
            job_id: "job_1".to_owned(),
            playback_url: "http://x/master.m3u8".to_owned(),
        };
        let expected = json!({"event": "playable", "job_id": "job_1", "playback_url": "http://x/master.m3u8"});
        assert_eq!(serde_json::to_value(playable).expect("JSON"), expected);
    }
}
