//! What a source may be and cost, and how ffmpeg is kept from doing harm.

use reelway_media::{Limits, SandboxLevel};
use serde::Deserialize;

use crate::serve_args::ServeOptions;

/// How much of the sandbox there must be.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Sandbox {
    /// No worker starts where the kernel can't keep ffmpeg to its own files and from making sockets.
    Require,
    /// As much as the kernel offers.
    #[default]
    Prefer,
    /// Neither Landlock nor seccomp: only to find out whether they are in the way.
    Off,
}

impl From<Sandbox> for SandboxLevel {
    fn from(wanted: Sandbox) -> Self {
        match wanted {
            Sandbox::Require => Self::Require,
            Sandbox::Prefer => Self::Prefer,
            Sandbox::Off => Self::Off,
        }
    }
}

/// What was given, and the defaults for the rest.
pub(super) fn take(options: &mut ServeOptions) -> Limits {
    let usual = Limits::default();
    let stall = options.encoder_stall.take();
    let duration = options.source_duration_max.take();
    Limits {
        pixels_max: options.source_pixels_max.take().unwrap_or(usual.pixels_max),
        duration_max: duration.map_or(usual.duration_max, |duration| duration.0),
        streams_max: options.source_streams_max.take().unwrap_or(usual.streams_max),
        audio_tracks_max: options.source_audio_tracks_max.take().unwrap_or(usual.audio_tracks_max),
        subtitle_tracks_max: options
            .source_subtitle_tracks_max
            .take()
            .unwrap_or(usual.subtitle_tracks_max),
        frame_rate_max: options.source_frame_rate_max.take().unwrap_or(usual.frame_rate_max),
        memory_bytes_max: options
            .encoder_memory
            .take()
            .map_or(usual.memory_bytes_max, |size| size.0),
        stall_max: stall.map_or(usual.stall_max, |stall| stall.0),
        sandbox: options.sandbox.take().unwrap_or_default().into(),
        ..usual
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use clap::CommandFactory as _;
    use reelway_media::SourceSetting;

    use super::*;
    use crate::config::testing::config;

    #[test]
    fn a_source_is_bounded_without_any_setting() {
        assert_eq!(config(&[]).media, Limits::default());
        assert_eq!(config(&[]).media.sandbox, SandboxLevel::Prefer);
    }

    /// What a refused source names is there to be changed.
    #[test]
    fn every_setting_of_a_refusal_is_an_option() {
        let mut command = crate::args::Cli::command();
        let serve = command.find_subcommand_mut("serve").unwrap();
        for setting in SourceSetting::ALL {
            let is_option = serve
                .get_arguments()
                .any(|argument| argument.get_long() == Some(setting.option()));
            assert!(is_option, "{}", setting.option());
        }
    }

    #[test]
    fn limits_are_configured() {
        let flags = ["--sandbox", "require", "--source-duration-max", "90m"];
        let more = ["--source-pixels-max", "2073600", "--source-streams-max", "3"];
        let last = ["--source-frame-rate-max", "60", "--encoder-memory", "1G"];
        let tracks = ["--source-audio-tracks-max", "2", "--source-subtitle-tracks-max", "5"];
        let limits = config(&[&flags[..], &more, &tracks, &last].concat()).media;
        assert_eq!((limits.audio_tracks_max, limits.subtitle_tracks_max), (2, 5));
        assert_eq!(limits.sandbox, SandboxLevel::Require);
        assert_eq!(limits.duration_max, Duration::from_secs(5400));
        assert_eq!((limits.pixels_max, limits.streams_max), (2_073_600, 3));
        assert_eq!((limits.frame_rate_max, limits.memory_bytes_max), (60, 1 << 30));
    }
}
