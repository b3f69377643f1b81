//! Where players find what was made.

use reelway_domain::JobId;

/// Makes playback URLs below the address under which players reach this installation.
#[derive(Debug, Clone)]
pub struct PlaybackUrls {
    base: String,
}

impl PlaybackUrls {
    /// URLs below `base`, such as `http://127.0.0.1:8080`. A slash at its end changes nothing.
    #[must_use]
    pub fn new(base: &str) -> Self {
        Self {
            base: base.trim_end_matches('/').to_owned(),
        }
    }

    /// The multivariant HLS playlist.
    #[must_use]
    pub fn master(&self, job: JobId) -> String {
        self.playlist(job, "master.m3u8")
    }

    /// The picture.
    #[must_use]
    pub fn poster(&self, job: JobId) -> String {
        self.playlist(job, "poster.jpg")
    }

    /// The media playlist of this name, as in [`reelway_domain::RenditionInfo::playlist`].
    #[must_use]
    pub fn playlist(&self, job: JobId, name: &str) -> String {
        format!("{}/play/{job}/{name}", self.base)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slash_more_or_less() {
        let job = JobId::new();
        for base in ["http://h:1", "http://h:1/"] {
            assert_eq!(
                PlaybackUrls::new(base).master(job),
                format!("http://h:1/play/{job}/master.m3u8")
            );
        }
    }
}
