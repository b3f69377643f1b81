//! Which streams are used.

use reelway_domain::{Failure, Reason};

use super::{AudioStream, Colour, SubtitleStream, VideoStream, check_count, geometry, raw::RawStream};
use crate::{Limits, SourceSetting, input};

/// The most channels that the downmix knows.
const CHANNELS_MAX: u32 = 16;

/// The streams that renditions are made of; one of them at least is there.
pub(super) struct Chosen {
    pub(super) video: Option<VideoStream>,
    /// The default one first.
    pub(super) audios: Vec<AudioStream>,
    pub(super) subtitles: Vec<SubtitleStream>,
}

/// Takes the default (or first) moving picture, and the sound and the texts, whose codecs are decoded here. Texts as
/// pictures are left out.
///
/// # Errors
/// `SOURCE_NO_STREAMS` if there is neither. `SOURCE_CODEC_UNSUPPORTED` if there is one, but none in a codec that is
/// decoded here: sound or picture must not be lost silently. `SOURCE_LIMIT_EXCEEDED` also for too many tracks, for the same
/// reason. `SOURCE_DAMAGED`.
pub(super) fn choose(streams: &[RawStream], limits: &Limits) -> Result<Chosen, Failure> {
    let of_type = |kind: &str| {
        let mut found: Vec<&RawStream> = streams
            .iter()
            .filter(|s| s.codec_type == kind && !s.is_still())
            .collect();
        found.sort_by_key(|s| s.disposition.default == 0);
        found
    };
    let (moving, sound) = (of_type("video"), of_type("audio"));
    if moving.is_empty() && sound.is_empty() {
        let message = "The file holds neither moving pictures nor sound.";
        return Err(Failure::new(Reason::SourceNoStreams, message));
    }
    let moving = allowed(&moving)?;
    let video = moving.first().map(|stream| video(stream, limits)).transpose()?;
    let audios = audios(&allowed(&sound)?)?;
    check_count(
        SourceSetting::AudioTracks,
        "audio tracks",
        audios.len(),
        limits.audio_tracks_max,
    )?;
    let subtitles = subtitles(streams);
    check_count(
        SourceSetting::SubtitleTracks,
        "subtitle tracks",
        subtitles.len(),
        limits.subtitle_tracks_max,
    )?;
    Ok(Chosen {
        video,
        audios,
        subtitles,
    })
}

/// Those whose codecs are decoded here.
fn allowed<'a>(streams: &[&'a RawStream]) -> Result<Vec<&'a RawStream>, Failure> {
    let found: Vec<&RawStream> = streams
        .iter()
        .copied()
        .filter(|s| input::is_allowed(&s.codec_name))
        .collect();
    match streams.first() {
        Some(stream) if found.is_empty() => Err(unsupported(&stream.codec_type, codec_of(stream))),
        _ => Ok(found),
    }
}

/// A stream that can't be decoded; `kind` is `video`, `audio`, or empty if only the codec is known.
pub(super) fn unsupported(kind: &str, codec: &str) -> Failure {
    let kind = if kind.is_empty() {
        String::new()
    } else {
        format!("{kind} ")
    };
    let message = format!(
        "The {kind}codec {codec:?} can't be decoded here. Convert the file to H.264 video and AAC audio, or another common \
         codec, and upload it again."
    );
    Failure::new(Reason::SourceCodecUnsupported, message).with("codec", codec)
}

/// Pictures with more pixels than are taken; `size` as it is told to people.
pub(super) fn too_large(size: &str, limits: &Limits) -> Failure {
    let max = limits.pixels_max;
    let message = format!("The pictures are {size} pixels, which is more than the {max} that are taken.");
    SourceSetting::Pixels.exceeded(message, max, size)
}

fn codec_of(stream: &RawStream) -> &str {
    let is_known = !matches!(stream.codec_name.as_str(), "" | "none" | "unknown");
    if is_known {
        &stream.codec_name
    } else {
        &stream.codec_tag_string
    }
}

fn video(stream: &RawStream, limits: &Limits) -> Result<VideoStream, Failure> {
    let pixels = u64::from(stream.width) * u64::from(stream.height);
    if pixels > limits.pixels_max {
        return Err(too_large(&format!("{}x{}", stream.width, stream.height), limits));
    }
    let (Some(time_base), 1..) = (stream.time_base(), pixels) else {
        let message = "The video stream doesn't tell its picture size; its first bytes are damaged.";
        return Err(Failure::new(Reason::SourceDamaged, message));
    };
    let (width, height) = geometry::as_shown(stream);
    Ok(VideoStream {
        index: stream.index,
        codec: stream.codec_name.clone(),
        time_base,
        width,
        height,
        frame_rate: stream.frame_rate(),
        interlaced: matches!(stream.field_order.as_str(), "tt" | "bb" | "tb" | "bt"),
        colour: Colour {
            primaries: known_word(&stream.color_primaries, PRIMARIES),
            transfer: known_word(&stream.color_transfer, TRANSFERS),
            matrix: known_word(&stream.color_space, MATRICES),
        },
    })
}

/// The tracks of sound; one that tells nonsense is only left out if there are others.
fn audios(streams: &[&RawStream]) -> Result<Vec<AudioStream>, Failure> {
    let read: Vec<Result<AudioStream, Failure>> = streams.iter().map(|stream| audio(stream)).collect();
    if let (Some(Err(failure)), true) = (read.first(), read.iter().all(Result::is_err)) {
        return Err(failure.clone());
    }
    Ok(read.into_iter().flatten().collect())
}

fn subtitles(streams: &[RawStream]) -> Vec<SubtitleStream> {
    let texts = streams
        .iter()
        .filter(|s| s.codec_type == "subtitle" && input::is_text(&s.codec_name));
    texts
        .map(|stream| SubtitleStream {
            index: stream.index,
            codec: stream.codec_name.clone(),
            language: stream.language(),
            forced: stream.disposition.forced != 0,
            default: stream.disposition.default != 0,
        })
        .collect()
}

fn audio(stream: &RawStream) -> Result<AudioStream, Failure> {
    let damaged = || Failure::new(Reason::SourceDamaged, "The audio stream doesn't tell its channels.");
    let time_base = stream.time_base().ok_or_else(damaged)?;
    if !(1..=CHANNELS_MAX).contains(&stream.channels) {
        return Err(damaged());
    }
    Ok(AudioStream {
        index: stream.index,
        codec: stream.codec_name.clone(),
        time_base,
        channels: stream.channels,
        sample_rate: stream.sample_rate(),
        language: stream.language(),
    })
}

/// Words that both ffprobe and ffmpeg's filters know. They end up in a filter graph, so no others get through.
const PRIMARIES: &[&str] = &[
    "bt709",
    "bt470bg",
    "smpte170m",
    "smpte240m",
    "bt2020",
    "smpte431",
    "smpte432",
];
const TRANSFERS: &[&str] = &[
    "bt709",
    "bt470bg",
    "smpte170m",
    "smpte240m",
    "iec61966-2-1",
    "bt2020-10",
    "bt2020-12",
    "smpte2084",
    "arib-std-b67",
];
const MATRICES: &[&str] = &["bt709", "bt470bg", "smpte170m", "smpte240m", "bt2020nc"];

fn known_word(word: &str, known: &[&str]) -> String {
    known
        .iter()
        .find(|k| **k == word)
        .copied()
        .unwrap_or_default()
        .to_owned()
}

impl RawStream {
    /// Cover art and thumbnails are video streams too, in ffmpeg's eyes.
    fn is_still(&self) -> bool {
        let d = &self.disposition;
        d.attached_pic != 0 || d.still_image != 0 || d.timed_thumbnails != 0
    }
}
