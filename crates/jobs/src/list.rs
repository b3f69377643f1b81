//! ListJobs.

use reelway::v1;
use reelway_catalog::JobFilter;
use reelway_domain::{Failure, JobState, Timestamp};
use reelway_rpc::request::{
    all_valid, decode_page_token, encode_page_token, parse_enum, parse_id, parse_page_size, parse_timestamp,
};

use crate::caller::Caller;

impl Caller<'_> {
    /// One page of jobs, newest first.
    pub(crate) async fn list(&self, request: &v1::ListJobsRequest) -> Result<v1::ListJobsResponse, Failure> {
        let (filter, page_size) = parse(request)?;
        let filters = token_filters(&filter);
        let filters: Vec<&str> = filters.iter().map(String::as_str).collect();
        let before = decode_page_token(&request.page_token, &filters)?;
        // One more than asked for tells whether there is a next page.
        let count_max = i64::from(page_size) + 1;
        let mut jobs = self
            .jobs
            .catalog
            .list_jobs(self.tenant, &filter, before, count_max)
            .await?;
        let page = usize::try_from(page_size).unwrap_or(usize::MAX);
        let more = jobs.len() > page;
        jobs.truncate(page);
        let next_page_token = match jobs.last() {
            Some(last) if more => encode_page_token(last.id, &filters),
            _ => String::new(),
        };
        Ok(v1::ListJobsResponse {
            jobs: jobs.iter().filter_map(|job| self.jobs.told(job)).collect(),
            next_page_token,
        })
    }
}

fn parse(request: &v1::ListJobsRequest) -> Result<(JobFilter, i32), Failure> {
    let mut violations = Vec::new();
    let found = &mut violations;
    let filter = JobFilter {
        state: parse_enum("state", request.state, found),
        upload: match request.upload_id.as_str() {
            "" => None,
            id => parse_id("upload_id", id, found),
        },
        created_min: parse_timestamp("create_time_min", request.create_time_min.as_ref(), found),
        created_max: parse_timestamp("create_time_max", request.create_time_max.as_ref(), found),
        living_only: false,
    };
    let page_size = parse_page_size(request.page_size, found);
    all_valid(violations)?;
    Ok((filter, page_size))
}

/// All filters, for the page token to be bound to.
fn token_filters(filter: &JobFilter) -> [String; 4] {
    let time = |at: Option<Timestamp>| at.map_or_else(String::new, |at| at.to_string());
    [
        filter.state.map_or("", JobState::as_str).to_owned(),
        filter.upload.map_or_else(String::new, |id| id.to_string()),
        time(filter.created_min),
        time(filter.created_max),
    ]
}
