//! ffmpeg, what each preset needs of it, and the sandbox around it.

use reelway_domain::{VideoCodec, preset, preset_names};
use reelway_media::{Confinement, Features, Limits, Tools};

use super::{Finding, Verdict};
use crate::serve::tools_failure;

/// What is looked at of ffmpeg and of what keeps it from doing harm.
pub(super) async fn findings(limits: &Limits) -> Vec<Finding> {
    // The sandbox is told of by itself, whatever becomes of ffmpeg.
    let sandbox = sandbox(Confinement::of_this_kernel(limits.sandbox));
    let mut findings = match Tools::find(limits.clone()).await {
        Ok(tools) => {
            let found = format!("{} at {}", tools.version(), tools.ffmpeg().display());
            let encoders = [VideoCodec::H264, VideoCodec::Hevc, VideoCodec::Av1].map(|c| encoder(c, tools.features()));
            let mut findings = vec![Finding::new("ffmpeg", Verdict::Ok, found)];
            findings.extend(encoders);
            findings.extend(filters(tools.features()));
            findings
        }
        Err(error) => vec![Finding::of_error("ffmpeg", &tools_failure(&error))],
    };
    findings.push(sandbox);
    findings
}

/// An encoder, and the presets that can't do without it.
fn encoder(codec: VideoCodec, features: Features) -> Finding {
    let (library, is_there) = match codec {
        VideoCodec::H264 => ("libx264", true),
        VideoCodec::Hevc => ("libx265", features.hevc),
        VideoCodec::Av1 => ("libsvtav1", features.av1),
    };
    let needs = |name: &&str| preset(name).is_some_and(|ladder| ladder.codec == codec);
    let presets: Vec<&str> = preset_names().into_iter().filter(needs).collect();
    let what = format!("for the presets {}", presets.join(", "));
    present(library, is_there, &what, "jobs that ask for them fail")
}

/// What makes results better where it is there.
fn filters(features: Features) -> [Finding; 2] {
    [
        present(
            "zscale",
            features.tone_maps,
            "turns high dynamic range into standard range",
            "such sources look pale",
        ),
        present(
            "libvmaf",
            features.vmaf,
            "measures quality",
            "quality is told as SSIM instead of VMAF",
        ),
    ]
}

fn present(library: &'static str, is_there: bool, what: &str, without: &str) -> Finding {
    if is_there {
        Finding::new(library, Verdict::Ok, what)
    } else {
        let message = format!("this ffmpeg was built without it ({what}): {without}");
        Finding::warning(library, message)
            .advise("use an ffmpeg that was built with it; that of Debian has most of them")
    }
}

fn sandbox(confinement: Confinement) -> Finding {
    let verdict = match (confinement.is_enough(), confinement.is_whole()) {
        (false, _) => Verdict::Failed,
        (true, false) => Verdict::Warning,
        (true, true) => Verdict::Ok,
    };
    let finding = Finding::new("sandbox", verdict, confinement.to_string());
    if verdict == Verdict::Ok {
        return finding;
    }
    finding.advise("use Linux 5.13 or newer with Landlock and seccomp before you take files from strangers")
}

#[cfg(test)]
mod tests {
    use reelway_media::SandboxLevel;

    use super::*;

    #[test]
    fn each_preset_is_named_with_its_encoder() {
        let features = Features {
            hevc: true,
            av1: false,
            tone_maps: true,
            vmaf: false,
        };
        let found = [VideoCodec::H264, VideoCodec::Hevc, VideoCodec::Av1].map(|codec| encoder(codec, features));
        let verdicts = found.each_ref().map(|finding| finding.verdict);
        assert_eq!(verdicts, [Verdict::Ok, Verdict::Ok, Verdict::Warning]);
        assert_eq!(found[0].message, "for the presets fast, standard, quality");
        assert!(found[2].message.contains("av1"), "{:?}", found[2]);
        assert_eq!(
            filters(features).map(|finding| finding.verdict),
            [Verdict::Ok, Verdict::Warning]
        );
    }

    #[test]
    fn less_than_is_required_is_a_failure() {
        let bare = |wanted| Confinement {
            wanted,
            landlock_abi: 0,
            files: false,
            network: false,
            syscalls: true,
        };
        assert_eq!(sandbox(bare(SandboxLevel::Require)).verdict, Verdict::Failed);
        assert_eq!(sandbox(bare(SandboxLevel::Prefer)).verdict, Verdict::Warning);
    }
}
