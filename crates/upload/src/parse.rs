//! What a client asks for when it creates an upload.

use std::collections::BTreeMap;

use prost::Message as _;
use reelway::v1::CreateUploadRequest;
use reelway_catalog::{NewJob, NewUpload, RequestId};
use reelway_domain::{
    DEFAULT_PRESET, Failure, FieldViolation, JobId, NO_PRESET, Reason, SourceAction, SourceRules, Tenant, UploadId,
    UploadKind, WebhookUrl, limits, preset, preset_names,
};
use reelway_rpc::request::{all_valid, parse_enum, parse_id, parse_priority, parse_request_id, violation};
use sha2::{Digest as _, Sha256};

use crate::server::Shared;

/// The wrong fields of a request.
type Violations = Vec<FieldViolation>;

/// The upload that a request asks for.
///
/// # Errors
/// `FIELD_INVALID` with every wrong field, `FEATURE_UNAVAILABLE` if webhooks can't be signed here.
pub(crate) fn parse(tenant: Tenant, request: CreateUploadRequest, shared: &Shared) -> Result<NewUpload, Failure> {
    let mut violations = Vec::new();
    let hash = request_hash(&request);
    let request_id = parse_request_id(&request.request_id, &mut violations);
    violations.extend(check_texts(&request));
    let expected_sha256 = parse_digest(&request.expected_sha256, &mut violations);
    let (kind, parts) = parse_kind(&request, &mut violations);
    let metadata: BTreeMap<String, String> = request.metadata.into_iter().collect();
    violations.extend(check_metadata(&metadata));
    let priority = parse_priority(request.priority, &mut violations);
    let source_action = parse_enum("source_action", request.source_action, &mut violations);
    let job = valid(parse_preset(&request.preset, priority), &mut violations).flatten();
    if request.preset == NO_PRESET && source_action.is_some() {
        violations.push(violation(
            "source_action",
            "must be unspecified where no job is created",
        ));
    }
    let webhook_url = valid(parse_webhook_url(request.webhook_url.as_deref()), &mut violations).flatten();
    all_valid(violations)?;
    if webhook_url.is_some() && !shared.settings.webhooks {
        let message = "this server has no secret to sign webhooks with; leave webhook_url out";
        return Err(Failure::new(Reason::FeatureUnavailable, message));
    }
    // A default is for files, not for parts of them.
    let job = job.filter(|_| kind != UploadKind::Partial);
    let job = job.map(|job| with_source_action(job, source_action, &shared.settings.source_rules));
    Ok(NewUpload {
        id: UploadId::new(),
        tenant,
        size: request.size_bytes,
        file_name: request.file_name,
        content_type: request.content_type,
        metadata,
        expected_sha256,
        expiry: shared.settings.expiry,
        job: job.transpose()?,
        webhook_url,
        client_state: request.client_state,
        kind,
        parts,
        request: request_id.map(|id| RequestId {
            id: id.to_string(),
            method: "CreateUpload",
            request_hash: hash,
        }),
    })
}

/// What the upload is for, and what it is put together from.
fn parse_kind(request: &CreateUploadRequest, violations: &mut Violations) -> (UploadKind, Vec<UploadId>) {
    let count = request.part_upload_ids.len();
    if request.partial {
        let set = [
            ("preset", !request.preset.is_empty()),
            ("priority", request.priority != 0),
            ("source_action", request.source_action != 0),
            ("webhook_url", request.webhook_url.is_some()),
            ("part_upload_ids", count > 0),
        ];
        let wrong = set.into_iter().filter(|(_, is_set)| *is_set);
        violations.extend(wrong.map(|(field, _)| violation(field, "must be empty for a part")));
        return (UploadKind::Partial, Vec::new());
    }
    if count == 0 {
        return (UploadKind::Whole, Vec::new());
    }
    if request.size_bytes.is_some() {
        violations.push(violation(
            "size_bytes",
            "must be absent: the length is that of the parts",
        ));
    }
    if count > limits::UPLOAD_PARTS_MAX {
        let description = format!("must be at most {}", limits::UPLOAD_PARTS_MAX);
        violations.push(violation("part_upload_ids", description));
        return (UploadKind::Joined, Vec::new());
    }
    let ids = request.part_upload_ids.iter().enumerate();
    let ids = ids.filter_map(|(at, id)| parse_id(&format!("part_upload_ids[{at}]"), id, violations));
    (UploadKind::Joined, ids.collect())
}

/// The length and the texts.
fn check_texts(request: &CreateUploadRequest) -> Violations {
    let mut violations = Vec::new();
    let is_long = |size| !(0..=limits::UPLOAD_BYTES_MAX).contains(&size);
    if request.size_bytes.is_some_and(is_long) {
        violations.push(violation(
            "size_bytes",
            format!("must be 0 to {}", limits::UPLOAD_BYTES_MAX),
        ));
    }
    let texts = [
        ("file_name", &request.file_name, limits::FILE_NAME_BYTES_MAX),
        ("content_type", &request.content_type, limits::CONTENT_TYPE_BYTES_MAX),
        ("client_state", &request.client_state, limits::CLIENT_STATE_BYTES_MAX),
    ];
    for (field, text, bytes_max) in texts {
        if text.len() > bytes_max || text.contains('\0') {
            violations.push(violation(
                field,
                format!("must be at most {bytes_max} bytes, without NUL"),
            ));
        }
    }
    violations
}

fn parse_digest(bytes: &[u8], violations: &mut Violations) -> Option<[u8; 32]> {
    let digest = bytes.try_into().ok();
    if digest.is_none() && !bytes.is_empty() {
        violations.push(violation("expected_sha256", "must be empty or 32 bytes"));
    }
    digest
}

/// The value, or its violation among the others.
fn valid<T>(parsed: Result<T, FieldViolation>, violations: &mut Violations) -> Option<T> {
    parsed.map_err(|violation| violations.push(violation)).ok()
}

fn check_metadata(metadata: &BTreeMap<String, String>) -> Option<FieldViolation> {
    let bytes: usize = metadata.iter().map(|(key, value)| key.len() + value.len()).sum();
    let (entries_max, bytes_max) = (limits::METADATA_ENTRIES_MAX, limits::METADATA_BYTES_MAX);
    (metadata.len() > entries_max || bytes > bytes_max).then(|| {
        let description = format!("must have at most {entries_max} entries and {bytes_max} bytes in all");
        violation("metadata", description)
    })
}

/// The job that a preset asks for, if any.
fn parse_preset(name: &str, priority: i32) -> Result<Option<NewJob>, FieldViolation> {
    let name = match name {
        NO_PRESET => return Ok(None),
        "" => DEFAULT_PRESET,
        other => other,
    };
    let ladder = preset(name).ok_or_else(|| {
        let known = preset_names().join(", ");
        violation(
            "preset",
            format!("must be one of {known}, {NO_PRESET}; or empty for {DEFAULT_PRESET}"),
        )
    })?;
    Ok(Some(NewJob {
        id: JobId::new(),
        preset: name.to_owned(),
        ladder,
        priority,
        source_action: SourceAction::Keep,
    }))
}

/// The job, with what becomes of its source.
fn with_source_action(job: NewJob, asked: Option<SourceAction>, rules: &SourceRules) -> Result<NewJob, Failure> {
    Ok(NewJob {
        source_action: rules.decide(&job.preset, asked)?,
        ..job
    })
}

/// The receiver of webhooks, if there is one.
fn parse_webhook_url(url: Option<&str>) -> Result<Option<WebhookUrl>, FieldViolation> {
    let parsed = url.map(str::parse::<WebhookUrl>).transpose();
    parsed.map_err(|error| violation("webhook_url", error.to_string()))
}

/// The same for the same request. A map is encoded in any order, so its entries are taken by themselves, sorted.
fn request_hash(request: &CreateUploadRequest) -> [u8; 32] {
    let mut sorted: Vec<_> = request.metadata.iter().collect();
    sorted.sort_unstable();
    let plain = CreateUploadRequest {
        metadata: Default::default(),
        ..request.clone()
    };
    let mut hasher = Sha256::new();
    hasher.update(plain.encode_length_delimited_to_vec());
    for text in sorted.into_iter().flat_map(|(key, value)| [key, value]) {
        hasher.update(text.len().to_be_bytes());
        hasher.update(text);
    }
    hasher.finalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_order_of_a_map_does_not_matter() {
        let request = || CreateUploadRequest {
            file_name: "a.mp4".into(),
            metadata: (0..32).map(|i| (format!("k{i}"), format!("v{i}"))).collect(),
            ..Default::default()
        };
        assert_eq!(request_hash(&request()), request_hash(&request()));
        let mut other = request();
        other.metadata.insert("k0".into(), "w".into());
        assert_ne!(request_hash(&request()), request_hash(&other));
    }

    #[test]
    fn kinds() {
        let kind = |request: CreateUploadRequest| {
            let mut violations = Vec::new();
            let parsed = parse_kind(&request, &mut violations);
            let fields: Vec<String> = violations.into_iter().map(|violation| violation.field).collect();
            (parsed.0, parsed.1.len(), fields)
        };
        let id = || UploadId::new().to_string();
        assert_eq!(kind(CreateUploadRequest::default()), (UploadKind::Whole, 0, vec![]));
        let joined = CreateUploadRequest {
            part_upload_ids: vec![id(), id()],
            ..Default::default()
        };
        assert_eq!(kind(joined.clone()), (UploadKind::Joined, 2, vec![]));
        let wrong = CreateUploadRequest {
            size_bytes: Some(1),
            part_upload_ids: vec![id(), "x".into()],
            ..Default::default()
        };
        let fields = vec!["size_bytes".to_owned(), "part_upload_ids[1]".to_owned()];
        assert_eq!(kind(wrong), (UploadKind::Joined, 1, fields));
        let many = CreateUploadRequest {
            part_upload_ids: vec!["x".into(); limits::UPLOAD_PARTS_MAX + 1],
            ..Default::default()
        };
        assert_eq!(kind(many).2, ["part_upload_ids"], "not one violation for each");
        let part = CreateUploadRequest {
            partial: true,
            preset: "none".into(),
            webhook_url: Some(String::new()),
            ..joined
        };
        let fields = ["preset", "webhook_url", "part_upload_ids"].map(str::to_owned);
        assert_eq!(kind(part), (UploadKind::Partial, 0, fields.to_vec()));
    }

    #[test]
    fn presets() {
        assert_eq!(parse_preset("none", 0), Ok(None));
        assert_eq!(parse_preset("", 0).unwrap().unwrap().preset, "standard");
        let wrong = parse_preset("slow", 0).unwrap_err().description;
        assert!(preset_names().iter().all(|name| wrong.contains(name)), "{wrong}");
    }
}
