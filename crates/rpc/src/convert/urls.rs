//! Where players find what was made.

use std::{fmt, sync::Arc};

use reelway_domain::JobId;

/// Makes playback URLs below the address under which players reach this installation.
#[derive(Clone)]
pub struct PlaybackUrls {
    base: String,
    sign: Option<Arc<Sign>>,
}

/// Makes the token that opens a job's playback from now on until it ends.
type Sign = dyn Fn(JobId) -> String + Send + Sync;

impl PlaybackUrls {
    /// URLs below `base`, such as `http://127.0.0.1:8080`. A slash at its end changes nothing.
    #[must_use]
    pub fn new(base: &str) -> Self {
        Self {
            base: base.trim_end_matches('/').to_owned(),
            sign: None,
        }
    }

    /// The same URLs with a token in each, as a prefix of the path: what playlists name relative to themselves carries it too.
    #[must_use]
    pub fn signed(mut self, sign: impl Fn(JobId) -> String + Send + Sync + 'static) -> Self {
        self.sign = Some(Arc::new(sign));
        self
    }

    /// What they begin with, without a slash at its end.
    #[must_use]
    pub fn base(&self) -> &str {
        &self.base
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

    /// The file for download.
    #[must_use]
    pub fn download(&self, job: JobId) -> String {
        self.playlist(job, "download.mp4")
    }

    /// The media playlist of this name, as in [`reelway_domain::RenditionInfo::playlist`].
    #[must_use]
    pub fn playlist(&self, job: JobId, name: &str) -> String {
        match &self.sign {
            None => format!("{}/play/{job}/{name}", self.base),
            Some(sign) => format!("{}/play/~{}/{job}/{name}", self.base, sign(job)),
        }
    }
}

impl fmt::Debug for PlaybackUrls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PlaybackUrls")
            .field("base", &self.base)
            .field("is_signed", &self.sign.is_some())
            .finish()
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

    #[test]
    fn a_token_is_a_prefix_of_the_path() {
        let job = JobId::new();
        let urls = PlaybackUrls::new("http://h").signed(|job| format!("for-{job}"));
        assert_eq!(urls.poster(job), format!("http://h/play/~for-{job}/{job}/poster.jpg"));
    }
}
