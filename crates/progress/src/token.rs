//! Resume tokens: where a watch was, good only for the same target.

use bytes::{BufMut as _, Bytes, BytesMut};
use reelway_domain::{EventSeq, Failure, Reason};

use crate::target::Target;

/// The first byte of every token. A token of another form is refused instead of misread.
const VERSION: u8 = 1;
/// Version, checksum, event number, percent.
const TOKEN_BYTES: usize = 1 + 4 + 8 + 8;

/// Where a watch was.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Position {
    /// The last event that was told: of the job, or of the tenant for a watch of everything.
    pub(crate) seq: EventSeq,
    /// The percentage that was told last, so that it doesn't go back on another connection.
    pub(crate) percent: f64,
}

/// The token of a position.
///
/// The checksum guards against mistakes, not against forgery: a made-up token can only ask for what its caller may see.
pub(crate) fn encode(target: Target, position: Position) -> Bytes {
    let (seq, percent) = (position.seq.0.to_be_bytes(), position.percent.to_be_bytes());
    let mut token = BytesMut::with_capacity(TOKEN_BYTES);
    token.put_u8(VERSION);
    token.put_u32(checksum(target, seq, percent));
    token.put_slice(&seq);
    token.put_slice(&percent);
    token.freeze()
}

/// The position of a token; `None` if it is empty.
///
/// # Errors
/// `RESUME_TOKEN_INVALID` if [`encode`] didn't make this token for the same target.
pub(crate) fn decode(target: Target, token: &[u8]) -> Result<Option<Position>, Failure> {
    if token.is_empty() {
        return Ok(None);
    }
    read(target, token).map(Some).ok_or_else(invalid)
}

/// The refusal of a token.
pub(crate) fn invalid() -> Failure {
    let message = "resume_token is not one that a watch of this target gave; watch again without one";
    Failure::new(Reason::ResumeTokenInvalid, message)
}

fn read(target: Target, token: &[u8]) -> Option<Position> {
    let (version, rest) = token.split_first()?;
    let (sum, rest) = rest.split_first_chunk::<4>()?;
    let (seq, rest) = rest.split_first_chunk::<8>()?;
    let percent: [u8; 8] = rest.try_into().ok()?;
    let position = Position {
        seq: EventSeq(i64::from_be_bytes(*seq)),
        percent: f64::from_be_bytes(percent),
    };
    let valid = *version == VERSION
        && *sum == checksum(target, *seq, percent).to_be_bytes()
        && position.seq.0 >= 0
        && (0.0..=100.0).contains(&position.percent);
    valid.then_some(position)
}

fn checksum(target: Target, seq: [u8; 8], percent: [u8; 8]) -> u32 {
    let sum = crc32c::crc32c(target.to_string().as_bytes());
    crc32c::crc32c_append(crc32c::crc32c_append(sum, &seq), &percent)
}

#[cfg(test)]
mod tests {
    use reelway_domain::{JobId, UploadId};

    use super::*;
    use crate::target::Single;

    #[test]
    fn tokens_round_trip() {
        let target = Target::One(Single::Job(JobId::new()));
        let position = Position {
            seq: EventSeq(i64::MAX),
            percent: 99.9,
        };
        assert_eq!(decode(target, &encode(target, position)), Ok(Some(position)));
        assert_eq!(decode(target, b""), Ok(None));
    }

    #[test]
    fn other_tokens_are_refused() {
        let target = Target::One(Single::Upload(UploadId::new()));
        let position = |percent| Position {
            seq: EventSeq(7),
            percent,
        };
        let token = encode(target, position(1.0));
        for other in [
            Target::One(Single::Upload(UploadId::new())),
            Target::One(Single::Job(JobId::new())),
            Target::Everything,
        ] {
            assert_eq!(decode(other, &token).unwrap_err().reason, Reason::ResumeTokenInvalid);
        }
        let mut altered = token.to_vec();
        altered[9] ^= 1;
        let longer = [&token[..], b"x"].concat();
        let never = encode(target, position(f64::NAN));
        for garbage in [&altered[..], &longer, &token[1..], b"x", &never] {
            assert!(decode(target, garbage).is_err(), "{garbage:?}");
        }
    }
}
