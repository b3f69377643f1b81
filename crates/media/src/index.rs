//! The packet index: when every frame is shown and where decoding can begin, read once without decoding anything.

use std::path::Path;

use reelway_domain::{Failure, Reason};

use crate::{
    ByteRange, Error, Probe, Workspace, ffprobe,
    opening::Opening,
    sandbox::{self, Step},
};

/// What the packets of a source say. Times are in the time base of their stream.
#[derive(Debug, Default)]
pub(crate) struct Index {
    /// The video's frames; empty without video.
    pub(crate) video: VideoIndex,
    /// When each audio stream of the probe begins and ends; `None` if it has no packets.
    pub(crate) audios: Vec<Option<(i64, i64)>>,
    /// Where the packets of each audio stream lie; empty unless that was asked for.
    pub(crate) audio_places: Vec<Vec<Place>>,
    /// Where the first packets of all streams lie; empty unless that was asked for.
    pub(crate) opening: Vec<ByteRange>,
}

/// Where a packet lies in the file.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Place {
    /// When it is shown or heard.
    pub(crate) pts: i64,
    /// Decoding can begin with it.
    keyframe: bool,
    bytes: ByteRange,
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
    /// Where the packets lie, in decoding order; empty unless that was asked for.
    pub(crate) places: Vec<Place>,
}

/// The containers whose index stands apart from the packets, by ffmpeg's name for all of them.
const MOV: [&str; 1] = ["mov"];
/// So many packets behind the last one of a chunk are there too: decoders look a little ahead.
const PACKETS_AHEAD: usize = 4;

impl VideoIndex {
    /// Where everything lies that frames between two times are decoded from, beginning with the keyframe at `seek` (or the first
    /// packet); `None` if it isn't known.
    pub(crate) fn bytes(&self, seek: Option<i64>, end: i64) -> Option<ByteRange> {
        let first = match seek {
            None => 0,
            Some(key) => self
                .places
                .iter()
                .position(|place| place.keyframe && place.pts == key)?,
        };
        let last = self.places.iter().rposition(|place| place.pts < end)?;
        let last = last.saturating_add(PACKETS_AHEAD).min(self.places.len() - 1);
        span(self.places.get(first..=last)?)
    }
}

impl Index {
    /// Where everything lies that an audio stream's sound between two times is decoded from: from the last packet at or before
    /// the first time to the first one after the second. `clock` turns the stream's times into those.
    pub(crate) fn audio_bytes(
        &self,
        stream: usize,
        clock: impl Fn(i64) -> i64,
        from: i64,
        to: i64,
    ) -> Option<ByteRange> {
        let places = self.audio_places.get(stream)?;
        let first = places
            .partition_point(|place| clock(place.pts) <= from)
            .saturating_sub(1);
        let last = places
            .partition_point(|place| clock(place.pts) <= to)
            .min(places.len().checked_sub(1)?);
        span(places.get(first..=last)?)
    }
}

/// From the first byte of any of these packets to the last one.
fn span(places: &[Place]) -> Option<ByteRange> {
    Some(ByteRange {
        start: places.iter().map(|place| place.bytes.start).min()?,
        end: places.iter().map(|place| place.bytes.end).max()?,
    })
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
    /// Where it lies in the file, if the container tells.
    bytes: Option<ByteRange>,
}

/// Reads the index of `file`, of which `probe` is the probe; `with_places` also where the packets lie.
///
/// # Errors
/// `SOURCE_LIMIT_EXCEEDED` if there are more packets than may be held in memory; those of running ffprobe.
pub(crate) async fn read(work: &Workspace<'_>, file: &Path, probe: &Probe, with_places: bool) -> Result<Index, Error> {
    let limits = work.tools.limits();
    let entries = "packet=stream_index,pts,duration,flags,pos,size";
    let mut invocation = ffprobe::invocation(
        work,
        file,
        "compact=p=0",
        entries,
        limits.wall_max,
        Some(limits.stall_max),
    );
    if probe.is_in(&MOV) {
        // The index tells all about a packet. Parsers would look into packets that may not have arrived.
        invocation.args.splice(0..0, ["-fflags".into(), "+noparse".into()]);
    }
    let mut builder = Builder::new(probe, with_places);
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
        let (mut start, mut size) = (None::<u64>, None::<u64>);
        for (key, value) in line.split('|').filter_map(|field| field.split_once('=')) {
            match key {
                "stream_index" => stream = value.parse().ok(),
                "pts" => pts = value.parse().ok(),
                "duration" => duration = value.parse().unwrap_or(0),
                "flags" => flags = value,
                "pos" => start = value.parse().ok(),
                "size" => size = value.parse().ok(),
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
            bytes: start.zip(size).map(|(start, size)| ByteRange {
                start,
                end: start.saturating_add(size),
            }),
        })
    }

    fn place(&self) -> Option<Place> {
        Some(Place {
            pts: self.pts,
            keyframe: self.keyframe,
            bytes: self.bytes?,
        })
    }
}

/// Puts packets together to an index.
struct Builder {
    video_stream: Option<u32>,
    audio_streams: Vec<u32>,
    index: Index,
    with_places: bool,
    /// VP8 has packets of pictures that are only referred to. They carry the time of the picture that is shown next.
    has_unshown: bool,
    /// The first keyframe in decoding order. Frames that are shown before it can't be decoded.
    first_key: Option<i64>,
    last_pts: i64,
    opening: Opening,
    /// Durations are guesses as soon as frames are not shown in the order of decoding: these containers tell how long a packet
    /// stays the newest to be decoded, not how long its picture is shown.
    guesses_durations: bool,
    reorders: bool,
}

impl Builder {
    fn new(probe: &Probe, with_places: bool) -> Self {
        Self {
            video_stream: probe.video.as_ref().map(|v| v.index),
            audio_streams: probe.audios.iter().map(|a| a.index).collect(),
            has_unshown: probe.video.as_ref().is_some_and(|v| v.codec == "vp8"),
            index: Index {
                audios: vec![None; probe.audios.len()],
                audio_places: vec![Vec::new(); probe.audios.len()],
                ..Index::default()
            },
            with_places,
            first_key: None,
            last_pts: i64::MIN,
            opening: Opening::of(probe),
            guesses_durations: probe.is_in(&MOV),
            reorders: false,
        }
    }

    fn add(&mut self, packet: Packet) {
        let is_video = Some(packet.stream) == self.video_stream;
        if let Some(bytes) = packet.bytes.filter(|_| self.with_places) {
            self.opening.add(bytes, is_video);
        }
        if is_video {
            self.add_video(packet);
        } else if !packet.hidden
            && let Some(place) = self.audio_streams.iter().position(|stream| *stream == packet.stream)
            && let Some(extent) = self.index.audios.get_mut(place)
        {
            let (start, end) = (packet.pts, packet.pts.saturating_add(packet.duration));
            let (first, last) = extent.unwrap_or((start, end));
            *extent = Some((first.min(start), last.max(end)));
            let places = self.index.audio_places.get_mut(place).filter(|_| self.with_places);
            if let Some(places) = places {
                places.extend(packet.place());
            }
        }
    }

    fn add_video(&mut self, packet: Packet) {
        if self.with_places {
            self.index.video.places.extend(packet.place());
        }
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
        } else {
            self.reorders = true;
        }
    }

    fn finish(mut self) -> Index {
        self.index.opening = self.opening.ranges();
        self.index.video.frames.sort_unstable();
        if self.has_unshown {
            self.index.video.frames.dedup();
        }
        self.index.video.keyframes.sort_unstable();
        if self.guesses_durations && self.reorders {
            self.index.video.last_duration = 0;
        }
        self.index
    }
}

/// The index that lines of ffprobe make.
#[cfg(test)]
pub(crate) fn of_lines<'a>(probe: &Probe, lines: impl IntoIterator<Item = &'a str>) -> Index {
    let mut builder = Builder::new(probe, true);
    for packet in lines.into_iter().filter_map(Packet::parse) {
        builder.add(packet);
    }
    builder.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn video_index(lines: &[&str]) -> VideoIndex {
        let mut builder = Builder {
            video_stream: Some(0),
            audio_streams: vec![1],
            has_unshown: false,
            index: Index::default(),
            with_places: false,
            first_key: None,
            last_pts: i64::MIN,
            opening: Opening::default(),
            guesses_durations: false,
            reorders: false,
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
                last_duration: 11,
                places: Vec::new()
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
                last_duration: 1,
                places: Vec::new()
            }
        );
    }
}
