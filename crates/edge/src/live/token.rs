//! Resume tokens as text.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use bytes::Bytes;
use reelway_domain::{Failure, Reason};

/// A token as an id of an event: letters that need no escape in a header or a query.
pub(super) fn write(token: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(token)
}

/// The token of a text, as [`write()`] or proto3 JSON writes it; empty without a text.
///
/// # Errors
/// `RESUME_TOKEN_INVALID` for a text that is neither.
pub(super) fn read(text: Option<&str>) -> Result<Bytes, Failure> {
    // In a query an unescaped plus sign arrives as a space.
    let plain = text
        .unwrap_or_default()
        .trim_end_matches('=')
        .replace(['+', ' '], "-")
        .replace('/', "_");
    let token = URL_SAFE_NO_PAD.decode(plain).map_err(|_| {
        let message = "the resume token is not one that this server gave; watch again without one";
        Failure::new(Reason::ResumeTokenInvalid, message)
    })?;
    Ok(token.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_read_as_both_alphabets_write_it() {
        let token = [0xfb, 0xff, 0xfe, 0x00];
        assert_eq!(write(&token), "-__-AA");
        for text in ["-__-AA", "+//+AA==", " // AA", "-__-AA=="] {
            assert_eq!(read(Some(text)).unwrap(), token[..], "{text}");
        }
        assert_eq!((read(None), read(Some(""))), (Ok(Bytes::new()), Ok(Bytes::new())));
        for garbage in ["a", "!!!!", "a\r\nb"] {
            assert_eq!(read(Some(garbage)).unwrap_err().reason, Reason::ResumeTokenInvalid);
        }
    }
}
