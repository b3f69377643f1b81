//! Putting stored pieces of a rendition behind one another again.

use std::path::Path;

use reelway_domain::{Failure, Reason};
use reelway_media::{self as media, Made, Piece, PieceSet};
use tokio::{
    fs::File,
    io::{self, AsyncWriteExt as _},
};

use super::{Job, internal};

/// What was made of a rung, in any order.
pub(super) fn of_rung<'a>(made: &'a Made, name: &str) -> Vec<&'a PieceSet> {
    let sets = made.chunks.iter().flat_map(|chunk| &chunk.renditions);
    sets.filter(|set| set.rendition == name).collect()
}

/// Writes the init section and the wanted pieces into a file, in order, and gives the start of the first one, in ticks of the
/// sets' timescale; `None` if there is no such piece.
pub(super) async fn join(
    job: &Job,
    sets: &[&PieceSet],
    is_wanted: impl Fn(&Piece) -> bool,
    file: &Path,
) -> Result<Option<i64>, media::Error> {
    let with_pieces = || sets.iter().filter(|set| !set.pieces.is_empty());
    let mut wanted: Vec<&Piece> = with_pieces()
        .flat_map(|set| &set.pieces)
        .filter(|p| is_wanted(p))
        .collect();
    wanted.sort_by_key(|piece| piece.start);
    let (Some(set), Some(first)) = (with_pieces().next(), wanted.first()) else {
        return Ok(None);
    };
    let keys: Vec<&str> = [set.init_key.as_str()]
        .into_iter()
        .chain(wanted.iter().map(|piece| piece.key.as_str()))
        .collect();
    let mut out = File::create(file).await.map_err(|error| failure(&error))?;
    for key in keys {
        let key = key.parse().map_err(|error| internal(&error))?;
        let local = job.output.local(&key, &file.with_extension("piece")).await;
        let mut piece = File::open(local.map_err(Failure::from)?)
            .await
            .map_err(|error| failure(&error))?;
        io::copy(&mut piece, &mut out).await.map_err(|error| failure(&error))?;
    }
    out.flush().await.map_err(|error| failure(&error))?;
    Ok(Some(first.start))
}

fn failure(error: &std::io::Error) -> Failure {
    let reason = match error.kind() {
        std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => Reason::StorageFull,
        _ => Reason::StoreUnavailable,
    };
    Failure::new(reason, format!("segments can't be joined: {error}"))
}
