//! How much of a run's sound is in the source and can't be decoded.
//!
//! While ffmpeg encodes, it tells when each decoded frame begins and ends. Where that leaves holes in a run, either the source has
//! no packets there, which is how it was made, or it has some that couldn't be decoded: then one ffprobe lists the packets,
//! without decoding anything. A run without holes costs nothing.
//!
//! What a decoder conceals counts as heard, and so does noise that it takes for sound, as decoders of Opus do with nearly
//! everything.

use std::ops::Range;

use super::{SEEK_BACK_US, US_PER_SECOND, frames_to_us, seconds};
use crate::{
    AudioPlan, AudioRun, Error, Workspace, ffprobe,
    input::Args,
    sandbox::{self, Step},
};

/// Between two frames so much may be missing, in microseconds: many containers round their times.
const ROUNDED_US: i64 = 2_000;
/// Holes of so much together are none, in microseconds: what is encoded ends with a whole frame, the sound does not.
const HOLES_US_MAX: i64 = 30_000;
/// So long after the track's first packet a decoder may still have nothing to say, in microseconds: it settles, and what encoders
/// put in front is cut off (80 ms of Opus, by RFC 7845, 4.2).
const SETTLE_US: i64 = 200_000;

/// Which sound of a run the decoder gave. Times are in microseconds from time 0.
#[derive(Debug)]
pub struct Heard {
    /// Samples a second in which ffmpeg tells its times.
    sample_rate: i64,
    /// Where reading began, in microseconds of the source's clock; `None`: at its start.
    seek_us: Option<i64>,
    /// The number of the frame whose end is still to be told, and when it begins, in samples.
    begun: Option<(u64, i64)>,
    /// From when to when there were frames without a hole between them.
    spans: Vec<Range<i64>>,
    /// The longest frame.
    longest_us: i64,
}

/// A packet of the track, with its times in microseconds from time 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Packet {
    at_us: i64,
    /// 0 if the container doesn't tell.
    length_us: i64,
}

/// Filters that tell the times of the frames from `from_us` on, and change nothing. Their time base is one sample.
pub(super) fn told(from_us: i64) -> String {
    // They are told on the pipe of the progress, a line at a time, so that no file grows with the source.
    let print = format!(
        "ametadata=mode=print:key=heard:file=-:direct=1:enable='gte(t,{})'",
        seconds(from_us)
    );
    format!("ametadata=mode=add:key=heard:value=1,{print},asetpts=PTS+NB_SAMPLES,{print},asetpts=PTS-NB_SAMPLES")
}

/// How much sound of a run is in packets that couldn't be decoded, in milliseconds: among its first `frames` frames, which are those
/// that came out of it before anything was filled up.
///
/// # Errors
/// [`Error::Cancelled`]; `ENCODER_STALLED`, `ENCODER_FAILED` of ffprobe.
pub async fn undecoded_ms(
    work: &Workspace<'_>,
    audio: &AudioPlan,
    run: &AudioRun,
    heard: &Heard,
    frames: i64,
) -> Result<i64, Error> {
    let judged = frames_to_us(run.start_frame)..frames_to_us(run.start_frame.saturating_add(frames));
    if !heard.has_holes(&judged) {
        return Ok(0);
    }
    let packets = Packets::list(work, audio, heard.seek_us, &judged).await?;
    Ok(heard.undecoded_us(packets, &judged) / 1000)
}

impl Heard {
    pub(super) fn new(audio: &AudioPlan, seek_us: Option<i64>) -> Self {
        Self {
            sample_rate: i64::from(audio.sample_rate.max(1)),
            seek_us,
            begun: None,
            spans: Vec::new(),
            longest_us: 0,
        }
    }

    /// Takes a line of ffmpeg's: `frame:7    pts:7168    pts_time:0.149333` says when a frame begins, and then the same number when
    /// it ends.
    pub(super) fn line(&mut self, line: &str) {
        let told = || {
            let mut words = line.strip_prefix("frame:")?.split_whitespace();
            let number: u64 = words.next()?.parse().ok()?;
            let samples: i64 = words.next()?.strip_prefix("pts:")?.parse().ok()?;
            Some((number, samples))
        };
        let Some((number, samples)) = told() else {
            return;
        };
        match self.begun.take() {
            Some((begun, start)) if begun == number => self.add(self.us(start)..self.us(samples)),
            _ => self.begun = Some((number, samples)),
        }
    }

    fn us(&self, samples: i64) -> i64 {
        let us = i128::from(samples) * i128::from(US_PER_SECOND) / i128::from(self.sample_rate);
        i64::try_from(us).unwrap_or(if us < 0 { i64::MIN } else { i64::MAX })
    }

    fn add(&mut self, frame: Range<i64>) {
        self.longest_us = self.longest_us.max(frame.end.saturating_sub(frame.start));
        match self.spans.last_mut() {
            Some(last) if joins(last, &frame) => last.end = last.end.max(frame.end),
            _ => self.spans.push(frame),
        }
    }

    /// The spans by their times, apart from one another. Sources whose times jump back have them in another order.
    fn spans(&self) -> Vec<Range<i64>> {
        let mut sorted = self.spans.clone();
        sorted.sort_by_key(|span| span.start);
        sorted.dedup_by(|next, last| {
            let joined = joins(last, next);
            if joined {
                last.end = last.end.max(next.end);
            }
            joined
        });
        sorted
    }

    /// Whether so much of this time is without a frame that it is worth a look.
    fn has_holes(&self, judged: &Range<i64>) -> bool {
        let heard_us = overlap_us(&self.spans(), judged);
        (judged.end - judged.start).saturating_sub(heard_us) > HOLES_US_MAX
    }

    /// The length of the packets that begin in this time and during which nothing is heard, or nearly nothing.
    fn undecoded_us(&self, packets: Packets, judged: &Range<i64>) -> i64 {
        let spans = self.spans();
        let first_heard = spans.first().map_or(i64::MAX, |span| span.start);
        let settled = packets.first_us.map_or(i64::MIN, |at| at.saturating_add(SETTLE_US));
        let mut near = packets.near;
        near.sort_unstable_by_key(|packet| packet.at_us);
        let mut undecoded_us = 0;
        for (n, packet) in near.iter().enumerate() {
            let length = self.length_us(*packet, near.get(n + 1));
            let is_settled = packet.at_us >= settled || packet.at_us >= first_heard;
            let place = packet.at_us..packet.at_us.saturating_add(length);
            if is_settled && judged.contains(&packet.at_us) && overlap_us(&spans, &place) < length / 2 {
                undecoded_us += length;
            }
        }
        undecoded_us
    }

    /// How long a packet's sound is: not longer than to the next one, nor than any frame. In front of a gap, containers let a packet
    /// last until it is over.
    fn length_us(&self, packet: Packet, next: Option<&Packet>) -> i64 {
        let told = (packet.length_us > 0).then_some(packet.length_us);
        let to_next = next.map(|next| next.at_us - packet.at_us);
        let frame = (self.longest_us > 0).then_some(self.longest_us);
        [told, to_next, frame].into_iter().flatten().min().unwrap_or(0)
    }
}

/// Whether there is no hole between a span and one that doesn't begin before it.
fn joins(span: &Range<i64>, next: &Range<i64>) -> bool {
    next.start >= span.start && next.start <= span.end.saturating_add(ROUNDED_US)
}

/// How much of a time is in any of these spans, which are in order and apart from one another.
fn overlap_us(spans: &[Range<i64>], time: &Range<i64>) -> i64 {
    let first = spans.partition_point(|span| span.end <= time.start);
    let within = spans.iter().skip(first).take_while(|span| span.start < time.end);
    within
        .map(|span| span.end.min(time.end) - span.start.max(time.start))
        .sum()
}

/// The packets of a track around a time.
#[derive(Debug, Default)]
struct Packets {
    /// When the first one begins that was read, wherever that is.
    first_us: Option<i64>,
    near: Vec<Packet>,
}

impl Packets {
    /// Lists them from where the run was read from. Of a view with holes the same bytes are looked at as by the run itself.
    async fn list(
        work: &Workspace<'_>,
        audio: &AudioPlan,
        seek_us: Option<i64>,
        judged: &Range<i64>,
    ) -> Result<Self, Error> {
        let limits = work.tools.limits();
        let entries = "packet=pts_time,duration_time,flags";
        let (wall_max, stall_max) = (limits.wall_max, Some(limits.stall_max));
        let mut invocation = ffprobe::invocation(work, work.source, "compact=p=0", entries, wall_max, stall_max);
        let end_us = judged.end.saturating_add(audio.base_us).saturating_add(SEEK_BACK_US);
        let interval = format!("{}%{}", seek_us.map(seconds).unwrap_or_default(), seconds(end_us));
        let stream = audio.stream_index.to_string();
        invocation
            .args
            .words(["-select_streams", &stream, "-read_intervals", &interval]);
        // A parser would leave out what it can't read.
        invocation.args.splice(0..0, ["-fflags".into(), "+noparse".into()]);
        let mut packets = Self::default();
        sandbox::run(limits, invocation, work.cancel, |line| {
            packets.add(line, audio.base_us, judged);
            Ok(Step::Moved)
        })
        .await?
        .checked()?;
        Ok(packets)
    }

    /// Takes a line like `pts_time=1.400000|duration_time=0.023220|flags=K_`.
    fn add(&mut self, line: &str, base_us: i64, judged: &Range<i64>) {
        let (mut at_us, mut length_us, mut is_hidden) = (None, 0, false);
        // Seconds with six digits behind the point.
        let us = |text: &str| text.replace('.', "").parse::<i64>().ok();
        for (key, value) in line.split('|').filter_map(|field| field.split_once('=')) {
            match key {
                "pts_time" => at_us = us(value),
                "duration_time" => length_us = us(value).unwrap_or(0),
                "flags" => is_hidden = value.contains('D'),
                _ => {}
            }
        }
        let Some(at_us) = at_us.filter(|_| !is_hidden).map(|us| us.saturating_sub(base_us)) else {
            return;
        };
        self.first_us.get_or_insert(at_us);
        if at_us >= judged.start {
            self.near.push(Packet { at_us, length_us });
        }
    }
}

#[cfg(test)]
mod tests;
