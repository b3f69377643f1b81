//! Creating uploads.

use std::{collections::BTreeMap, sync::Arc};

use prost::Message as _;
use reelway::v1::CreateUploadRequest;
use reelway_catalog::{Created, Error, NewJob, NewUpload, RequestId, Upload};
use reelway_domain::{
    DEFAULT_PRESET, Failure, FieldViolation, FileEpoch, JobId, NO_PRESET, Offset, Reason, Tenant, UploadId,
    UploadState, WebhookUrl, limits, preset, preset_names,
};
use reelway_rpc::request::{all_valid, parse_request_id, violation};
use sha2::{Digest as _, Sha256};

use crate::{meter, server::Shared};

impl Shared {
    /// Creates an upload and its job, or finds those that an earlier call with the same request id created. An upload
    /// of length 0 is complete at once.
    ///
    /// # Errors
    /// `FIELD_INVALID` with every wrong field, `REQUEST_ID_REUSED`, or what the catalog or the store say.
    pub(crate) async fn create(
        self: &Arc<Self>,
        tenant: Tenant,
        request: CreateUploadRequest,
    ) -> Result<Upload, Failure> {
        let new = parse(tenant, request, self)?;
        // The file comes first: a file without an upload is swept up, an upload without a file could never be written.
        self.store.create_upload(new.id).await?;
        let created = self.catalog.create_upload(&new).await;
        if matches!(&created, Ok(Created::Before(_)) | Err(Error::RequestIdReused(_)))
            && let Err(error) = self.store.remove_upload_file(new.id, FileEpoch::FIRST).await
        {
            tracing::warn!(upload.id = %new.id, %error, "a file without an upload is left");
        }
        let upload = match created? {
            Created::New(upload) => {
                meter::created().increment(1);
                tracing::info!(upload.id = %upload.id, size_bytes = upload.size, "upload created");
                upload
            }
            Created::Before(upload) => upload,
        };
        if upload.state == UploadState::Receiving && upload.size == Some(0) {
            return self.complete_at(&upload.tenant, upload.id, Offset::ZERO).await;
        }
        Ok(upload)
    }
}

fn parse(tenant: Tenant, request: CreateUploadRequest, shared: &Shared) -> Result<NewUpload, Failure> {
    let mut violations = Vec::new();
    let hash = request_hash(&request);
    let request_id = parse_request_id(&request.request_id, &mut violations);
    let mut wrong = |field, description: String| violations.push(violation(field, description));
    if request
        .size_bytes
        .is_some_and(|size| !(0..=limits::UPLOAD_BYTES_MAX).contains(&size))
    {
        wrong("size_bytes", format!("must be 0 to {}", limits::UPLOAD_BYTES_MAX));
    }
    let text = |field, text: &str, bytes_max| {
        let fits = text.len() <= bytes_max && !text.contains('\0');
        (!fits).then(|| violation(field, format!("must be at most {bytes_max} bytes, without NUL")))
    };
    let expected_sha256 = match <[u8; 32]>::try_from(&*request.expected_sha256) {
        Ok(digest) => Some(digest),
        Err(_) if request.expected_sha256.is_empty() => None,
        Err(_) => {
            wrong("expected_sha256", "must be empty or 32 bytes".to_owned());
            None
        }
    };
    violations.extend(text("file_name", &request.file_name, limits::FILE_NAME_BYTES_MAX));
    violations.extend(text(
        "content_type",
        &request.content_type,
        limits::CONTENT_TYPE_BYTES_MAX,
    ));
    let metadata: BTreeMap<String, String> = request.metadata.into_iter().collect();
    violations.extend(check_metadata(&metadata));
    let job = parse_preset(&request.preset)
        .map_err(|v| violations.push(v))
        .ok()
        .flatten();
    let webhook_url = parse_webhook_url(request.webhook_url.as_deref())
        .map_err(|v| violations.push(v))
        .ok()
        .flatten();
    all_valid(violations)?;
    if webhook_url.is_some() && !shared.settings.webhooks {
        let message = "this server has no secret to sign webhooks with; leave webhook_url out";
        return Err(Failure::new(Reason::FeatureUnavailable, message));
    }
    Ok(NewUpload {
        id: UploadId::new(),
        tenant,
        size: request.size_bytes,
        file_name: request.file_name,
        content_type: request.content_type,
        metadata,
        expected_sha256,
        expiry: shared.settings.expiry,
        job,
        webhook_url,
        request: request_id.map(|id| RequestId {
            id: id.to_string(),
            method: "CreateUpload",
            request_hash: hash,
        }),
    })
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
fn parse_preset(name: &str) -> Result<Option<NewJob>, FieldViolation> {
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
    }))
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
    fn presets() {
        assert_eq!(parse_preset("none"), Ok(None));
        assert_eq!(parse_preset("").unwrap().unwrap().preset, "standard");
        let wrong = parse_preset("slow").unwrap_err().description;
        assert!(preset_names().iter().all(|name| wrong.contains(name)), "{wrong}");
    }
}
