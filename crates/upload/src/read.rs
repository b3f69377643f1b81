//! Finding uploads. Only the catalog is asked.

use std::sync::Arc;

use reelway::v1::{GetUploadRequest, ListUploadsRequest, ListUploadsResponse};
use reelway_auth::{Identity, Scope};
use reelway_catalog::Upload;
use reelway_domain::{Failure, UploadId, UploadState};
use reelway_rpc::request::{all_valid, decode_page_token, encode_page_token, parse_enum, parse_page_size, require_id};

use crate::server::Shared;

impl Shared {
    /// One upload. Only who may write it can end its writer.
    ///
    /// # Errors
    /// `UPLOAD_NOT_FOUND`, `PERMISSION_MISSING`.
    pub(crate) async fn get(
        self: &Arc<Self>,
        caller: &Identity,
        request: &GetUploadRequest,
    ) -> Result<Upload, Failure> {
        let id = require_id::<UploadId>("upload_id", &request.upload_id)?;
        if request.end_writer {
            caller.require_upload(id, Scope::UploadsWrite)?;
            return self.end_writer(&caller.tenant, id).await;
        }
        caller.require_upload(id, Scope::UploadsRead)?;
        self.find(&caller.tenant, id).await
    }

    /// A page of uploads, newest first.
    ///
    /// # Errors
    /// `PAGE_TOKEN_INVALID` if the token is from another list.
    pub(crate) async fn list(
        &self,
        caller: &Identity,
        request: &ListUploadsRequest,
    ) -> Result<ListUploadsResponse, Failure> {
        caller.require(Scope::UploadsRead)?;
        let mut violations = Vec::new();
        let count = parse_page_size(request.page_size, &mut violations);
        let state = parse_enum::<UploadState>("state", request.state, &mut violations);
        all_valid(violations)?;
        let filters = [state.map_or("", UploadState::as_str)];
        let before = decode_page_token::<UploadId>(&request.page_token, &filters)?;
        // One more than asked for tells whether the list goes on.
        let mut rows = self
            .catalog
            .list_uploads(&caller.tenant, state, before, i64::from(count) + 1)
            .await?;
        let goes_on = rows.len() > usize::try_from(count).unwrap_or(usize::MAX);
        if goes_on {
            rows.pop();
        }
        let last = rows.last().filter(|_| goes_on);
        Ok(ListUploadsResponse {
            next_page_token: last.map_or_else(String::new, |row| encode_page_token(row.id, &filters)),
            uploads: rows.iter().map(reelway_view::upload).collect(),
        })
    }
}
