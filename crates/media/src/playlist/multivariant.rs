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

/// What is seen.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Picture {
    /// The width in pixels.
    pub width: u32,
    /// The height in pixels.
    pub height: u32,
    /// Frames a second; written with three decimals.
    pub frame_rate: f64,
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
    /// The codec strings of RFC 6381 with that of the audio group, comma separated.
    pub codecs: String,
    /// What is seen; `None` for audio alone.
    pub picture: Option<Picture>,
    /// For fast search.
    pub iframes: Option<IFrames>,
}

/// The audio that goes with every variant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AudioGroup {
    /// Where the media playlist is, relative to this one.
    pub uri: String,
    /// How many channels.
    pub channels: u32,
}

/// A multivariant playlist. Its `Display` is the file's text.
#[derive(Debug, Clone, PartialEq)]
pub struct MultivariantPlaylist {
    /// The audio of all variants, if it is separate.
    pub audio: Option<AudioGroup>,
    /// The variants; a player starts with the first.
    pub variants: Vec<Variant>,
}

/// The lowest version that knows everything in here is 4; the media playlists that it names are written as 7.
const VERSION: u32 = 7;
const AUDIO_GROUP: &str = "audio";

impl fmt::Display for MultivariantPlaylist {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "#EXTM3U\n#EXT-X-VERSION:{VERSION}\n#EXT-X-INDEPENDENT-SEGMENTS")?;
        if let Some(AudioGroup { uri, channels }) = &self.audio {
            write!(
                f,
                "#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID=\"{AUDIO_GROUP}\",NAME=\"Main\",DEFAULT=YES,AUTOSELECT=YES"
            )?;
            writeln!(f, ",CHANNELS=\"{channels}\",URI=\"{uri}\"")?;
        }
        for variant in &self.variants {
            self.variant(f, variant)?;
        }
        for variant in &self.variants {
            if let (Some(iframes), Some(picture)) = (&variant.iframes, variant.picture) {
                f.write_str("#EXT-X-I-FRAME-STREAM-INF:")?;
                rates_and_codecs(f, iframes.bandwidth, &iframes.codecs)?;
                resolution(f, picture)?;
                writeln!(f, ",VIDEO-RANGE=SDR,URI=\"{}\"", iframes.uri)?;
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
            write!(f, ",FRAME-RATE={:.3},VIDEO-RANGE=SDR", picture.frame_rate)?;
        }
        if self.audio.is_some() {
            write!(f, ",AUDIO=\"{AUDIO_GROUP}\"")?;
        }
        writeln!(f, "\n{}", variant.uri)
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

    #[test]
    fn text_with_and_without_separate_audio() {
        let video = Variant {
            uri: "720p.m3u8".into(),
            bandwidth: Bandwidth {
                peak: 2_900_001,
                average: 2_100_002,
            },
            codecs: "avc1.64001f,mp4a.40.2".into(),
            picture: Some(Picture {
                width: 1280,
                height: 720,
                frame_rate: 30_000.0 / 1001.0,
            }),
            iframes: Some(IFrames {
                uri: "720p-iframes.m3u8".into(),
                codecs: "avc1.64001f".into(),
                bandwidth: Bandwidth {
                    peak: 200_000,
                    average: 100_000,
                },
            }),
        };
        let audio = Some(AudioGroup {
            uri: "audio.m3u8".into(),
            channels: 2,
        });
        let expected = "\
#EXTM3U
#EXT-X-VERSION:7
#EXT-X-INDEPENDENT-SEGMENTS
#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID=\"audio\",NAME=\"Main\",DEFAULT=YES,AUTOSELECT=YES,CHANNELS=\"2\",URI=\"audio.m3u8\"
#EXT-X-STREAM-INF:BANDWIDTH=2900001,AVERAGE-BANDWIDTH=2100002,CODECS=\"avc1.64001f,mp4a.40.2\",RESOLUTION=1280x720,FRAME-RATE=29.970,VIDEO-RANGE=SDR,AUDIO=\"audio\"
720p.m3u8
#EXT-X-I-FRAME-STREAM-INF:BANDWIDTH=200000,AVERAGE-BANDWIDTH=100000,CODECS=\"avc1.64001f\",RESOLUTION=1280x720,VIDEO-RANGE=SDR,URI=\"720p-iframes.m3u8\"
";
        assert_eq!(
            MultivariantPlaylist {
                audio,
                variants: vec![video]
            }
            .to_string(),
            expected
        );

        let alone = Variant {
            uri: "audio.m3u8".into(),
            bandwidth: Bandwidth {
                peak: 130_000,
                average: 128_000,
            },
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
        assert_eq!(
            MultivariantPlaylist {
                audio: None,
                variants: vec![alone]
            }
            .to_string(),
            expected
        );
    }
}
