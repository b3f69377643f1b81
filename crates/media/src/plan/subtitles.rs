//! Which text tracks become WebVTT renditions.

use super::SubtitlePlan;
use crate::SubtitleStream;

/// The name of the first rendition; the next are `subtitles-2`, `subtitles-3`, …
const SUBTITLE_RENDITION: &str = "subtitles";

/// All tracks, in the container's order.
pub(super) fn tracks(streams: &[SubtitleStream]) -> Vec<SubtitlePlan> {
    let track = |(place, stream): (usize, &SubtitleStream)| SubtitlePlan {
        name: super::audio::numbered(SUBTITLE_RENDITION, place),
        language: stream.language.clone(),
        stream_index: stream.index,
        forced: stream.forced,
        default: stream.default,
    };
    streams.iter().enumerate().map(track).collect()
}
