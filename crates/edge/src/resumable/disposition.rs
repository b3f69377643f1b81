//! The file's name in `Content-Disposition` (RFC 6266, with the encoding of RFC 8187).

use std::borrow::Cow;

use http::{HeaderMap, header};

/// The name that the client gives the file, without directories and control characters (RFC 6266, section 4.3); empty if it
/// gives none.
pub(super) fn file_name(headers: &HeaderMap) -> String {
    let Some(value) = headers.get(header::CONTENT_DISPOSITION) else {
        return String::new();
    };
    let text = text(value.as_bytes());
    let mut plain = None;
    let mut extended = None;
    for (name, value) in Parameters::of(&text) {
        if name.eq_ignore_ascii_case("filename*") {
            extended = extended.or_else(|| decode(&value));
        } else if name.eq_ignore_ascii_case("filename") {
            plain = plain.or(Some(value));
        }
    }
    // The extended one counts (section 4.3).
    clean(&extended.or(plain).unwrap_or_default())
}

/// The parameters after the type.
struct Parameters<'a>(&'a str);

impl<'a> Parameters<'a> {
    fn of(disposition: &'a str) -> Self {
        Self(disposition.split_once(';').map_or("", |(_, rest)| rest))
    }
}

impl<'a> Iterator for Parameters<'a> {
    type Item = (&'a str, String);

    fn next(&mut self) -> Option<Self::Item> {
        let (name, rest) = self.0.split_once('=')?;
        let name = name.trim_matches([' ', '\t', ';']);
        let rest = rest.trim_start();
        let (value, rest) = match rest.strip_prefix('"') {
            Some(quoted) => unquote(quoted),
            None => {
                let (value, rest) = rest.split_once(';').unwrap_or((rest, ""));
                (value.trim_end().to_owned(), rest)
            }
        };
        self.0 = rest;
        Some((name, value))
    }
}

/// A quoted string after its first quote, and what follows on it.
fn unquote(text: &str) -> (String, &str) {
    let mut value = String::new();
    let mut characters = text.char_indices();
    while let Some((at, character)) = characters.next() {
        match character {
            '"' => return (value, &text[at + 1..]),
            '\\' => value.extend(characters.next().map(|(_, escaped)| escaped)),
            other => value.push(other),
        }
    }
    (value, "")
}

/// `UTF-8''a%20b`; `None` if it is not like that.
fn decode(value: &str) -> Option<String> {
    let (charset, rest) = value.split_once('\'')?;
    let (_language, encoded) = rest.split_once('\'')?;
    let bytes = percent_decode(encoded)?;
    match charset {
        _ if charset.eq_ignore_ascii_case("utf-8") => String::from_utf8(bytes).ok(),
        _ if charset.eq_ignore_ascii_case("iso-8859-1") => Some(latin1(&bytes)),
        _ => None,
    }
}

fn percent_decode(encoded: &str) -> Option<Vec<u8>> {
    let mut bytes = encoded.bytes();
    let mut decoded = Vec::with_capacity(encoded.len());
    while let Some(byte) = bytes.next() {
        decoded.push(match byte {
            b'%' => {
                let mut digit = || {
                    char::from(bytes.next()?)
                        .to_digit(16)
                        .and_then(|digit| u8::try_from(digit).ok())
                };
                digit()? << 4 | digit()?
            }
            other => other,
        });
    }
    Some(decoded)
}

/// What clients write there: UTF-8 mostly, Latin-1 by the letter.
fn text(value: &[u8]) -> Cow<'_, str> {
    std::str::from_utf8(value).map_or_else(|_| Cow::Owned(latin1(value)), Cow::Borrowed)
}

fn latin1(bytes: &[u8]) -> String {
    bytes.iter().copied().map(char::from).collect()
}

/// The last part of a path, without what could steer a terminal or a header.
fn clean(name: &str) -> String {
    let last = name.rsplit(['/', '\\']).next().unwrap_or_default();
    let name: String = last.chars().filter(|character| !character.is_control()).collect();
    if matches!(name.as_str(), "." | "..") {
        String::new()
    } else {
        name
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn name(value: &[u8]) -> String {
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_DISPOSITION, HeaderValue::from_bytes(value).unwrap());
        file_name(&headers)
    }

    #[test]
    fn names_come_in_many_ways() {
        let both = "inline; filename=\"file name.jpg\"; filename*=UTF-8''file%20n%C3%A4me.jpg";
        assert_eq!(name(both.as_bytes()), "file näme.jpg", "the extended one counts");
        for (value, expected) in [
            ("attachment; filename=a.mp4", "a.mp4"),
            ("attachment;FILENAME = \"a;b=\\\"c\\\\.mp4\" ; x=y", ".mp4"),
            ("inline; filename=\"a;b\\\"c.mp4\"; x=y", "a;b\"c.mp4"),
            ("inline; x=\"filename=no\"; filename=yes", "yes"),
            ("inline; filename*=iso-8859-1'en'%A3.mp4", "£.mp4"),
            ("inline; filename*=UTF-8''%ff; filename=plain", "plain"),
            ("inline; filename*=koi8-r''%ff; filename=plain", "plain"),
            ("inline; filename*=UTF-8''%4; filename=plain", "plain"),
            ("inline; filename=\"unfinished", "unfinished"),
            ("inline", ""),
            ("filename=a", ""),
            ("", ""),
        ] {
            assert_eq!(name(value.as_bytes()), expected, "{value}");
        }
        assert_eq!(
            name("inline; filename=\"ü.mp4\"".as_bytes()),
            "ü.mp4",
            "as curl writes it"
        );
        assert_eq!(name(b"inline; filename=\"\xfc.mp4\""), "ü.mp4", "Latin-1");
    }

    #[test]
    fn names_are_no_paths_and_no_headers() {
        for (value, expected) in [
            ("inline; filename=\"../../etc/passwd\"", "passwd"),
            ("inline; filename*=UTF-8''C%3A%5Ca.mp4", "a.mp4"),
            ("inline; filename*=UTF-8''a%0D%0ASet-Cookie%3A%20b", "aSet-Cookie: b"),
            ("inline; filename*=UTF-8''a%00b%1B%5B2J", "ab[2J"),
            ("inline; filename=\"..\"", ""),
            ("inline; filename=\"a/\"", ""),
        ] {
            assert_eq!(name(value.as_bytes()), expected, "{value}");
        }
    }
}
