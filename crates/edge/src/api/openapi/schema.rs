//! JSON schemas of messages, as the canonical mapping writes them.

use std::collections::HashSet;

use prost_reflect::{EnumDescriptor, FieldDescriptor, Kind, MessageDescriptor};
use serde_json::{Map, Value, json};

use super::{
    super::{Operation, contract, table::Verb},
    comments,
};

/// The schemas that the description refers to.
#[derive(Debug, Default)]
pub(super) struct Schemas {
    /// Messages that requests hold: what is left out has its default value.
    asked: HashSet<String>,
    /// Messages that answers hold: a newer server may say more.
    answered: HashSet<String>,
    described: Map<String, Value>,
}

impl Schemas {
    /// None yet, for the messages of these operations.
    pub(super) fn of(operations: &[Operation]) -> Self {
        let mut schemas = Self::default();
        for Operation { route, method } in operations {
            if route.verb == Verb::Post {
                reach(&method.input(), &mut schemas.asked);
            }
            reach(&method.output(), &mut schemas.answered);
        }
        schemas
    }

    /// All that were referred to.
    pub(super) fn finish(self) -> Map<String, Value> {
        self.described
    }

    /// Refers to the schema of a message.
    pub(super) fn reference(&mut self, message: &MessageDescriptor) -> Value {
        let name = message.name();
        if !self.described.contains_key(name) {
            // It may hold itself.
            self.described.insert(name.to_owned(), Value::Null);
            let schema = self.message(message, None);
            self.described.insert(name.to_owned(), schema);
        }
        refer(name)
    }

    /// The schema of a message, perhaps without one of its fields.
    pub(super) fn message(&mut self, message: &MessageDescriptor, without: Option<&str>) -> Value {
        let fields: Vec<_> = message.fields().filter(|field| Some(field.name()) != without).collect();
        let mut schema = json!({
            "type": "object",
            "description": comments::of(&message.parent_file(), message.path()),
        });
        let properties = fields
            .iter()
            .map(|field| (field.json_name().to_owned(), self.field(field)));
        schema["properties"] = Value::Object(properties.collect());
        if !self.asked.contains(message.full_name()) {
            // An answer leaves out only what can be absent.
            let always = fields.iter().filter(|field| !field.supports_presence());
            let always: Vec<_> = always.map(FieldDescriptor::json_name).collect();
            if !always.is_empty() {
                schema["required"] = json!(always);
            }
        }
        if !self.answered.contains(message.full_name()) {
            schema["additionalProperties"] = json!(false);
        }
        schema
    }

    /// The schema of a field, with its comment.
    pub(super) fn field(&mut self, field: &FieldDescriptor) -> Value {
        let mut schema = match field.kind() {
            Kind::Message(entry) if field.is_map() => {
                json!({"type": "object", "additionalProperties": self.value(&entry.map_entry_value_field().kind())})
            }
            kind if field.is_list() => json!({"type": "array", "items": self.value(&kind)}),
            kind => self.value(&kind),
        };
        schema["description"] = json!(describe(field));
        schema
    }

    fn value(&mut self, kind: &Kind) -> Value {
        match kind {
            Kind::Double | Kind::Float => json!({"type": "number", "format": "double"}),
            Kind::Int32 | Kind::Sint32 | Kind::Sfixed32 => json!({"type": "integer", "format": "int32"}),
            Kind::Uint32 | Kind::Fixed32 => json!({"type": "integer", "minimum": 0, "maximum": u32::MAX}),
            Kind::Int64 | Kind::Sint64 | Kind::Sfixed64 => {
                json!({"type": "string", "format": "int64", "pattern": "^-?[0-9]+$"})
            }
            Kind::Uint64 | Kind::Fixed64 => json!({"type": "string", "format": "uint64", "pattern": "^[0-9]+$"}),
            Kind::Bool => json!({"type": "boolean"}),
            Kind::String => json!({"type": "string"}),
            Kind::Bytes => json!({"type": "string", "contentEncoding": "base64"}),
            Kind::Enum(words) => self.words(words),
            Kind::Message(message) => match message.full_name() {
                "google.protobuf.Timestamp" => json!({"type": "string", "format": "date-time"}),
                "google.protobuf.Duration" => json!({"type": "string", "pattern": r"^-?[0-9]+(\.[0-9]{1,9})?s$"}),
                _ => self.reference(message),
            },
        }
    }

    fn words(&mut self, words: &EnumDescriptor) -> Value {
        let name = words.name();
        if !self.described.contains_key(name) {
            let file = words.parent_file();
            let mut about = comments::of(&file, words.path());
            for word in words.values() {
                about += &format!("\n- `{}`: {}", word.name(), comments::of(&file, word.path()));
            }
            let all: Vec<_> = words.values().map(|word| word.name().to_owned()).collect();
            let schema = json!({"type": "string", "enum": all, "description": about});
            self.described.insert(name.to_owned(), schema);
        }
        refer(name)
    }
}

fn refer(name: &str) -> Value {
    json!({"$ref": format!("#/components/schemas/{name}")})
}

/// The comment of a field, and which others it excludes.
fn describe(field: &FieldDescriptor) -> String {
    let comment = comments::of(&field.parent_message().parent_file(), field.path());
    let Some(oneof) = field.containing_oneof().filter(|oneof| oneof.fields().len() > 1) else {
        return comment;
    };
    let others: Vec<_> = oneof.fields().filter(|other| other != field).collect();
    let others: Vec<_> = others.iter().map(|other| format!("`{}`", other.json_name())).collect();
    format!("{comment} Never together with {}.", others.join(" or "))
}

/// Adds a message and all that it holds.
fn reach(message: &MessageDescriptor, reached: &mut HashSet<String>) {
    if contract::is_well_known(message) || !reached.insert(message.full_name().to_owned()) {
        return;
    }
    for field in message.fields() {
        if let Kind::Message(held) = field.kind() {
            reach(&held, reached);
        }
    }
}
