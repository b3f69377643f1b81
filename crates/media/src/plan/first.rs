//! Holding a plan of the beginning of a source against one that reaches further, or to its end.

use super::{AudioPlan, AudioRun, Plan, VideoPlan};

impl Plan {
    /// Whether what was laid out in this plan is the beginning of what is laid out in `whole`, so that what was made of it can stay.
    #[must_use]
    pub fn is_beginning_of(&self, whole: &Self) -> bool {
        let pictures = match (&self.video, &whole.video) {
            (Some(first), Some(all)) => is_beginning(first, all),
            (None, None) => true,
            _ => false,
        };
        let sound = self.audios.len() <= whole.audios.len()
            && self
                .audios
                .iter()
                .zip(&whole.audios)
                .all(|(first, all)| is_sound_beginning(first, all));
        pictures && sound && self.segment_ms == whole.segment_ms
    }
}

fn is_beginning(first: &VideoPlan, all: &VideoPlan) -> bool {
    let count = first.chunks.len();
    let alike = VideoPlan {
        chunks: all.chunks.iter().take(count).cloned().collect(),
        lead_chunks: all.lead_chunks.min(count),
        ..all.clone()
    };
    *first == alike
}

fn is_sound_beginning(first: &AudioPlan, all: &AudioPlan) -> bool {
    let where_from = |run: &AudioRun| AudioRun { bytes: None, ..*run };
    let alike = AudioPlan {
        duration_ms: first.duration_ms,
        runs: all.runs.iter().take(first.runs.len()).map(where_from).collect(),
        ..all.clone()
    };
    let mut own = first.clone();
    own.runs = first.runs.iter().map(where_from).collect();
    own == alike
}
