//! Leave to play a job's results, as a text that stands in the path: so the relative addresses in playlists keep it.
//!
//! The payload is when it ends, in milliseconds since 1970 (8 bytes, network order), and the id of the job.

use reelway_domain::{Failure, JobId, Timestamp};

use crate::{SigningKeys, auth::not_valid, grant::is_over, signing::Purpose};

/// Leave to play this job's results until then.
pub(crate) fn write(keys: &SigningKeys, job: JobId, expires_at: Timestamp) -> String {
    keys.sign(Purpose::Playback, &payload(job, expires_at))
}

/// Whether the text is leave to play this job's results.
///
/// # Errors
/// `CREDENTIALS_INVALID` if it is for another job, over, or not from here.
pub(crate) fn verify(keys: &SigningKeys, job: JobId, text: &str, now: Timestamp) -> Result<(), Failure> {
    let signed = keys.verified(Purpose::Playback, text).ok_or_else(not_valid)?;
    let (expires_at, _) = signed.split_first_chunk::<8>().ok_or_else(not_valid)?;
    let expires_at = Timestamp(i64::from_be_bytes(*expires_at));
    if signed != payload(job, expires_at) || is_over(expires_at, now) {
        return Err(not_valid());
    }
    Ok(())
}

fn payload(job: JobId, expires_at: Timestamp) -> Vec<u8> {
    let end = expires_at.0.to_be_bytes();
    [&end[..], job.to_string().as_bytes()].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn leave_is_for_one_job_and_some_time() {
        let (keys, job, end) = (SigningKeys::random(), JobId::new(), Timestamp(100_000));
        let text = write(&keys, job, end);
        assert!(
            text.bytes()
                .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_'),
            "{text}"
        );
        assert_eq!(verify(&keys, job, &text, end), Ok(()));
        assert!(verify(&keys, JobId::new(), &text, end).is_err());
        assert!(verify(&keys, job, &text, Timestamp(end.0 + 60_000)).is_err());
        for at in 0..text.len() {
            let mut changed = text.clone().into_bytes();
            changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
            let changed = String::from_utf8(changed).unwrap();
            assert!(verify(&keys, job, &changed, end).is_err(), "{at}");
        }
    }
}
