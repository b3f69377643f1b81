//! The programs that do the work, and whether they are good enough.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use reelway_domain::{Failure, Reason, RungSize, VideoCodec};
use tokio_util::sync::CancellationToken;

use crate::{
    Error, Limits, Urgency,
    sandbox::{self, Confinement, Invocation, Step},
};

/// The oldest ffmpeg that knows `-fps_mode`.
const VERSION_MIN: (u32, u32) = (5, 1);
/// How long a program may take to tell its version.
const VERSION_WALL_MAX: Duration = Duration::from_secs(20);

/// ffmpeg, ffprobe and the limits they run under. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Tools(Arc<Found>);

#[derive(Debug)]
struct Found {
    ffmpeg: PathBuf,
    ffprobe: PathBuf,
    version: String,
    features: Features,
    limits: Limits,
    confinement: Confinement,
}

/// What this ffmpeg was built with, beyond what is needed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Features {
    /// It encodes HEVC, by libx265.
    pub hevc: bool,
    /// It encodes AV1, by SVT-AV1.
    pub av1: bool,
    /// It turns high dynamic range into what every screen shows, by zimg.
    pub tone_maps: bool,
    /// It measures VMAF.
    pub vmaf: bool,
}

impl Features {
    fn of(banner: &str) -> Self {
        let with = |library: &str| {
            banner
                .split_whitespace()
                .any(|word| word == format!("--enable-{library}"))
        };
        Self {
            hevc: with("libx265"),
            av1: with("libsvtav1"),
            tone_maps: with("libzimg"),
            vmaf: with("libvmaf"),
        }
    }

    fn encodes(self, codec: VideoCodec) -> bool {
        match codec {
            VideoCodec::H264 => true,
            VideoCodec::Hevc => self.hevc,
            VideoCodec::Av1 => self.av1,
        }
    }
}

/// Where one task works: with which tools, on which file, in which directory, and until when.
#[derive(Debug, Clone, Copy)]
pub struct Workspace<'a> {
    /// The programs.
    pub tools: &'a Tools,
    /// The absolute path of the only file that is read: the upload, or the mezzanine made of it.
    pub source: &'a Path,
    /// The absolute path of the only directory that is written to. Give each attempt its own.
    pub scratch: &'a Path,
    /// Cancelling it kills what runs, at once.
    pub cancel: &'a CancellationToken,
    /// How soon somebody waits for what is made.
    pub urgency: Urgency,
}

impl Tools {
    /// Takes both programs from the directories of `PATH`.
    ///
    /// # Errors
    /// `INTERNAL` if one of them is missing or not usable; the message tells what to install.
    pub async fn find(limits: Limits) -> Result<Self, Error> {
        let find = |name: &str| {
            sandbox::find_in_path(name).ok_or_else(|| {
                Error::new(
                    Reason::Internal,
                    format!("{name} is not in PATH: install ffmpeg 5.1 or newer"),
                )
            })
        };
        Self::at(&find("ffmpeg")?, &find("ffprobe")?, limits).await
    }

    /// Takes the programs at these absolute paths.
    ///
    /// # Errors
    /// `INTERNAL` if one of them can't be run, is too old, or has no H.264 encoder, or the sandbox is not what is required.
    pub async fn at(ffmpeg: &Path, ffprobe: &Path, limits: Limits) -> Result<Self, Error> {
        let confinement = Confinement::of_this_kernel(limits.sandbox);
        if !confinement.is_enough() {
            return Err(Error::new(
                Reason::Internal,
                format!("the sandbox is required, and this kernel doesn't give all of it ({confinement})"),
            ));
        }
        let banner = banner(ffmpeg, &limits).await?;
        let version = version(&banner).to_owned();
        if is_too_old(&version) {
            return Err(Error::new(
                Reason::Internal,
                format!("ffmpeg is {version}; 5.1 or newer is needed"),
            ));
        }
        if !banner.contains("--enable-libx264") {
            return Err(Error::new(
                Reason::Internal,
                "this ffmpeg was built without libx264, the H.264 encoder",
            ));
        }
        self::banner(ffprobe, &limits).await?;
        Ok(Self(Arc::new(Found {
            ffmpeg: ffmpeg.to_owned(),
            ffprobe: ffprobe.to_owned(),
            version,
            features: Features::of(&banner),
            limits,
            confinement,
        })))
    }

    /// Where ffmpeg is.
    #[must_use]
    pub fn ffmpeg(&self) -> &Path {
        &self.0.ffmpeg
    }

    /// Where ffprobe is.
    #[must_use]
    pub fn ffprobe(&self) -> &Path {
        &self.0.ffprobe
    }

    /// What ffmpeg calls its version. Pieces of one rendition fit together only if one version made them.
    #[must_use]
    pub fn version(&self) -> &str {
        &self.0.version
    }

    /// Whether high dynamic range can be turned into what every screen shows.
    #[must_use]
    pub fn tone_maps(&self) -> bool {
        self.0.features.tone_maps
    }

    /// What this ffmpeg was built with.
    #[must_use]
    pub fn features(&self) -> Features {
        self.0.features
    }

    /// Whether all of these rungs can be made here.
    ///
    /// # Errors
    /// `FEATURE_UNAVAILABLE` if an encoder is missing; the message tells which.
    pub fn check(&self, rungs: &[RungSize]) -> Result<(), Failure> {
        let missing = rungs.iter().find(|rung| !self.0.features.encodes(rung.codec));
        let library = match missing.map(|rung| rung.codec) {
            None | Some(VideoCodec::H264) => return Ok(()),
            Some(VideoCodec::Hevc) => "libx265, the HEVC encoder",
            Some(VideoCodec::Av1) => "libsvtav1, the AV1 encoder",
        };
        let message = format!(
            "The ffmpeg of this server was built without {library}. Choose another preset, or install an ffmpeg that has it."
        );
        Err(Failure::new(Reason::FeatureUnavailable, message))
    }

    /// The limits that every process runs under.
    #[must_use]
    pub fn limits(&self) -> &Limits {
        &self.0.limits
    }

    /// How far the sandbox reaches on this machine.
    #[must_use]
    pub fn confinement(&self) -> Confinement {
        self.0.confinement
    }
}

/// What a program says about itself.
async fn banner(program: &Path, limits: &Limits) -> Result<String, Error> {
    let invocation = Invocation {
        program,
        args: vec!["-version".into()],
        scratch: None,
        source: None,
        file_bytes_max: 0,
        wall_max: VERSION_WALL_MAX,
        stall_max: None,
        urgency: Urgency::Soon,
    };
    let mut text = String::new();
    let finished = sandbox::run(limits, invocation, &CancellationToken::new(), |line| {
        text.push_str(line);
        text.push('\n');
        Ok(Step::Waiting)
    })
    .await?;
    if finished.status.success() {
        return Ok(text);
    }
    let message = format!("{} -version ended with {}", program.display(), finished.status);
    Err(finished.failed(Reason::Internal, message))
}

/// The third word of `ffmpeg version 5.1.9-0+deb12u1 Copyright …`.
fn version(banner: &str) -> &str {
    banner.split_whitespace().nth(2).unwrap_or("unknown")
}

/// Builds from a repository have no number; they are taken to be new.
fn is_too_old(version: &str) -> bool {
    let mut numbers = version.trim_start_matches('n').split(|c: char| !c.is_ascii_digit());
    let mut next = || numbers.next().and_then(|digits| digits.parse::<u32>().ok());
    next().is_some_and(|major| (major, next().unwrap_or(0)) < VERSION_MIN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_compared_as_numbers() {
        for old in ["4.4.2-0ubuntu0.22.04.1", "5.0", "n4.3", "5.0.3"] {
            assert!(is_too_old(old), "{old}");
        }
        for new in ["5.1.9-0+deb12u1", "n7.1", "6", "10.0", "N-112233-gabcdef", "git-2024"] {
            assert!(!is_too_old(new), "{new}");
        }
    }

    #[test]
    fn libraries_are_read_from_the_banner() {
        let features =
            Features::of("ffmpeg version 5.1\nconfiguration: --enable-libx264 --enable-libx265 --enable-libzimg2");
        assert!(features.encodes(VideoCodec::H264) && features.encodes(VideoCodec::Hevc));
        assert!(!features.encodes(VideoCodec::Av1) && !features.tone_maps && !features.vmaf);
    }

    #[tokio::test]
    async fn a_preset_without_its_encoder_is_refused() {
        let mut tools = Tools::find(Limits::default()).await.unwrap();
        let rungs = reelway_domain::preset("av1").unwrap().fit(640, 360, false);
        let found = Arc::get_mut(&mut tools.0).unwrap();
        found.features.av1 = false;
        let failure = tools.check(&rungs).unwrap_err();
        assert_eq!(failure.reason, Reason::FeatureUnavailable);
        assert!(failure.message.contains("libsvtav1"), "{}", failure.message);
        tools
            .check(&reelway_domain::preset("standard").unwrap().fit(640, 360, false))
            .unwrap();
    }

    #[tokio::test]
    async fn the_installed_programs_are_good_enough() {
        let tools = Tools::find(Limits::default()).await.unwrap();
        assert!(
            tools
                .version()
                .starts_with(|c: char| c.is_ascii_digit() || c == 'n' || c == 'N'),
            "{}",
            tools.version()
        );
    }

    #[tokio::test]
    async fn another_program_is_refused() {
        let error = Tools::at(Path::new("/bin/true"), Path::new("/bin/true"), Limits::default())
            .await
            .unwrap_err();
        assert_eq!(error.failure().unwrap().reason, Reason::Internal);
    }
}
