//! JSON to messages, with every field that is wrong named by its path.
//!
//! Single values are read as the canonical mapping says; this walks to them, so that one answer lists all mistakes of a
//! request and not only the first.

use std::collections::{HashMap, HashSet};

use prost_reflect::{DynamicMessage, FieldDescriptor, Kind, MessageDescriptor, Value};
use reelway_domain::FieldViolation;
use serde_json::{Map, Value as Json};

use super::contract;

/// What was found wrong so far.
#[derive(Debug, Default)]
pub(super) struct Violations(Vec<FieldViolation>);

impl Violations {
    /// All of them, in the order in which they were found.
    pub(super) fn into_vec(self) -> Vec<FieldViolation> {
        self.0
    }

    /// Adds one.
    pub(super) fn add(&mut self, field: impl Into<String>, description: impl Into<String>) {
        self.0.push(FieldViolation {
            field: field.into(),
            description: description.into(),
        });
    }

    /// Reads a message. What is wrong is left out of it and added here.
    pub(super) fn message(
        &mut self,
        descriptor: &MessageDescriptor,
        object: &Map<String, Json>,
        path: &str,
    ) -> DynamicMessage {
        let mut message = DynamicMessage::new(descriptor.clone());
        let mut given = HashSet::new();
        for (name, json) in object {
            let Some(field) = field(descriptor, name) else {
                self.add(join(path, name), unknown(descriptor.fields()));
                continue;
            };
            // In the canonical mapping null means that the field is not there.
            if json.is_null() {
                continue;
            }
            let place = join(path, field.name());
            if !given.insert(field.number()) {
                self.add(place, "is given under both of its names");
                continue;
            }
            if let Some(oneof) = field.containing_oneof()
                && let Some(other) = oneof
                    .fields()
                    .find(|other| *other != field && given.contains(&other.number()))
            {
                self.add(place, format!("can't be given together with {}", other.name()));
                continue;
            }
            if let Some(value) = self.field(&field, json, &place) {
                message.set_field(&field, value);
            }
        }
        message
    }

    fn field(&mut self, field: &FieldDescriptor, json: &Json, path: &str) -> Option<Value> {
        match json {
            Json::Array(items) if field.is_list() => {
                let mut list = Vec::with_capacity(items.len());
                for (index, item) in items.iter().enumerate() {
                    list.extend(self.item(field, item, &format!("{path}[{index}]")));
                }
                Some(Value::List(list))
            }
            Json::Object(entries) if field.is_map() => {
                let mut map = HashMap::with_capacity(entries.len());
                for (key, value) in entries {
                    let entry = Json::Object(Map::from_iter([(key.clone(), value.clone())]));
                    if let Some(Value::Map(one)) = self.leaf(field, entry, &format!("{path}.{key}")) {
                        map.extend(one);
                    }
                }
                Some(Value::Map(map))
            }
            _ if field.is_list() || field.is_map() => self.leaf(field, json.clone(), path),
            _ => self.item(field, json, path),
        }
    }

    /// One value of a field that may hold several.
    fn item(&mut self, field: &FieldDescriptor, json: &Json, path: &str) -> Option<Value> {
        if let (Kind::Message(descriptor), Json::Object(object)) = (field.kind(), json)
            && !contract::is_well_known(&descriptor)
        {
            return Some(Value::Message(self.message(&descriptor, object, path)));
        }
        if !field.is_list() {
            return self.leaf(field, json.clone(), path);
        }
        match self.leaf(field, Json::Array(vec![json.clone()]), path)? {
            Value::List(list) => list.into_iter().next(),
            _ => None,
        }
    }

    /// What the canonical mapping makes of the value of a field.
    fn leaf(&mut self, field: &FieldDescriptor, json: Json, path: &str) -> Option<Value> {
        let alone = Json::Object(Map::from_iter([(field.json_name().to_owned(), json)]));
        match DynamicMessage::deserialize(field.parent_message().clone(), alone) {
            Ok(message) => Some(message.get_field(field).into_owned()),
            Err(error) => {
                self.add(path, format!("{error}{}", hint(field)));
                None
            }
        }
    }
}

/// The field of this name, in JSON's spelling or the contract's.
pub(super) fn field(descriptor: &MessageDescriptor, name: &str) -> Option<FieldDescriptor> {
    let by_json_name = descriptor.get_field_by_json_name(name);
    by_json_name.or_else(|| descriptor.get_field_by_name(name))
}

/// What is said of a name that is none of these fields.
pub(super) fn unknown(fields: impl Iterator<Item = FieldDescriptor>) -> String {
    let names: Vec<_> = fields.map(|field| field.json_name().to_owned()).collect();
    match names.as_slice() {
        [] => "is not known; there are none here".to_owned(),
        _ => format!("is not known; there are {}", names.join(", ")),
    }
}

/// How a value would be right, where an error of the mapping alone doesn't say so.
fn hint(field: &FieldDescriptor) -> String {
    match field.kind() {
        Kind::Enum(words) => {
            let words: Vec<_> = words.values().map(|value| value.name().to_owned()).collect();
            format!("; there are {}", words.join(", "))
        }
        Kind::Message(message) if message.full_name() == "google.protobuf.Duration" => {
            "; write seconds, for example 90s or 1.5s".to_owned()
        }
        Kind::Message(message) if message.full_name() == "google.protobuf.Timestamp" => {
            "; write a time of RFC 3339, for example 2026-01-02T03:04:05Z".to_owned()
        }
        _ => String::new(),
    }
}

fn join(path: &str, name: &str) -> String {
    match path {
        "" => name.to_owned(),
        _ => format!("{path}.{name}"),
    }
}

#[cfg(test)]
mod tests {
    use prost::Message as _;
    use reelway::v1;
    use serde_json::json;

    use super::{super::json, *};

    fn read(name: &str, object: &Json) -> (DynamicMessage, Vec<FieldViolation>) {
        let mut violations = Violations::default();
        let message = violations.message(&contract::message(name).unwrap(), object.as_object().unwrap(), "");
        (message, violations.into_vec())
    }

    fn places(name: &str, object: &Json) -> Vec<String> {
        read(name, object)
            .1
            .into_iter()
            .map(|violation| violation.field)
            .collect()
    }

    #[test]
    fn both_spellings_and_all_forms_are_read() {
        let (message, violations) = read(
            "CreateUploadRequest",
            &json!({
                "sizeBytes": "9007199254740993", "file_name": "a.mp4", "metadata": {"a": "1", "b": "2"},
                "expectedSha256": "-_8", "partUploadIds": ["x", "y"], "webhookUrl": null, "partial": true,
            }),
        );
        assert_eq!(violations, []);
        let request: v1::CreateUploadRequest = message.transcode_to().unwrap();
        let expected = v1::CreateUploadRequest {
            size_bytes: Some(9_007_199_254_740_993),
            file_name: "a.mp4".into(),
            metadata: [("a".to_owned(), "1".to_owned()), ("b".to_owned(), "2".to_owned())].into(),
            expected_sha256: vec![251, 255].into(),
            part_upload_ids: vec!["x".into(), "y".into()],
            partial: true,
            ..v1::CreateUploadRequest::default()
        };
        assert_eq!(request, expected);
        let (message, _) = read("CreateUploadRequest", &json!({"size_bytes": 0}));
        assert_eq!(
            message.encode_to_vec(),
            [8, 0],
            "a zero that is given is not the same as none"
        );
    }

    #[test]
    fn messages_within_messages_are_read() {
        let ladder = json!({"rungs": [{"shortSidePixels": 720, "bitrateMax": 3_000_000}], "speed": "ENCODER_SPEED_FAST", "crf": 2e1});
        let (message, violations) = read("CreateJobRequest", &json!({"uploadId": "u", "ladder": ladder}));
        assert_eq!(violations, []);
        let request: v1::CreateJobRequest = message.transcode_to().unwrap();
        let Some(v1::create_job_request::Processing::Ladder(ladder)) = request.processing else {
            panic!("{request:?}")
        };
        assert_eq!(
            (ladder.rungs[0].bitrate_max, ladder.speed(), ladder.crf),
            (3_000_000, v1::EncoderSpeed::Fast, 20)
        );
        let (message, violations) = read("CreateUploadGrantRequest", &json!({"lifetime": "90.5s"}));
        assert_eq!(violations, []);
        let request: v1::CreateUploadGrantRequest = message.transcode_to().unwrap();
        assert_eq!(
            request.lifetime.map(|lifetime| (lifetime.seconds, lifetime.nanos)),
            Some((90, 500_000_000))
        );
    }

    #[test]
    fn what_is_written_is_read_as_the_same() {
        let error = v1::Error {
            reason: "SOURCE_DAMAGED".into(),
            message: "\u{0} \u{1F3AC} \"".into(),
            metadata: [("a.b".to_owned(), String::new()), (String::new(), "1".to_owned())].into(),
        };
        let job = v1::Job {
            id: "job_1".into(),
            state: 77,
            ladder: Some(v1::Ladder {
                rungs: vec![
                    v1::Rung {
                        short_side_pixels: i32::MIN,
                        bitrate_max: i64::MAX,
                    },
                    v1::Rung::default(),
                ],
                missing_percent_max: 1e-300,
                ..v1::Ladder::default()
            }),
            source: Some(v1::SourceInfo {
                duration: "-1.000000001s".parse().ok(),
                frame_rate: f64::INFINITY,
                ..v1::SourceInfo::default()
            }),
            error: Some(error),
            missing_frames: i64::MIN,
            create_time: "9999-12-31T23:59:59.999999999Z".parse().ok(),
            ..v1::Job::default()
        };
        let written = serde_json::from_str(&json::of("Job", &job).unwrap()).unwrap();
        let (read, violations) = read("Job", &written);
        assert_eq!(violations, []);
        assert_eq!(read.transcode_to::<v1::Job>().unwrap(), job);
    }

    #[test]
    fn every_mistake_is_named_by_its_path() {
        let ladder = json!({"rungs": [{}, {"bitrateMax": "many", "hight": 1}, 5], "speed": "FAST", "crf": 1.5});
        let request = json!({"uploadId": 7, "ladder": ladder, "preset": "fast", "colour": "red"});
        let mut found = places("CreateJobRequest", &request);
        found.sort();
        let expected = [
            "colour",
            "ladder.crf",
            "ladder.rungs[1].bitrate_max",
            "ladder.rungs[1].hight",
            "ladder.rungs[2]",
            "ladder.speed",
            "preset",
            "upload_id",
        ];
        assert_eq!(found, expected);
        let request = json!({"metadata": {"a": "1", "b": 2}, "fileName": "a", "file_name": "b", "partUploadIds": "x", "expectedSha256": "?"});
        let mut found = places("CreateUploadRequest", &request);
        found.sort();
        assert_eq!(found, ["expected_sha256", "file_name", "metadata.b", "part_upload_ids"]);
    }

    #[test]
    fn what_would_be_right_is_said() {
        let said = |name: &str, object: Json| -> String {
            let (_, violations) = read(name, &object);
            violations.into_iter().map(|violation| violation.description).collect()
        };
        let state = said("ListUploadsRequest", json!({"state": "COMPLETE"}));
        assert!(state.contains("UPLOAD_STATE_COMPLETE"), "{state}");
        let unknown = said("ListUploadsRequest", json!({"size": 1}));
        assert!(unknown.contains("pageSize"), "{unknown}");
        let duration = said("CreateUploadGrantRequest", json!({"lifetime": "2d"}));
        assert!(duration.contains("90s"), "{duration}");
        let time = said("ListJobsRequest", json!({"createTimeMin": "yesterday"}));
        assert!(time.contains("2026-01-02T03:04:05Z"), "{time}");
    }
}
