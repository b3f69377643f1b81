//! The contract's messages as JSON: fields by their names in the contract, states as lower-case words, numbers as numbers,
//! times as RFC 3339, bytes in hexadecimal. What is absent is left out; what is empty is there.

use std::{fmt::Write as _, sync::LazyLock};

use prost::Message;
use prost_reflect::{
    DescriptorPool, DynamicMessage, EnumDescriptor, FieldDescriptor, Kind, ReflectMessage as _, Value as Field,
};
use reelway::v1;
use serde_json::{Map, Value};

/// The contract, as the build compiled it.
static CONTRACT: LazyLock<Option<DescriptorPool>> =
    LazyLock::new(|| DescriptorPool::decode(reelway::FILE_DESCRIPTOR_SET).ok());

/// A message of the contract that has a name.
pub(crate) trait Named: Message {
    /// The full name.
    const NAME: &'static str;
}

impl Named for v1::Upload {
    const NAME: &'static str = "reelway.v1.Upload";
}
impl Named for v1::Job {
    const NAME: &'static str = "reelway.v1.Job";
}
impl Named for v1::Task {
    const NAME: &'static str = "reelway.v1.Task";
}
impl Named for v1::WatchProgressResponse {
    const NAME: &'static str = "reelway.v1.WatchProgressResponse";
}

/// The message as a JSON object.
pub(crate) fn object<M: Named>(message: &M) -> Value {
    let descriptor = CONTRACT
        .as_ref()
        .and_then(|contract| contract.get_message_by_name(M::NAME));
    // Both sides come from the same build, which a test looks at.
    let dynamic = descriptor.and_then(|d| DynamicMessage::decode(d, message.encode_to_vec().as_slice()).ok());
    dynamic.map_or(Value::Null, |dynamic| of_message(&dynamic))
}

/// An enum value's word: `JOB_STATE_SUCCEEDED` without `JOB_STATE_` is `succeeded`.
pub(crate) fn word(name: &str, prefix: &str) -> String {
    name.strip_prefix(prefix).unwrap_or(name).to_lowercase()
}

/// A job state's word.
pub(crate) fn job_state(state: v1::JobState) -> String {
    word(state.as_str_name(), "JOB_STATE_")
}

/// An upload state's word.
pub(crate) fn upload_state(state: v1::UploadState) -> String {
    word(state.as_str_name(), "UPLOAD_STATE_")
}

fn of_message(message: &DynamicMessage) -> Value {
    match message.descriptor().full_name() {
        "google.protobuf.Timestamp" => text_of::<prost_types::Timestamp>(message),
        "google.protobuf.Duration" => text_of::<prost_types::Duration>(message),
        _ => {
            let told = |field: &FieldDescriptor| !field.supports_presence() || message.has_field(field);
            let fields = message.descriptor().fields().filter(told).collect::<Vec<_>>();
            let entry = |field: FieldDescriptor| {
                let value = of_field(&message.get_field(&field), &field.kind());
                (field.name().to_owned(), value)
            };
            Value::Object(fields.into_iter().map(entry).collect())
        }
    }
}

fn of_field(value: &Field, kind: &Kind) -> Value {
    match value {
        Field::Bool(value) => Value::from(*value),
        Field::I32(value) => Value::from(*value),
        Field::I64(value) => Value::from(*value),
        Field::U32(value) => Value::from(*value),
        Field::U64(value) => Value::from(*value),
        Field::F32(value) => Value::from(*value),
        Field::F64(value) => Value::from(*value),
        Field::String(text) => Value::from(text.as_str()),
        Field::Bytes(bytes) => Value::from(hex(bytes)),
        Field::EnumNumber(number) => match kind {
            Kind::Enum(descriptor) => Value::from(enum_word(descriptor, *number)),
            _ => Value::from(*number),
        },
        Field::Message(message) => of_message(message),
        Field::List(values) => values.iter().map(|value| of_field(value, kind)).collect(),
        Field::Map(entries) => of_map(entries, kind),
    }
}

fn of_map(entries: &std::collections::HashMap<prost_reflect::MapKey, Field>, kind: &Kind) -> Value {
    let Kind::Message(entry) = kind else { return Value::Null };
    let value_kind = entry.map_entry_value_field().kind();
    let named = |(key, value): (&prost_reflect::MapKey, &Field)| {
        let key = key.as_str().map_or_else(|| format!("{key:?}"), str::to_owned);
        (key, of_field(value, &value_kind))
    };
    Value::Object(entries.iter().map(named).collect::<Map<_, _>>())
}

fn enum_word(descriptor: &EnumDescriptor, number: i32) -> String {
    // The zero value is the prefix and UNSPECIFIED: the lint of the contract sees to it.
    let zero = descriptor.default_value();
    let prefix = zero.name().trim_end_matches("UNSPECIFIED");
    // A value of a newer release has no name here.
    descriptor
        .get_value(number)
        .map_or_else(|| number.to_string(), |value| word(value.name(), prefix))
}

fn text_of<M: Message + Default + std::fmt::Display>(message: &DynamicMessage) -> Value {
    message
        .transcode_to::<M>()
        .map_or(Value::Null, |value| Value::from(value.to_string()))
}

/// Lower-case hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes
        .iter()
        .fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
            // Writing to a string doesn't fail.
            let _ = write!(text, "{byte:02x}");
            text
        })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_message_is_told_in_the_contracts_words() {
        let time = |seconds| Some(prost_types::Timestamp { seconds, nanos: 0 });
        let upload = v1::Upload {
            id: "upl_1".to_owned(),
            state: v1::UploadState::Receiving.into(),
            metadata: [("a".to_owned(), "b".to_owned())].into(),
            size_bytes: Some(5 << 40),
            expected_sha256: vec![0, 255].into(),
            create_time: time(0),
            ..Default::default()
        };
        let expected = json!({
            "id": "upl_1", "state": "receiving", "file_name": "", "content_type": "", "metadata": {"a": "b"},
            "size_bytes": 5_497_558_138_880_i64, "durable_offset": 0, "expected_sha256": "00ff", "job_id": "",
            "create_time": "1970-01-01T00:00:00Z", "client_state": "", "partial": false, "part_upload_ids": [],
            "source_state": "unspecified",
        });
        assert_eq!(object(&upload), expected);
    }

    #[test]
    fn of_several_only_the_one_that_is_set_is_told() {
        let message = v1::watch_progress_response::Message::Bookmark(v1::Bookmark {});
        let answer = v1::WatchProgressResponse {
            message: Some(message),
            resume_token: Default::default(),
        };
        assert_eq!(object(&answer), json!({"bookmark": {}, "resume_token": ""}));
    }

    #[test]
    fn every_named_message_is_in_the_contract() {
        assert!(object(&v1::Job::default()).is_object());
        assert!(object(&v1::Task::default()).is_object());
    }
}
