//! What the edge serves beside the JSON API: told briefly, since other specifications describe it in full.

use serde_json::{Value, json};

use super::problem;

/// An operation that no route of the table has.
struct Elsewhere {
    path: &'static str,
    verb: &'static str,
    tag: &'static str,
    name: &'static str,
    summary: &'static str,
    /// The status of success, and what it means.
    success: (&'static str, &'static str),
}

const LIVE: &str = "Live progress";
const TUS: &str = "tus 1.0.0";
const RESUMABLE: &str = "Resumable uploads (IETF draft)";
const PLAYBACK: &str = "Playback";

/// All of them.
const ALL: &[Elsewhere] = &[
    Elsewhere {
        path: super::PATH,
        verb: "get",
        tag: "Description",
        name: "getOpenapi",
        summary: "This description",
        success: ("200", "The description."),
    },
    Elsewhere {
        path: "/v1/jobs/{id}/events",
        verb: "get",
        tag: LIVE,
        name: "watchJobEvents",
        summary: "The progress of a job as Server-Sent Events; `Last-Event-ID` resumes",
        success: ("200", "A stream of events, `text/event-stream`."),
    },
    Elsewhere {
        path: "/v1/jobs/{id}/ws",
        verb: "get",
        tag: LIVE,
        name: "watchJobSocket",
        summary: "The progress of a job over a WebSocket",
        success: ("101", "The connection is a WebSocket now."),
    },
    Elsewhere {
        path: "/v1/uploads/{id}/events",
        verb: "get",
        tag: LIVE,
        name: "watchUploadEvents",
        summary: "The progress of an upload and its job as Server-Sent Events; `Last-Event-ID` resumes",
        success: ("200", "A stream of events, `text/event-stream`."),
    },
    Elsewhere {
        path: "/v1/uploads/{id}/ws",
        verb: "get",
        tag: LIVE,
        name: "watchUploadSocket",
        summary: "The progress of an upload and its job over a WebSocket",
        success: ("101", "The connection is a WebSocket now."),
    },
    Elsewhere {
        path: "/v1/events",
        verb: "get",
        tag: LIVE,
        name: "watchAllEvents",
        summary: "The progress of everything that the caller may see as Server-Sent Events; `Last-Event-ID` resumes",
        success: ("200", "A stream of events, `text/event-stream`."),
    },
    Elsewhere {
        path: "/v1/ws",
        verb: "get",
        tag: LIVE,
        name: "watchAllSocket",
        summary: "The progress of everything that the caller may see over a WebSocket",
        success: ("101", "The connection is a WebSocket now."),
    },
    Elsewhere {
        path: "/files/",
        verb: "post",
        tag: TUS,
        name: "tusCreate",
        summary: "Creates an upload (creation, creation-with-upload, creation-defer-length, concatenation)",
        success: ("201", "`Location` names the upload."),
    },
    Elsewhere {
        path: "/files/{id}",
        verb: "head",
        tag: TUS,
        name: "tusOffset",
        summary: "Tells how many bytes are durable",
        success: ("200", "`Upload-Offset` says so."),
    },
    Elsewhere {
        path: "/files/{id}",
        verb: "patch",
        tag: TUS,
        name: "tusAppend",
        summary: "Appends bytes",
        success: ("204", "`Upload-Offset` is what is durable now."),
    },
    Elsewhere {
        path: "/files/{id}",
        verb: "delete",
        tag: TUS,
        name: "tusTerminate",
        summary: "Gives the upload up",
        success: ("204", "Its bytes are freed."),
    },
    Elsewhere {
        path: "/uploads/",
        verb: "post",
        tag: RESUMABLE,
        name: "resumableCreate",
        summary: "Creates an upload, perhaps with bytes",
        success: ("201", "`Location` names the upload."),
    },
    Elsewhere {
        path: "/uploads/{id}",
        verb: "head",
        tag: RESUMABLE,
        name: "resumableOffset",
        summary: "Tells how many bytes are durable",
        success: ("204", "`Upload-Offset` says so."),
    },
    Elsewhere {
        path: "/uploads/{id}",
        verb: "patch",
        tag: RESUMABLE,
        name: "resumableAppend",
        summary: "Appends bytes",
        success: ("204", "`Upload-Offset` is what is durable now."),
    },
    Elsewhere {
        path: "/uploads/{id}",
        verb: "delete",
        tag: RESUMABLE,
        name: "resumableCancel",
        summary: "Gives the upload up",
        success: ("204", "Its bytes are freed."),
    },
    Elsewhere {
        path: "/play/{id}/{path}",
        verb: "get",
        tag: PLAYBACK,
        name: "play",
        summary: "HLS playlists, segments and pictures of a job, with ranges; begin with `master.m3u8`. The path may have slashes",
        success: ("200", "The file."),
    },
];

/// Path, verb and description of each.
pub(super) fn describe() -> impl Iterator<Item = (&'static str, &'static str, Value)> {
    ALL.iter().map(|operation| {
        let (status, meaning) = operation.success;
        let described = json!({
            "operationId": operation.name,
            "tags": [operation.tag],
            "summary": operation.summary,
            "parameters": parameters(operation.path),
            "responses": {status: {"description": meaning}, "default": problem::refer()},
        });
        (operation.path, operation.verb, described)
    })
}

/// What stands in braces in a path.
fn parameters(path: &str) -> Vec<Value> {
    let names = path
        .split('/')
        .filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'));
    names
        .map(|name| json!({"name": name, "in": "path", "required": true, "schema": {"type": "string"}}))
        .collect()
}
