//! Messages as canonical proto3 JSON: lowerCamelCase names, enums by name, 64-bit integers as strings, bytes as base64, times as
//! RFC 3339.
//!
//! Fields that can't be absent are written also when they have their default value, so that a script finds what it looks for. The
//! same message always gives the same bytes: names are in the order of the alphabet, also those of maps.

use prost::Message;
use prost_reflect::{DynamicMessage, SerializeOptions};
use reelway_domain::{Failure, Reason};

use super::contract;

const OPTIONS: SerializeOptions = SerializeOptions::new().skip_default_fields(false);

/// A message of the contract, by its name without the package.
///
/// # Errors
/// `INTERNAL` if there is no such message, or it holds a time that JSON can't write (before the year 1 or after 9999).
pub(crate) fn of(name: &str, message: &impl Message) -> Result<String, Failure> {
    let descriptor = contract::message(name).ok_or_else(|| internal(format!("the contract has no message {name}")))?;
    let message = DynamicMessage::decode(descriptor, message.encode_to_vec().as_slice()).map_err(internal)?;
    write(&message)
}

/// A message.
///
/// # Errors
/// `INTERNAL` if it holds a time that JSON can't write.
pub(super) fn write(message: &DynamicMessage) -> Result<String, Failure> {
    let value = message.serialize_with_options(serde_json::value::Serializer, &OPTIONS);
    let mut value = value.map_err(internal)?;
    value.sort_all_objects();
    Ok(value.to_string())
}

fn internal(what: impl std::fmt::Display) -> Failure {
    Failure::new(Reason::Internal, format!("can't write a message as JSON: {what}"))
}

#[cfg(test)]
mod tests {
    use reelway::v1;
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn the_mapping_is_the_canonical_one() {
        let upload = v1::Upload {
            id: "upl_1".into(),
            state: v1::UploadState::Receiving.into(),
            size_bytes: Some(9_007_199_254_740_993),
            expected_sha256: vec![251, 255].into(),
            create_time: Some("2026-01-02T03:04:05.25Z".parse().unwrap()),
            metadata: [("b".to_owned(), "2".to_owned()), ("a".to_owned(), "1".to_owned())].into(),
            ..v1::Upload::default()
        };
        let text = of("Upload", &upload).unwrap();
        let value: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(value["state"], "UPLOAD_STATE_RECEIVING");
        assert_eq!(
            value["sizeBytes"], "9007199254740993",
            "more than a JavaScript number holds"
        );
        assert_eq!(value["expectedSha256"], "+/8=");
        assert_eq!(value["createTime"], "2026-01-02T03:04:05.250Z");
        assert_eq!(value["durableOffset"], "0", "a default is written");
        assert_eq!(value["partUploadIds"], json!([]));
        assert!(
            value.get("completeTime").is_none() && value.get("error").is_none(),
            "what is absent is left out"
        );
        assert!(text.contains(r#"{"a":"1","b":"2"}"#), "{text}");
    }

    #[test]
    fn a_time_beyond_the_calendar_is_refused() {
        let mut upload = v1::Upload {
            create_time: Some("2026-01-02T03:04:05Z".parse().unwrap()),
            ..v1::Upload::default()
        };
        assert!(of("Upload", &upload).is_ok());
        upload.create_time.as_mut().unwrap().seconds = i64::MAX;
        assert_eq!(of("Upload", &upload).unwrap_err().reason, Reason::Internal);
        assert_eq!(of("Uplaod", &upload).unwrap_err().reason, Reason::Internal);
    }
}
