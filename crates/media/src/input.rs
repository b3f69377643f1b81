//! What ffmpeg and ffprobe may open and decode: the options that stand before every `-i`.

use std::{ffi::OsString, path::Path};

use crate::{Limits, sandbox::file_url};

/// The containers. None that names other files: playlists and concat scripts would read what isn't theirs.
const FORMATS: &str =
    "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,mpegts,mpeg,avi,flv,ogg,wav,mp3,aac,ac3,eac3,flac,aiff,caf,amr";

/// The video codecs, each as probes name it, with the decoders that may be used for it. Rare decoders are where the bugs
/// are.
const VIDEO_CODECS: &[(&str, &str)] = &[
    ("h264", "h264"),
    ("hevc", "hevc"),
    ("av1", "libdav1d,libaom-av1,av1"),
    ("vp9", "vp9,libvpx-vp9"),
    ("vp8", "vp8,libvpx"),
    ("mpeg4", "mpeg4"),
    ("mpeg2video", "mpeg2video"),
    ("mpeg1video", "mpeg1video"),
    ("h263", "h263"),
    ("flv1", "flv"),
    ("vp6f", "vp6f"),
    ("theora", "theora"),
    ("vc1", "vc1"),
    ("wmv3", "wmv3"),
    ("msmpeg4v2", "msmpeg4v2"),
    ("msmpeg4v3", "msmpeg4"),
    ("mjpeg", "mjpeg"),
    ("prores", "prores"),
    ("dnxhd", "dnxhd"),
    ("dvvideo", "dvvideo"),
    ("ffv1", "ffv1"),
];

/// The same for audio.
const AUDIO_CODECS: &[(&str, &str)] = &[
    ("aac", "aac"),
    ("aac_latm", "aac_latm"),
    ("mp3", "mp3float,mp3"),
    ("mp2", "mp2float,mp2"),
    ("ac3", "ac3"),
    ("eac3", "eac3"),
    ("dts", "dca"),
    ("truehd", "truehd"),
    ("opus", "opus,libopus"),
    ("vorbis", "vorbis,libvorbis"),
    ("flac", "flac"),
    ("alac", "alac"),
    ("amr_nb", "amrnb"),
    ("amr_wb", "amrwb"),
    ("nellymoser", "nellymoser"),
    ("wmav2", "wmav2"),
    ("adpcm_ms", "adpcm_ms"),
    ("adpcm_ima_wav", "adpcm_ima_wav"),
    ("adpcm_ima_qt", "adpcm_ima_qt"),
    ("adpcm_swf", "adpcm_swf"),
    ("pcm_u8", "pcm_u8"),
    ("pcm_s8", "pcm_s8"),
    ("pcm_s16le", "pcm_s16le"),
    ("pcm_s16be", "pcm_s16be"),
    ("pcm_s24le", "pcm_s24le"),
    ("pcm_s24be", "pcm_s24be"),
    ("pcm_s32le", "pcm_s32le"),
    ("pcm_s32be", "pcm_s32be"),
    ("pcm_f32le", "pcm_f32le"),
    ("pcm_f32be", "pcm_f32be"),
    ("pcm_f64le", "pcm_f64le"),
    ("pcm_f64be", "pcm_f64be"),
    ("pcm_alaw", "pcm_alaw"),
    ("pcm_mulaw", "pcm_mulaw"),
];

/// The codecs of subtitles that are text, as probes name them. Those that are pictures stay out.
const TEXT_CODECS: &[&str] = &["subrip", "mov_text", "ass", "webvtt", "text"];

/// The decoder of most cover art. ffprobe gives up if it may not open the decoder of a stream, even one that is not used.
const COVER_DECODER: &str = "png";

/// Whether streams of this codec are decoded here.
pub(crate) fn is_allowed(codec: &str) -> bool {
    [VIDEO_CODECS, AUDIO_CODECS]
        .concat()
        .iter()
        .any(|(name, _)| *name == codec)
}

/// Whether subtitles of this codec are text that is read here.
pub(crate) fn is_text(codec: &str) -> bool {
    TEXT_CODECS.contains(&codec)
}

/// The options that keep a hostile file from doing harm. They only work before `-i`.
pub(crate) fn guards(limits: &Limits) -> Vec<OsString> {
    let decoders = |codecs: &[(&str, &str)]| codecs.iter().map(|(_, names)| *names).collect::<Vec<_>>().join(",");
    let video = format!("{},{COVER_DECODER}", decoders(VIDEO_CODECS));
    let mut args = Vec::new();
    args.words(["-protocol_whitelist", "file,pipe", "-format_whitelist", FORMATS]);
    // By kind, because a list for all would shut out subtitles too, which nobody decodes.
    args.words([
        "-codec_whitelist:v",
        &video,
        "-codec_whitelist:a",
        &decoders(AUDIO_CODECS),
    ]);
    args.words(["-max_pixels:v", &limits.pixels_max.to_string()]);
    args
}

/// The input itself.
pub(crate) fn input(source: &Path) -> [OsString; 2] {
    ["-i".into(), file_url(source)]
}

/// A command line in the making.
pub(crate) trait Args {
    /// Adds words.
    fn words<'a>(&mut self, words: impl IntoIterator<Item = &'a str>);
}

impl Args for Vec<OsString> {
    fn words<'a>(&mut self, words: impl IntoIterator<Item = &'a str>) {
        self.extend(words.into_iter().map(OsString::from));
    }
}
