//! Resume tokens: where a watch was, good only for the same target.

use bytes::{BufMut as _, Bytes, BytesMut};
use reelway_domain::{EventSeq, Failure, Reason, Tenant};

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

/// The token of a tenant's position.
///
/// The checksum guards against mistakes, not against forgery: a made-up token can only ask for what its caller may see.
pub(crate) fn encode(tenant: &Tenant, target: Target, position: Position) -> Bytes {
    let (seq, percent) = (position.seq.0.to_be_bytes(), position.percent.to_be_bytes());
    let mut token = BytesMut::with_capacity(TOKEN_BYTES);
    token.put_u8(VERSION);
    token.put_u32(checksum(tenant, target, seq, percent));
    token.put_slice(&seq);
    token.put_slice(&percent);
    token.freeze()
}

/// The position of a token; `None` if it is empty.
///
/// # Errors
/// `RESUME_TOKEN_INVALID` if [`encode`] didn't make this token for the same target.
pub(crate) fn decode(tenant: &Tenant, target: Target, token: &[u8]) -> Result<Option<Position>, Failure> {
    if token.is_empty() {
        return Ok(None);
    }
    read(tenant, target, token).map(Some).ok_or_else(invalid)
}

/// The refusal of a token.
pub(crate) fn invalid() -> Failure {
    let message = "resume_token is not one that a watch of this target gave; watch again without one";
    Failure::new(Reason::ResumeTokenInvalid, message)
}

fn read(tenant: &Tenant, target: Target, token: &[u8]) -> Option<Position> {
    let (version, rest) = token.split_first()?;
    let (sum, rest) = rest.split_first_chunk::<4>()?;
    let (seq, rest) = rest.split_first_chunk::<8>()?;
    let percent: [u8; 8] = rest.try_into().ok()?;
    let position = Position {
        seq: EventSeq(i64::from_be_bytes(*seq)),
        percent: f64::from_be_bytes(percent),
    };
    let valid = *version == VERSION
        && *sum == checksum(tenant, target, *seq, percent).to_be_bytes()
        && position.seq.0 >= 0
        && (0.0..=100.0).contains(&position.percent);
    valid.then_some(position)
}

/// Binds a token to its target, and that of everything to whose everything it is. That of one thing isn't bound to a tenant:
/// with it, too, what is another's must look like what isn't there.
fn checksum(tenant: &Tenant, target: Target, seq: [u8; 8], percent: [u8; 8]) -> u32 {
    let owner = match target {
        Target::Everything => tenant.as_str(),
        Target::One(_) => "",
    };
    let name = target.to_string();
    let parts = [name.as_bytes(), owner.as_bytes(), &seq, &percent];
    parts.into_iter().fold(0, crc32c::crc32c_append)
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
        let of = Tenant::single();
        assert_eq!(decode(&of, target, &encode(&of, target, position)), Ok(Some(position)));
        assert_eq!(decode(&of, target, b""), Ok(None));
    }

    #[test]
    fn a_token_of_everything_is_its_tenants() {
        let (ours, theirs) = (Tenant::single(), Tenant::stored("other".into()));
        let position = Position {
            seq: EventSeq(7),
            percent: 0.0,
        };
        let token = encode(&ours, Target::Everything, position);
        assert_eq!(decode(&ours, Target::Everything, &token), Ok(Some(position)));
        assert_eq!(decode(&theirs, Target::Everything, &token).unwrap_err(), invalid());
        let one = Target::One(Single::Job(JobId::new()));
        let token = encode(&ours, one, position);
        assert_eq!(
            decode(&theirs, one, &token),
            Ok(Some(position)),
            "whether it is theirs is seen later"
        );
    }

    #[test]
    fn other_tokens_are_refused() {
        let target = Target::One(Single::Upload(UploadId::new()));
        let position = |percent| Position {
            seq: EventSeq(7),
            percent,
        };
        let of = Tenant::single();
        let token = encode(&of, target, position(1.0));
        for other in [
            Target::One(Single::Upload(UploadId::new())),
            Target::One(Single::Job(JobId::new())),
            Target::Everything,
        ] {
            assert_eq!(
                decode(&of, other, &token).unwrap_err().reason,
                Reason::ResumeTokenInvalid
            );
        }
        let mut altered = token.to_vec();
        altered[9] ^= 1;
        let longer = [&token[..], b"x"].concat();
        let never = encode(&of, target, position(f64::NAN));
        for garbage in [&altered[..], &longer, &token[1..], b"x", &never] {
            assert!(decode(&of, target, garbage).is_err(), "{garbage:?}");
        }
    }
}
