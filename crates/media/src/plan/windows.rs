//! Plans of whole sources of which not all has to be there: each task reads the file's outline and the packets that it needs.

use reelway_domain::Ladder;

use super::{
    ByteRange, Plan, PlanView,
    make::{complete, lay_out},
    mezzanine,
};
use crate::{Error, Probe, Workspace, index};

/// As [`super::make_plan`], from a source of which at least these bytes are there, which [`crate::outline`] found: the plan is the same,
/// and says besides where everything lies that must be read. `None` if all of the source is needed to make it.
///
/// # Errors
/// As [`super::make_plan`].
pub async fn make_windowed_plan(
    work: &Workspace<'_>,
    probe: &Probe,
    ladder: &Ladder,
    there: &[ByteRange],
) -> Result<Option<Plan>, Error> {
    if mezzanine::is_needed(probe) {
        return Ok(None);
    }
    let index = index::read(work, work.source, probe, true).await?;
    let is_there = |range: &ByteRange| {
        let around = |there: &ByteRange| there.start <= range.start && range.end <= there.end;
        there.iter().any(around)
    };
    // Whatever was not there when the source was looked at may have told something else.
    if !index.opening.iter().all(is_there) {
        return Ok(None);
    }
    let mut plan = lay_out(work, probe, &index, ladder, PlanView::Whole)?;
    if let Some(video) = &mut plan.video {
        complete(work, work.source, video).await?;
        for chunk in &mut video.chunks {
            chunk.bytes = index.video.bytes(chunk.seek_pts, chunk.end_pts);
        }
    }
    plan.index_bytes = there.to_vec();
    Ok(Some(plan))
}
