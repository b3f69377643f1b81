//! The multivariant playlist: what a player can choose between.

use std::fmt;

/// Bit rates that were measured, in bits a second (RFC 8216, 4.3.4.2).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Bandwidth {
    /// The largest of any stretch about one target duration long.
    pub peak: u64,
    /// The average of the whole.
    pub average: u64,
}

impl std::ops::Add for Bandwidth {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            peak: self.peak + other.peak,
            average: self.average + other.average,
        }
    }
}

/// How bright and how dark a picture can be (draft-pantos-hls-rfc8216bis, 4.4.6.2).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum VideoRange {
    /// What every screen shows.
    #[default]
    Sdr,
    /// High range by the perceptual quantizer (SMPTE ST 2084), as HDR10 has it.
    Pq,
    /// High range by hybrid log-gamma (ARIB STD-B67).
    Hlg,
}

/// What is seen.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Picture {
    /// The width in pixels.
    pub width: u32,
    /// The height in pixels.
    pub height: u32,
    /// Frames a second; written with three decimals.
    pub frame_rate: f64,
    /// Its range.
    pub range: VideoRange,
}

/// The I-frame playlist of a variant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IFrames {
    /// Where the I-frame playlist is, relative to this one.
    pub uri: String,
    /// The codec string of the video alone.
    pub codecs: String,
    /// The bit rates of the keyframes alone.
    pub bandwidth: Bandwidth,
}

/// One choice.
#[derive(Debug, Clone, PartialEq)]
pub struct Variant {
    /// Where the media playlist is, relative to this one.
    pub uri: String,
    /// The bit rates, with those of the audio group.
    pub bandwidth: Bandwidth,
    /// The codec strings of RFC 6381 with those of the audio group, comma separated.
    pub codecs: String,
    /// What is seen; `None` for audio alone.
    pub picture: Option<Picture>,
    /// For fast search.
    pub iframes: Option<IFrames>,
}

/// What an alternative is an alternative for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Group {
    /// Sound, in so many channels.
    Audio {
        /// How many channels.
        channels: u32,
    },
    /// Text over the picture.
    Subtitles {
        /// Shown also to those who did not ask for subtitles.
        forced: bool,
    },
}

/// A rendition that goes with every variant, and that a player chooses by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Alternative {
    /// What it is an alternative for.
    pub group: Group,
    /// What a player shows; no two of a group have the same. Without quotes.
    pub name: String,
    /// The language as BCP 47 names it.
    pub language: String,
    /// It is played unless somebody chooses.
    pub is_default: bool,
    /// A player may choose it by the language.
    pub auto_select: bool,
    /// Where the media playlist is, relative to this one.
    pub uri: String,
}

/// A multivariant playlist. Its `Display` is the file's text.
#[derive(Debug, Clone, PartialEq)]
pub struct MultivariantPlaylist {
    /// The audio of all variants, if it is separate.
    pub audio: Vec<Alternative>,
    /// The subtitles of all variants.
    pub subtitles: Vec<Alternative>,
    /// The variants; a player starts with the first.
    pub variants: Vec<Variant>,
}

/// The lowest version that knows everything in here is 4; the media playlists that it names are written as 7.
const VERSION: u32 = 7;
const AUDIO_GROUP: &str = "audio";
const SUBTITLE_GROUP: &str = "subtitles";

impl fmt::Display for MultivariantPlaylist {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "#EXTM3U\n#EXT-X-VERSION:{VERSION}\n#EXT-X-INDEPENDENT-SEGMENTS")?;
        for alternative in self.audio.iter().chain(&self.subtitles) {
            writeln!(f, "{alternative}")?;
        }
        for variant in &self.variants {
            self.variant(f, variant)?;
        }
        for variant in &self.variants {
            if let (Some(iframes), Some(picture)) = (&variant.iframes, variant.picture) {
                f.write_str("#EXT-X-I-FRAME-STREAM-INF:")?;
                rates_and_codecs(f, iframes.bandwidth, &iframes.codecs)?;
                resolution(f, picture)?;
                writeln!(f, ",VIDEO-RANGE={},URI=\"{}\"", picture.range, iframes.uri)?;
            }
        }
        Ok(())
    }
}

impl MultivariantPlaylist {
    fn variant(&self, f: &mut fmt::Formatter<'_>, variant: &Variant) -> fmt::Result {
        f.write_str("#EXT-X-STREAM-INF:")?;
        rates_and_codecs(f, variant.bandwidth, &variant.codecs)?;
        if let Some(picture) = variant.picture {
            resolution(f, picture)?;
            write!(f, ",FRAME-RATE={:.3},VIDEO-RANGE={}", picture.frame_rate, picture.range)?;
        }
        if !self.audio.is_empty() {
            write!(f, ",AUDIO=\"{AUDIO_GROUP}\"")?;
        }
        if !self.subtitles.is_empty() {
            write!(f, ",SUBTITLES=\"{SUBTITLE_GROUP}\"")?;
        }
        writeln!(f, "\n{}", variant.uri)
    }
}

impl fmt::Display for Alternative {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let yes = |is: bool| if is { "YES" } else { "NO" };
        let (kind, group) = match self.group {
            Group::Audio { .. } => ("AUDIO", AUDIO_GROUP),
            Group::Subtitles { .. } => ("SUBTITLES", SUBTITLE_GROUP),
        };
        let (name, language) = (&self.name, &self.language);
        write!(
            f,
            "#EXT-X-MEDIA:TYPE={kind},GROUP-ID=\"{group}\",NAME=\"{name}\",LANGUAGE=\"{language}\",DEFAULT={},AUTOSELECT={}",
            yes(self.is_default),
            yes(self.auto_select)
        )?;
        match self.group {
            Group::Audio { channels } => write!(f, ",CHANNELS=\"{channels}\"")?,
            Group::Subtitles { forced } => write!(f, ",FORCED={}", yes(forced))?,
        }
        write!(f, ",URI=\"{}\"", self.uri)
    }
}

impl fmt::Display for VideoRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Sdr => "SDR",
            Self::Pq => "PQ",
            Self::Hlg => "HLG",
        })
    }
}

fn rates_and_codecs(f: &mut fmt::Formatter<'_>, bandwidth: Bandwidth, codecs: &str) -> fmt::Result {
    let Bandwidth { peak, average } = bandwidth;
    write!(f, "BANDWIDTH={peak},AVERAGE-BANDWIDTH={average},CODECS=\"{codecs}\"")
}

fn resolution(f: &mut fmt::Formatter<'_>, picture: Picture) -> fmt::Result {
    write!(f, ",RESOLUTION={}x{}", picture.width, picture.height)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bandwidth(peak: u64, average: u64) -> Bandwidth {
        Bandwidth { peak, average }
    }

    fn alternative(group: Group, name: &str, language: &str, is_default: bool, uri: &str) -> Alternative {
        Alternative {
            group,
            name: name.into(),
            language: language.into(),
            is_default,
            auto_select: true,
            uri: uri.into(),
        }
    }

    #[test]
    fn text_with_separate_audio_and_subtitles() {
        let video = Variant {
            uri: "720p.m3u8".into(),
            bandwidth: bandwidth(2_900_001, 2_100_002),
            codecs: "avc1.64001f,mp4a.40.2".into(),
            picture: Some(Picture {
                width: 1280,
                height: 720,
                frame_rate: 30_000.0 / 1001.0,
                range: VideoRange::Hlg,
            }),
            iframes: Some(IFrames {
                uri: "720p-iframes.m3u8".into(),
                codecs: "avc1.64001f".into(),
                bandwidth: bandwidth(200_000, 100_000),
            }),
        };
        let playlist = MultivariantPlaylist {
            audio: vec![
                alternative(Group::Audio { channels: 2 }, "en", "en", true, "audio.m3u8"),
                alternative(Group::Audio { channels: 1 }, "de", "de", false, "audio-2.m3u8"),
            ],
            subtitles: vec![alternative(
                Group::Subtitles { forced: true },
                "fr",
                "fr",
                false,
                "subtitles.m3u8",
            )],
            variants: vec![video],
        };
        let expected = "\
#EXTM3U
#EXT-X-VERSION:7
#EXT-X-INDEPENDENT-SEGMENTS
#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID=\"audio\",NAME=\"en\",LANGUAGE=\"en\",DEFAULT=YES,AUTOSELECT=YES,CHANNELS=\"2\",URI=\"audio.m3u8\"
#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID=\"audio\",NAME=\"de\",LANGUAGE=\"de\",DEFAULT=NO,AUTOSELECT=YES,CHANNELS=\"1\",URI=\"audio-2.m3u8\"
#EXT-X-MEDIA:TYPE=SUBTITLES,GROUP-ID=\"subtitles\",NAME=\"fr\",LANGUAGE=\"fr\",DEFAULT=NO,AUTOSELECT=YES,FORCED=YES,URI=\"subtitles.m3u8\"
#EXT-X-STREAM-INF:BANDWIDTH=2900001,AVERAGE-BANDWIDTH=2100002,CODECS=\"avc1.64001f,mp4a.40.2\",RESOLUTION=1280x720,FRAME-RATE=29.970,VIDEO-RANGE=HLG,AUDIO=\"audio\",SUBTITLES=\"subtitles\"
720p.m3u8
#EXT-X-I-FRAME-STREAM-INF:BANDWIDTH=200000,AVERAGE-BANDWIDTH=100000,CODECS=\"avc1.64001f\",RESOLUTION=1280x720,VIDEO-RANGE=HLG,URI=\"720p-iframes.m3u8\"
";
        assert_eq!(playlist.to_string(), expected);
    }

    #[test]
    fn text_of_audio_alone() {
        let alone = Variant {
            uri: "audio.m3u8".into(),
            bandwidth: bandwidth(130_000, 128_000),
            codecs: "mp4a.40.2".into(),
            picture: None,
            iframes: None,
        };
        let expected = "\
#EXTM3U
#EXT-X-VERSION:7
#EXT-X-INDEPENDENT-SEGMENTS
#EXT-X-STREAM-INF:BANDWIDTH=130000,AVERAGE-BANDWIDTH=128000,CODECS=\"mp4a.40.2\"
audio.m3u8
";
        let playlist = MultivariantPlaylist {
            audio: Vec::new(),
            subtitles: Vec::new(),
            variants: vec![alone],
        };
        assert_eq!(playlist.to_string(), expected);
    }
}
