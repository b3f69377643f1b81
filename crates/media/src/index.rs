//! The packet index: when every frame is shown and where decoding can begin, read once without decoding anything.

use std::path::Path;

use reelway_domain::{Failure, Reason};

use crate::{
    Error, Probe, Workspace, ffprobe,
    sandbox::{self, Step},
};

/// What the packets of a source say. Times are in the time base of their stream.
#[derive(Debug, Default)]
pub(crate) struct Index {
    /// The video's frames; empty without video.
    pub(crate) video: VideoIndex,
    /// When the audio begins and ends.
    pub(crate) audio: Option<(i64, i64)>,
}

/// The frames of the video stream.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct VideoIndex {
    /// When each frame that is shown is shown, ascending.
    pub(crate) frames: Vec<i64>,
    /// The timestamps of all keyframes, ascending; also of those that an edit list hides.
    pub(crate) keyframes: Vec<i64>,
    /// How long the last frame is shown; 0 if the container doesn't tell.
    pub(crate) last_duration: i64,
}

/// One packet, in decoding order.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Packet {
    stream: u32,
    pts: i64,
    duration: i64,
    keyframe: bool,
    /// The container (an edit list) says that it is decoded but not shown.
    hidden: bool,
}

/// Reads the index of `file`, of which `probe` is the probe.
///
/// # Errors
/// `SOURCE_LIMIT_EXCEEDED` if there are more packets than may be held in memory; those of running ffprobe.
pub(crate) async fn read(work: &Workspace<'_>, file: &Path, probe: &Probe) -> Result<Index, Error> {
    let limits = work.tools.limits();
    let entries = "packet=stream_index,pts,duration,flags";
    let invocation = ffprobe::invocation(
        work,
        file,
        "compact=p=0",
        entries,
        limits.wall_max,
        Some(limits.stall_max),
    );
    let mut builder = Builder::new(probe);
    let mut count = 0;
    sandbox::run(limits, invocation, work.cancel, |line| {
        count += 1;
        if count > limits.packets_max {
            let message = format!("The source has more than {} packets.", limits.packets_max);
            return Err(Failure::new(Reason::SourceLimitExceeded, message)
                .with("limit", limits.packets_max)
                .into());
        }
        if let Some(packet) = Packet::parse(line) {
            builder.add(packet);
        }
        Ok(Step::Moved)
    })
    .await?
    .checked()?;
    Ok(builder.finish())
}

impl Packet {
    /// A line like `stream_index=0|pts=512|duration=512|flags=K_`; `None` without a timestamp.
    fn parse(line: &str) -> Option<Self> {
        let (mut stream, mut pts, mut duration, mut flags) = (None, None, 0, "");
        for (key, value) in line.split('|').filter_map(|field| field.split_once('=')) {
            match key {
                "stream_index" => stream = value.parse().ok(),
                "pts" => pts = value.parse().ok(),
                "duration" => duration = value.parse().unwrap_or(0),
                "flags" => flags = value,
                _ => {}
            }
        }
        let (keyframe, hidden) = (flags.contains('K'), flags.contains('D'));
        Some(Self {
            stream: stream?,
            pts: pts?,
            duration: i64::max(duration, 0),
            keyframe,
            hidden,
        })
    }
}

/// Puts packets together to an index.
struct Builder {
    video_stream: Option<u32>,
    audio_stream: Option<u32>,
    index: Index,
    /// VP8 has packets of pictures that are only referred to. They carry the time of the picture that is shown next.
    has_unshown: bool,
    /// The first keyframe in decoding order. Frames that are shown before it can't be decoded.
    first_key: Option<i64>,
    last_pts: i64,
}

impl Builder {
    fn new(probe: &Probe) -> Self {
        Self {
            video_stream: probe.video.as_ref().map(|v| v.index),
            audio_stream: probe.audio.as_ref().map(|a| a.index),
            has_unshown: probe.video.as_ref().is_some_and(|v| v.codec == "vp8"),
            index: Index::default(),
            first_key: None,
            last_pts: i64::MIN,
        }
    }

    fn add(&mut self, packet: Packet) {
        if Some(packet.stream) == self.video_stream {
            self.add_video(packet);
        } else if Some(packet.stream) == self.audio_stream && !packet.hidden {
            let (start, end) = (packet.pts, packet.pts.saturating_add(packet.duration));
            let (first, last) = self.index.audio.unwrap_or((start, end));
            self.index.audio = Some((first.min(start), last.max(end)));
        }
    }

    fn add_video(&mut self, packet: Packet) {
        if packet.keyframe {
            self.index.video.keyframes.push(packet.pts);
            self.first_key.get_or_insert(packet.pts);
        }
        if packet.hidden || self.first_key.is_none_or(|first| packet.pts < first) {
            return;
        }
        self.index.video.frames.push(packet.pts);
        if packet.pts > self.last_pts {
            self.last_pts = packet.pts;
            self.index.video.last_duration = packet.duration;
        }
    }

    fn finish(mut self) -> Index {
        self.index.video.frames.sort_unstable();
        if self.has_unshown {
            self.index.video.frames.dedup();
        }
        self.index.video.keyframes.sort_unstable();
        self.index
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn video_index(lines: &[&str]) -> VideoIndex {
        let mut builder = Builder {
            video_stream: Some(0),
            audio_stream: Some(1),
            has_unshown: false,
            index: Index::default(),
            first_key: None,
            last_pts: i64::MIN,
        };
        lines
            .iter()
            .filter_map(|line| Packet::parse(line))
            .for_each(|packet| builder.add(packet));
        builder.finish().video
    }

    #[test]
    fn frames_are_in_the_order_of_showing() {
        let index = video_index(&[
            "stream_index=0|pts=0|duration=10|flags=K_",
            "stream_index=0|pts=20|duration=11|flags=__",
            "stream_index=1|pts=0|duration=1024|flags=K_",
            "stream_index=0|pts=10|duration=10|flags=__",
        ]);
        assert_eq!(
            index,
            VideoIndex {
                frames: vec![0, 10, 20],
                keyframes: vec![0],
                last_duration: 11
            }
        );
    }

    #[test]
    fn what_can_not_be_decoded_or_is_hidden_is_no_frame() {
        let index = video_index(&[
            "stream_index=0|pts=5|duration=1|flags=__",
            "stream_index=0|pts=10|duration=1|flags=KD",
            "stream_index=0|pts=8|duration=1|flags=__",
            "stream_index=0|pts=11|duration=1|flags=__|",
            "stream_index=0|pts=N/A|duration=1|flags=K_",
        ]);
        assert_eq!(
            index,
            VideoIndex {
                frames: vec![11],
                keyframes: vec![10],
                last_duration: 1
            }
        );
    }
}
