//! How failures are described.

use reelway_domain::Reason;
use reelway_rpc::ERROR_DOMAIN;
use serde_json::{Value, json};

/// What each operation may answer instead of what it is for.
pub(super) fn refer() -> Value {
    json!({"$ref": "#/components/responses/Problem"})
}

/// The answer.
pub(super) fn response() -> Value {
    json!({
        "description": "It failed. `reason` says why; 429 and 503 come with `Retry-After`.",
        "content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}},
    })
}

/// The document.
pub(super) fn schema() -> Value {
    let text = |description: &str| json!({"type": "string", "description": description});
    let words: Vec<_> = Reason::ALL.iter().map(|reason| reason.as_str()).collect();
    let meanings = Reason::ALL
        .iter()
        .map(|reason| format!("- `{reason}` ({}): {}", reason.http_status(), reason.meaning()));
    let meanings: Vec<_> = meanings.collect();
    json!({
        "type": "object",
        "description": "A problem document (RFC 9457).",
        "required": ["type", "title", "status", "detail", "reason", "domain", "metadata"],
        "properties": {
            "type": text("`about:blank`, or what a standard calls the problem. Branch on `reason`."),
            "title": text("What the status means."),
            "status": {"type": "integer", "description": "The HTTP status."},
            "detail": text("A sentence for people: what was wrong and what to do. It may change between releases."),
            "reason": {
                "type": "string",
                "enum": words,
                "description": format!("What to branch on. Newer servers may have more words.\n{}", meanings.join("\n")),
            },
            "domain": {"const": ERROR_DOMAIN, "description": "Whose words the reasons are."},
            "metadata": {
                "type": "object",
                "additionalProperties": {"type": "string"},
                "description": "Everything in the detail that varies, by lowerCamelCase key.",
            },
            "violations": {
                "type": "array",
                "description": "With FIELD_INVALID: every field that is wrong.",
                "items": {
                    "type": "object",
                    "required": ["field", "description"],
                    "properties": {
                        "field": text("The field's path in the request."),
                        "description": text("What is wrong and what would be right."),
                    },
                },
            },
        },
    })
}
