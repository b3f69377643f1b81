//! What players may see of a job.

use reelway_domain::{JobId, JobState, TraceContext};

use crate::{Catalog, Error, row::Columns, sql::Sql};

/// Where the published files of a job are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Playback {
    /// The key prefix of the playlists.
    pub prefix: String,
    /// The key of the poster, if there is one.
    pub poster_key: Option<String>,
    /// The key of the file for download, if there is one.
    pub download_key: Option<String>,
    /// The job has ended: the playlists won't change any more.
    pub is_final: bool,
    /// The trace of the call that created the job.
    pub trace: Option<TraceContext>,
}

static PLAYBACK: Sql = Sql::new(
    "SELECT published_prefix, poster_key, download_key, state, trace_context FROM jobs
     WHERE id = $1 AND published_prefix IS NOT NULL",
);

impl Catalog {
    /// Finds what players may see of a job, whoever owns it; `None` before anything is published. A job's id is made of 74
    /// random bits and is the key to its playback until playback is signed.
    ///
    /// # Errors
    /// [`Error::Database`] if the database fails.
    pub async fn playback(&self, job: JobId) -> Result<Option<Playback>, Error> {
        let row = sqlx::query(PLAYBACK.on(self.dialect))
            .bind(job.to_string())
            .fetch_optional(&self.read)
            .await?;
        let playback = |row| {
            let columns = Columns(row);
            let state: JobState = columns.parsed("state")?;
            Ok(Playback {
                prefix: columns.text("published_prefix")?,
                poster_key: columns.text_or_null("poster_key")?,
                download_key: columns.text_or_null("download_key")?,
                is_final: state.is_terminal(),
                trace: columns.trace("trace_context")?,
            })
        };
        row.as_ref().map(playback).transpose()
    }
}
