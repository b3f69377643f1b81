//! What players may see of a job: more and more while it runs, and all of it in the end.

use reelway_domain::{Change, JobId, RenditionInfo};

use crate::{Catalog, Error, Task, effect::Applied, sql::Sql, tx::Tx};

/// What players may see.
#[derive(Debug, Clone, PartialEq)]
pub struct Published {
    /// The renditions with what was measured.
    pub renditions: Vec<RenditionInfo>,
    /// The key prefix of the playlists.
    pub prefix: String,
    /// The key of the poster; `None` leaves the one that is published already, as with the next three.
    pub poster_key: Option<String>,
    /// The key of the file for download, if one is made.
    pub download_key: Option<String>,
    /// The DASH manifest's name below the prefix; there is none before everything is made.
    pub manifest_name: Option<String>,
    /// The storyboard's name below the prefix.
    pub storyboard_name: Option<String>,
    /// Source frames that could not be decoded.
    pub missing_frames: i64,
}

/// More than any playlists hold: what is whole is not replaced by what grows.
const WHOLE: i64 = i64::MAX;

static LOCK: Sql = Sql::new("SELECT playable_at_ms FROM jobs WHERE id = $1 {for_update}");
static PUBLISH: Sql = Sql::new(
    "UPDATE jobs SET renditions = $2, published_prefix = $3, poster_key = COALESCE($4, poster_key),
                     download_key = COALESCE($5, download_key), manifest_name = COALESCE($6, manifest_name),
                     storyboard_name = COALESCE($7, storyboard_name), missing_frames = $8, published_segments = $9,
                     playable_at_ms = COALESCE(playable_at_ms, {now}), updated_at_ms = {now}
     WHERE id = $1 AND state = 'running' AND (published_segments < $9 OR $10 = 1)",
);

// What a plan laid out goes when it is replaced. Asked once the job is locked, so a replacement is either seen, or forgets what
// this publishes.
static COUNTS: Sql = Sql::new("SELECT COUNT(*) FROM tasks WHERE id = $1 AND lease_epoch = $2 AND state = 'succeeded'");

/// What became of a publication.
enum Publication {
    /// It is what players see, and the first that they do.
    First,
    /// It replaced an earlier one.
    Next,
    /// Nothing was changed.
    Refused,
}

impl Catalog {
    /// Publishes what is made so far, `segments` segments of all renditions together, while the job goes on. It replaces only
    /// less, and tells that the video is playable if it is the first. Gives whether players see it now: not if the job doesn't
    /// run, if as much is published already, or if the success of `task`, after which it was put together, doesn't count any more:
    /// then it shows what an earlier plan made.
    ///
    /// # Errors
    /// [`Error::Database`] if the database fails: it may be published or not then.
    pub async fn publish_growing(&self, task: &Task, published: &Published, segments: i64) -> Result<bool, Error> {
        let (mut tx, job) = (self.begin().await?, task.job);
        let publication = self.publish(&mut tx, job, published, segments).await?;
        if !self.counts(&mut tx, task).await? {
            return Ok(false);
        }
        match publication {
            Publication::First => self.append_events(&mut tx, job, &[Change::Playable]).await?,
            Publication::Next => {}
            Publication::Refused => return Ok(false),
        }
        self.commit(tx).await?;
        Ok(true)
    }

    /// Whether what a claim made is a part of the job.
    async fn counts(&self, tx: &mut Tx, task: &Task) -> Result<bool, Error> {
        let (count,): (i64,) = sqlx::query_as(COUNTS.on(self.dialect))
            .bind(task.id.to_string())
            .bind(task.lease_epoch.0)
            .fetch_one(&mut ***tx)
            .await?;
        Ok(count > 0)
    }

    /// Publishes everything; `None` if the job doesn't run.
    pub(crate) async fn publish_whole(
        &self,
        tx: &mut Tx,
        job: JobId,
        published: &Published,
    ) -> Result<Option<Applied>, Error> {
        let change = match self.publish(tx, job, published, WHOLE).await? {
            Publication::First => Some(Change::Playable),
            Publication::Next => None,
            Publication::Refused => return Ok(None),
        };
        let free = Vec::new();
        Ok(Some(Applied { change, free }))
    }

    async fn publish(
        &self,
        tx: &mut Tx,
        job: JobId,
        published: &Published,
        segments: i64,
    ) -> Result<Publication, Error> {
        let before: Option<(Option<i64>,)> = sqlx::query_as(LOCK.on(self.dialect))
            .bind(job.to_string())
            .fetch_optional(&mut ***tx)
            .await?;
        let updated = sqlx::query(PUBLISH.on(self.dialect))
            .bind(job.to_string())
            .bind(serde_json::to_string(&published.renditions)?)
            .bind(published.prefix.clone())
            .bind(published.poster_key.clone())
            .bind(published.download_key.clone())
            .bind(published.manifest_name.clone())
            .bind(published.storyboard_name.clone())
            .bind(published.missing_frames)
            .bind(segments)
            .bind(i64::from(segments == WHOLE))
            .execute(&mut ***tx)
            .await?;
        Ok(match (updated.rows_affected(), before) {
            (1, Some((Some(_),))) => Publication::Next,
            (1, _) => Publication::First,
            _ => Publication::Refused,
        })
    }
}
