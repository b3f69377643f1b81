//! What a body must be: a digest that came before it or comes after it.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::HeaderMap;
use reelway_domain::{Failure, Reason};
use sha2::Digest as _;

/// How a digest is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Algorithm {
    Sha1,
    Sha256,
    Sha512,
    Md5,
    /// Castagnoli, as four bytes, most significant first.
    Crc32c,
}

/// A digest, and how it is made.
pub(crate) type Digest = (Algorithm, Vec<u8>);

/// What a body must be.
#[derive(Debug, Clone)]
pub(crate) struct Expected {
    /// How its digest is made, and what that is. `None`: a trailer will say.
    pub(crate) digest: Option<Digest>,
    /// Which ones are made until the trailer says it.
    pub(crate) candidates: &'static [Algorithm],
    /// Reads both from the trailers.
    pub(crate) from_trailers: fn(&HeaderMap) -> Result<Option<Digest>, Failure>,
}

/// A digest in the making. Before a trailer has said which one it is, all are made.
pub(super) struct Running(Vec<(Algorithm, Hasher)>);

enum Hasher {
    Sha1(sha1::Sha1),
    Sha256(sha2::Sha256),
    Sha512(sha2::Sha512),
    Md5(md5::Md5),
    Crc32c(u32),
}

impl Algorithm {
    fn hasher(self) -> Hasher {
        match self {
            Self::Sha1 => Hasher::Sha1(sha1::Sha1::new()),
            Self::Sha256 => Hasher::Sha256(sha2::Sha256::new()),
            Self::Sha512 => Hasher::Sha512(sha2::Sha512::new()),
            Self::Md5 => Hasher::Md5(md5::Md5::new()),
            Self::Crc32c => Hasher::Crc32c(0),
        }
    }
}

impl Hasher {
    fn update(&mut self, data: &[u8]) {
        match self {
            Self::Sha1(hasher) => hasher.update(data),
            Self::Sha256(hasher) => hasher.update(data),
            Self::Sha512(hasher) => hasher.update(data),
            Self::Md5(hasher) => hasher.update(data),
            Self::Crc32c(crc) => *crc = crc32c::crc32c_append(*crc, data),
        }
    }

    fn finish(self) -> Vec<u8> {
        match self {
            Self::Sha1(hasher) => hasher.finalize().to_vec(),
            Self::Sha256(hasher) => hasher.finalize().to_vec(),
            Self::Sha512(hasher) => hasher.finalize().to_vec(),
            Self::Md5(hasher) => hasher.finalize().to_vec(),
            Self::Crc32c(crc) => crc.to_be_bytes().to_vec(),
        }
    }
}

impl Expected {
    pub(super) fn begin(&self) -> Running {
        let algorithms = match &self.digest {
            Some((algorithm, _)) => std::slice::from_ref(algorithm),
            None => self.candidates,
        };
        Running(
            algorithms
                .iter()
                .map(|algorithm| (*algorithm, algorithm.hasher()))
                .collect(),
        )
    }

    /// Holds a whole body against what was expected.
    pub(super) fn verify(&self, running: Running, trailers: Option<&HeaderMap>) -> Result<(), Failure> {
        let told = match (&self.digest, trailers) {
            (Some(digest), _) => Some(digest.clone()),
            (None, Some(trailers)) => (self.from_trailers)(trailers)?,
            (None, None) => None,
        };
        let Some((algorithm, expected)) = told else {
            let message = "a checksum was announced as a trailer and did not come; nothing of the body was stored";
            return Err(Failure::new(Reason::ChunkChecksumMismatch, message));
        };
        let actual = running
            .0
            .into_iter()
            .find(|(of, _)| *of == algorithm)
            .map(|(_, hasher)| hasher.finish());
        let actual = actual.unwrap_or_default();
        if actual == expected {
            return Ok(());
        }
        let message = "the body is not what its checksum says and was dropped; send it again";
        Err(Failure::new(Reason::ChunkChecksumMismatch, message)
            .with("expected", STANDARD.encode(&expected))
            .with("actual", STANDARD.encode(&actual)))
    }
}

impl Running {
    pub(super) fn update(&mut self, data: &[u8]) {
        for (_, hasher) in &mut self.0 {
            hasher.update(data);
        }
    }
}
