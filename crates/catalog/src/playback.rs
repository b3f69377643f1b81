//! What players may see of a job.

use reelway_domain::JobId;

use crate::{Catalog, Error, sql::Sql};

/// Where the published files of a job are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Playback {
    /// The key prefix of the playlists.
    pub prefix: String,
    /// The key of the poster, if there is one.
    pub poster_key: Option<String>,
    /// The job has ended: the playlists won't change any more.
    pub is_final: bool,
}

static PLAYBACK: Sql =
    Sql::new("SELECT published_prefix, poster_key, state FROM jobs WHERE id = $1 AND published_prefix IS NOT NULL");

impl Catalog {
    /// Finds what players may see of a job, whoever owns it; `None` before anything is published. A job's id is made of 74
    /// random bits and is the key to its playback until playback is signed.
    ///
    /// # Errors
    /// [`Error::Database`] if the database fails.
    pub async fn playback(&self, job: JobId) -> Result<Option<Playback>, Error> {
        let row: Option<(String, Option<String>, String)> = sqlx::query_as(PLAYBACK.on(self.dialect))
            .bind(job.to_string())
            .fetch_optional(&self.read)
            .await?;
        let playback = |(prefix, poster_key, state): (String, Option<String>, String)| -> Result<Playback, Error> {
            let state: reelway_domain::JobState = state.parse()?;
            Ok(Playback {
                prefix,
                poster_key,
                is_final: state.is_terminal(),
            })
        };
        row.map(playback).transpose()
    }
}
