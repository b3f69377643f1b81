//! One ordinary MP4 file of what was made anyway, for those who want to keep it. Nothing is encoded again.

use std::path::{Path, PathBuf};

use reelway_domain::RungSize;

use crate::{
    Error, Workspace, ffmpeg,
    input::{self, Args},
    sandbox::file_url,
};

/// The output's name in the scratch directory.
const FILE_NAME: &str = "download.mp4";
/// The short side of the largest rung that is offered, in pixels.
const SHORT_SIDE_MAX: u32 = 1080;
/// What the file may have beyond what its tracks have: an index, which takes a few bytes for each frame.
const INDEX_BYTES_MAX: u64 = 256 << 20;

/// The tracks of a file, each as a fragmented MP4 file in the scratch directory: an init section and all segments.
#[derive(Debug, Clone, Copy)]
pub struct DownloadTracks<'a> {
    /// The picture, and when its first frame is shown, in ticks of 1/90000 s.
    pub video: Option<(&'a Path, i64)>,
    /// The sound. It begins where its own times say.
    pub audio: Option<&'a Path>,
}

/// The rung that is offered: the largest that about every screen shows.
#[must_use]
pub fn download_rung(rungs: &[RungSize]) -> Option<&RungSize> {
    let usual = || rungs.iter().filter(|rung| !rung.hdr);
    let fits = usual().filter(|rung| rung.width.min(rung.height) <= SHORT_SIDE_MAX);
    let largest = fits.max_by_key(|rung| u64::from(rung.width) * u64::from(rung.height));
    largest.or_else(|| usual().next_back())
}

/// Puts the tracks into `download.mp4` in `work.scratch`, with the index in front.
///
/// # Errors
/// [`Error::Cancelled`], `ENCODER_STALLED`, `STORAGE_FULL`, `ENCODER_FAILED`.
pub async fn make_download(work: &Workspace<'_>, tracks: DownloadTracks<'_>) -> Result<PathBuf, Error> {
    let file = work.scratch.join(FILE_NAME);
    let mut args = Vec::new();
    let mut bytes_max = INDEX_BYTES_MAX;
    let inputs: Vec<&Path> = tracks.video.iter().map(|(path, _)| *path).chain(tracks.audio).collect();
    // Left to itself, ffmpeg would move each input to time 0.
    args.words(["-copyts"]);
    for input in &inputs {
        args.extend(input::guards(work.tools.limits()));
        args.extend(input::input(input));
        let metadata = tokio::fs::metadata(input).await;
        bytes_max += metadata.map_err(|e| Error::io("reading a track", &e))?.len();
    }
    for n in 0..inputs.len() {
        args.words(["-map", &format!("{n}:0")]);
    }
    args.words(["-c", "copy", "-map_metadata", "-1", "-fflags", "+bitexact"]);
    if let Some((_, start)) = tracks.video {
        // The reader moves all frames of such a file so that none is shown before it is decoded; this moves them back.
        args.words([
            "-bsf:v",
            &format!("setts=pts=PTS-STARTPTS+({start}):dts=DTS-STARTPTS+({start})"),
        ]);
    }
    args.words(["-f", "mp4", "-movflags", "+faststart"]);
    args.push(file_url(&file));
    ffmpeg::run(work, args, bytes_max, work.tools.limits().stall_max, |_| {}).await?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use reelway_domain::VideoCodec;

    use super::*;

    #[test]
    fn the_largest_that_about_every_screen_shows() {
        let rung = |name: &str, width, height, hdr| RungSize {
            name: name.into(),
            width,
            height,
            bitrate_max: 1,
            codec: VideoCodec::H264,
            hdr,
        };
        let rungs = [
            rung("1080p-hdr", 1920, 1080, true),
            rung("2160p", 3840, 2160, false),
            rung("1080p", 1920, 1080, false),
            rung("720p", 1280, 720, false),
        ];
        let name = |rungs: &[RungSize]| download_rung(rungs).map(|rung| rung.name.clone());
        assert_eq!(name(&rungs).unwrap(), "1080p");
        assert_eq!(name(&rungs[..2]).unwrap(), "2160p");
        assert_eq!(name(&rungs[..1]), None);
    }
}
