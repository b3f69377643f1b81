//! Upload-Metadata: what the client says of the file.

use std::collections::{BTreeMap, HashMap};

use base64::{
    Engine as _, alphabet,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use http::{HeaderMap, HeaderValue};
use reelway_domain::{Failure, limits};

use super::fields::{UPLOAD_METADATA, wrong};

/// With or without the padding, which some clients leave out.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// What the client says of the file. None of it is trusted: it is text, and it is not put into any header but the one that it came
/// from.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Metadata {
    /// The header as it came; empty for none.
    pub(super) raw: String,
    values: BTreeMap<String, Vec<u8>>,
}

impl Metadata {
    /// Reads the header. Several lines are one list (RFC 9110, section 5.3).
    ///
    /// # Errors
    /// `FIELD_INVALID` if it is no list of keys with values in base64, or a key stands twice.
    pub(super) fn of(headers: &HeaderMap) -> Result<Self, Failure> {
        let lines = headers.get_all(UPLOAD_METADATA).iter().map(HeaderValue::to_str);
        let lines: Result<Vec<&str>, _> = lines.collect();
        let raw = lines
            .map_err(|_| wrong(&UPLOAD_METADATA, "must be visible ASCII"))?
            .join(",");
        let mut values = BTreeMap::new();
        // tuspy sends an empty header if there is nothing to say.
        for pair in raw.split(',').map(str::trim).filter(|_| !raw.trim().is_empty()) {
            let (key, encoded) = pair.split_once(' ').unwrap_or((pair, ""));
            if key.is_empty() {
                return Err(wrong(&UPLOAD_METADATA, "a key is empty"));
            }
            let value = BASE64.decode(encoded.trim());
            let value = value.map_err(|_| wrong(&UPLOAD_METADATA, format!("the value of {key:?} must be base64")))?;
            if values.insert(key.to_owned(), value).is_some() {
                return Err(wrong(&UPLOAD_METADATA, format!("the key {key:?} stands twice")));
            }
        }
        Ok(Self { raw, values })
    }

    /// The name of the file, if there is one that can be shown.
    pub(super) fn file_name(&self) -> String {
        self.first_of(&["filename", "name"], limits::FILE_NAME_BYTES_MAX)
    }

    /// Its media type.
    pub(super) fn content_type(&self) -> String {
        self.first_of(&["filetype", "type"], limits::CONTENT_TYPE_BYTES_MAX)
    }

    /// What to make of it.
    pub(super) fn preset(&self) -> String {
        self.first_of(&["preset"], usize::MAX)
    }

    /// Everything else that is text, as far as it fits.
    pub(super) fn others(&self) -> HashMap<String, String> {
        let used = [("filename", "name"), ("filetype", "type")].map(|(name, other)| {
            let is_there = self.shown(name, usize::MAX).is_some();
            if is_there { name } else { other }
        });
        let others = self
            .values
            .keys()
            .filter(|key| *key != "preset" && !used.contains(&key.as_str()));
        let mut left = limits::METADATA_BYTES_MAX;
        let mut taken = HashMap::new();
        for (key, value) in others.filter_map(|key| Some((key, std::str::from_utf8(self.values.get(key)?).ok()?))) {
            let length = key.len() + value.len();
            if length <= left && taken.len() < limits::METADATA_ENTRIES_MAX {
                left -= length;
                taken.insert(key.clone(), value.to_owned());
            }
        }
        taken
    }

    fn first_of(&self, keys: &[&str], bytes_max: usize) -> String {
        let mut shown = keys.iter().filter_map(|key| self.shown(key, bytes_max));
        shown.next().unwrap_or_default().to_owned()
    }

    /// A value that is a line of text.
    fn shown(&self, key: &str, bytes_max: usize) -> Option<&str> {
        let text = std::str::from_utf8(self.values.get(key)?).ok()?;
        let is_line = !text.is_empty() && text.len() <= bytes_max && !text.contains(char::is_control);
        is_line.then_some(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(value: &str) -> Result<Metadata, Failure> {
        Metadata::of(&HeaderMap::from_iter([(
            UPLOAD_METADATA,
            HeaderValue::try_from(value).unwrap(),
        )]))
    }

    fn encoded(pairs: &[(&str, &[u8])]) -> Metadata {
        let pairs: Vec<_> = pairs
            .iter()
            .map(|(key, value)| format!("{key} {}", BASE64.encode(value)))
            .collect();
        read(&pairs.join(",")).unwrap()
    }

    #[test]
    fn cr5_keys_with_values_in_base64() {
        let metadata = read("filename d29ybGQ=,empty,also_empty , unpadded YQ").unwrap();
        assert_eq!(metadata.file_name(), "world");
        let others = [("empty", ""), ("also_empty", ""), ("unpadded", "a")];
        assert_eq!(
            metadata.others(),
            others.map(|(k, v)| (k.to_owned(), v.to_owned())).into()
        );
        assert_eq!(read("").unwrap(), Metadata::default());
        for wrong in [
            "a YQ==,a Yg==",
            "a ***",
            "a YQ==,",
            ",",
            "a YQ==,,b",
            "a YQ== YQ==",
            "a\u{e9} YQ==",
        ] {
            let failure = read(wrong).unwrap_err();
            assert_eq!(failure.violations[0].field, "upload-metadata", "{wrong}");
        }
    }

    #[test]
    fn cr6_several_lines_are_one_list() {
        let lines = ["b YQ==", "a YQ=="].map(|line| (UPLOAD_METADATA, HeaderValue::from_static(line)));
        let mut headers = HeaderMap::new();
        headers.extend(lines.clone());
        for (name, line) in lines {
            headers.append(name, line);
        }
        let failure = Metadata::of(&headers).unwrap_err();
        assert!(failure.message.contains("twice"), "{failure}");
    }

    #[test]
    fn cr7_only_a_line_of_text_becomes_a_name() {
        assert_eq!(
            encoded(&[("filename", "führer schein.mp4".as_bytes())]).file_name(),
            "führer schein.mp4"
        );
        for hostile in [&b"a\r\nSet-Cookie: b"[..], b"a\0b", b"\xff\xfe", b"", &[b'a'; 2000]] {
            let metadata = encoded(&[("filename", hostile), ("name", b"b.mp4")]);
            assert_eq!(metadata.file_name(), "b.mp4", "{hostile:?}");
        }
    }

    #[test]
    fn what_means_nothing_here_is_metadata() {
        let metadata = encoded(&[
            ("filename", b"a.mp4"),
            ("name", b"a"),
            ("type", b"video/mp4"),
            ("preset", b"fast"),
            ("binary", b"\xff"),
            ("folder", b"x"),
        ]);
        assert_eq!(
            (metadata.content_type().as_str(), metadata.preset().as_str()),
            ("video/mp4", "fast")
        );
        let mut others: Vec<_> = metadata.others().into_iter().collect();
        others.sort_unstable();
        assert_eq!(
            others,
            [
                ("folder".to_owned(), "x".to_owned()),
                ("name".to_owned(), "a".to_owned())
            ]
        );
    }

    #[test]
    fn what_is_too_large_stays_in_the_header_only() {
        let large = vec![b'a'; limits::METADATA_BYTES_MAX];
        let metadata = encoded(&[("large", &large), ("small", b"x")]);
        assert_eq!(metadata.others(), HashMap::from([("small".to_owned(), "x".to_owned())]));
    }
}
