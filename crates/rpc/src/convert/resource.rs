//! Sources and renditions.

use reelway::v1;
use reelway_domain::{JobId, RenditionInfo, SourceInfo};

use super::{PlaybackUrls, duration_ms, signed};

/// What the probe found.
#[must_use]
pub fn source(info: &SourceInfo) -> v1::SourceInfo {
    v1::SourceInfo {
        container: info.container.clone(),
        duration: Some(duration_ms(info.duration_ms)),
        video_codec: info.video_codec.clone(),
        width_pixels: signed(info.width),
        height_pixels: signed(info.height),
        frame_rate: info.frame_rate,
        frames: info.frames,
        audio_codec: info.audio_codec.clone(),
        audio_channels: signed(info.audio_channels),
    }
}

/// A stream that a player can choose. It has a URL once it has a playlist.
#[must_use]
pub fn rendition(job: JobId, info: &RenditionInfo, urls: &PlaybackUrls) -> v1::Rendition {
    let published = !info.playlist.is_empty();
    v1::Rendition {
        name: info.name.clone(),
        width_pixels: signed(info.width),
        height_pixels: signed(info.height),
        codecs: info.codecs.clone(),
        bitrate_average: info.bitrate_average,
        bitrate_peak: info.bitrate_peak,
        playlist_url: if published {
            urls.playlist(job, &info.playlist)
        } else {
            String::new()
        },
        language: info.language.clone(),
        quality: info.quality.map(|measured| v1::Quality {
            vmaf: measured.vmaf,
            ssim: Some(measured.ssim),
        }),
    }
}
