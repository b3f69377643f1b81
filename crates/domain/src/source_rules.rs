//! What becomes of sources after success: by preset, unless the caller of a job says otherwise.

use std::collections::BTreeMap;

use crate::{Failure, Reason, SourceAction, preset_names};

/// What a deployment does with sources whose jobs say nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SourceRules {
    by_preset: BTreeMap<String, SourceAction>,
    has_archive: bool,
}

/// A rule that can't be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SourceRulesError {
    /// It doesn't look like one.
    #[error("{0:?} must look like PRESET=keep, PRESET=delete or PRESET=archive")]
    Malformed(String),
    /// There is no such preset.
    #[error("there is no preset {0:?}; there are {known}", known = preset_names().join(", "))]
    UnknownPreset(String),
    /// There are two rules for one preset.
    #[error("the preset {0:?} is named twice")]
    Twice(String),
    /// There is nothing to move sources to.
    #[error("sources of the preset {0:?} have no archive store to be moved to")]
    NoArchive(String),
}

impl SourceRules {
    /// Reads rules like `fast=delete`. With `has_archive` there is a store that sources can be moved to.
    ///
    /// # Errors
    /// The first rule that can't be.
    pub fn new<'a>(rules: impl IntoIterator<Item = &'a str>, has_archive: bool) -> Result<Self, SourceRulesError> {
        let mut by_preset = BTreeMap::new();
        for rule in rules {
            let malformed = || SourceRulesError::Malformed(rule.to_owned());
            let (preset, action) = rule.split_once('=').ok_or_else(malformed)?;
            let action = action.parse().map_err(|_| malformed())?;
            if !preset_names().contains(&preset) {
                return Err(SourceRulesError::UnknownPreset(preset.to_owned()));
            }
            if action == SourceAction::Archive && !has_archive {
                return Err(SourceRulesError::NoArchive(preset.to_owned()));
            }
            if by_preset.insert(preset.to_owned(), action).is_some() {
                return Err(SourceRulesError::Twice(preset.to_owned()));
            }
        }
        Ok(Self { by_preset, has_archive })
    }

    /// What becomes of the source of a job with this preset, of which the caller `asked` for something, or for nothing.
    ///
    /// # Errors
    /// [`Reason::ArchiveUnavailable`] if it is to be moved and there is nowhere to move it to.
    pub fn decide(&self, preset: &str, asked: Option<SourceAction>) -> Result<SourceAction, Failure> {
        let action = asked.or_else(|| self.by_preset.get(preset).copied());
        let action = action.unwrap_or(SourceAction::Keep);
        if action == SourceAction::Archive && !self.has_archive {
            let message = "this server has no store to move sources to; name one with --archive-store, or leave source_action out";
            return Err(Failure::new(Reason::ArchiveUnavailable, message).with("option", "--archive-store"));
        }
        Ok(action)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_caller_wins_over_the_preset_and_nothing_said_keeps() {
        let rules = SourceRules::new(["fast=delete", "hevc=archive"], true).unwrap();
        for (preset, asked, decided) in [
            ("standard", None, SourceAction::Keep),
            ("", None, SourceAction::Keep),
            ("fast", None, SourceAction::Delete),
            ("fast", Some(SourceAction::Keep), SourceAction::Keep),
            ("hevc", None, SourceAction::Archive),
            ("standard", Some(SourceAction::Archive), SourceAction::Archive),
        ] {
            assert_eq!(rules.decide(preset, asked), Ok(decided), "{preset:?} {asked:?}");
        }
    }

    #[test]
    fn nothing_is_moved_to_nowhere() {
        let refused = SourceRules::default().decide("fast", Some(SourceAction::Archive));
        let failure = refused.unwrap_err();
        assert_eq!(failure.reason, Reason::ArchiveUnavailable);
        assert!(failure.message.contains("--archive-store"), "{failure}");
    }

    #[test]
    fn rules_that_cannot_be_are_told_apart() {
        let of = |rules: &[&'static str]| SourceRules::new(rules.iter().copied(), false).unwrap_err();
        assert_eq!(of(&["fast"]), SourceRulesError::Malformed("fast".into()));
        assert_eq!(of(&["fast=burn"]), SourceRulesError::Malformed("fast=burn".into()));
        assert_eq!(of(&["slow=delete"]), SourceRulesError::UnknownPreset("slow".into()));
        assert_eq!(
            of(&["fast=keep", "fast=delete"]),
            SourceRulesError::Twice("fast".into())
        );
        assert_eq!(of(&["fast=archive"]), SourceRulesError::NoArchive("fast".into()));
    }
}
