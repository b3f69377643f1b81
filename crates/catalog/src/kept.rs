//! What a bucket is to keep of an upload.

use reelway_domain::UploadId;
use sqlx::any::AnyRow;

use crate::{Catalog, Error, row::Columns, sql::Sql};

/// What a store has of uploads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keeper {
    /// What was uploaded.
    Uploads,
    /// Sources that were moved to it.
    Archive,
}

/// What a bucket is to keep of an upload; all else that it has of it is left over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kept {
    /// Nothing: the upload is unknown, or came to nothing and was freed.
    Nothing,
    /// Everything: somebody else sees to it.
    Everything,
    /// It is complete, and is this object.
    Source(String),
    /// It arrives.
    Arriving {
        /// The multipart upload that its parts belong to, by the store's name for it.
        multipart: Option<String>,
        /// The key of the object that this becomes.
        source: Option<String>,
        /// The keys of what is stored behind the last part.
        rests: Vec<String>,
    },
}

static KEPT: Sql = Sql::new(
    "SELECT state, freed, source_key, multipart_id, multipart_key, source_state, source_left,
            CASE WHEN source_lease_ms >= {now} THEN 1 ELSE 0 END AS is_moving
     FROM uploads WHERE id = $1",
);
static RESTS: Sql = Sql::new("SELECT object_key FROM rests WHERE upload_id = $1");

impl Catalog {
    /// What a bucket is to keep of an upload.
    ///
    /// # Errors
    /// [`Error::Database`] if the database fails.
    pub async fn kept(&self, id: UploadId, keeper: Keeper) -> Result<Kept, Error> {
        let id = id.to_string();
        // Rests first: if the upload is complete a moment later, its source is asked for, and never the other way round.
        let rests: Vec<(String,)> = sqlx::query_as(RESTS.on(self.dialect))
            .bind(&id)
            .fetch_all(&self.read)
            .await?;
        let found = sqlx::query(KEPT.on(self.dialect))
            .bind(&id)
            .fetch_optional(&self.read)
            .await?;
        let Some(row) = found else { return Ok(Kept::Nothing) };
        let columns = Columns(&row);
        match columns.text("state")?.as_str() {
            "receiving" if keeper == Keeper::Archive => Ok(Kept::Nothing),
            "receiving" => Ok(Kept::Arriving {
                multipart: columns.text_or_null("multipart_id")?,
                source: columns.text_or_null("multipart_key")?,
                rests: rests.into_iter().map(|(key,)| key).collect(),
            }),
            "complete" => kept_complete(&row, keeper),
            _ if columns.int("freed")? != 0 => Ok(Kept::Nothing),
            // Who frees it has not come round yet.
            _ => Ok(Kept::Everything),
        }
    }
}

/// What is to be kept of a complete upload.
fn kept_complete(row: &AnyRow, keeper: Keeper) -> Result<Kept, Error> {
    let columns = Columns(row);
    let source = || {
        let key = columns.text_or_null("source_key")?;
        Ok(key.map_or(Kept::Everything, Kept::Source))
    };
    let flag = |name| Ok::<_, Error>(columns.int(name)? != 0);
    match (columns.text_or_null("source_state")?.as_deref(), keeper) {
        (None, Keeper::Uploads) | (Some("archived"), Keeper::Archive) => source(),
        (None, Keeper::Archive) if flag("is_moving")? => Ok(Kept::Everything),
        (None, Keeper::Archive) => Ok(Kept::Nothing),
        // Who removes what is left has not come round yet.
        (Some(_), _) if flag("source_left")? => Ok(Kept::Everything),
        (Some(_), _) => Ok(Kept::Nothing),
    }
}
