//! Which request calls which method: the one table that routing and the OpenAPI description are made of.
//!
//! A list's filters are parameters of the query, a call's message is the body, and `{id}` in the path sets the field that the
//! route names.

use Service::{Jobs, Progress, Uploads};
use http::Method;

/// Every route of the JSON API.
pub(super) const ROUTES: &[Route] = &[
    Route::post("/v1/uploads", Uploads, "CreateUpload"),
    Route::get("/v1/uploads", Uploads, "ListUploads").query(&["page_size", "page_token", "state"]),
    Route::get("/v1/uploads/{id}", Uploads, "GetUpload").id("upload_id"),
    Route::delete("/v1/uploads/{id}", Uploads, "AbortUpload").id("upload_id"),
    Route::post("/v1/uploads/{id}/complete", Uploads, "CompleteUpload").id("upload_id"),
    Route::post("/v1/uploads/{id}/grants", Uploads, "CreateUploadGrant").id("upload_id"),
    Route::post("/v1/uploads/{id}/parts", Uploads, "CreateUploadParts").id("upload_id"),
    Route::post("/v1/uploads/{id}/parts/report", Uploads, "ReportUploadParts").id("upload_id"),
    Route::get("/v1/uploads/{id}/progress", Progress, "GetProgress")
        .id("upload_id")
        .named("getUploadProgress"),
    Route::post("/v1/jobs", Jobs, "CreateJob"),
    Route::get("/v1/jobs", Jobs, "ListJobs").query(&[
        "page_size",
        "page_token",
        "state",
        "upload_id",
        "create_time_min",
        "create_time_max",
    ]),
    Route::get("/v1/jobs/{id}", Jobs, "GetJob").id("job_id"),
    Route::delete("/v1/jobs/{id}", Jobs, "DeleteJob").id("job_id"),
    Route::post("/v1/jobs/{id}/cancel", Jobs, "CancelJob").id("job_id"),
    Route::post("/v1/jobs/{id}/retry", Jobs, "RetryJob").id("job_id"),
    Route::get("/v1/jobs/{id}/tasks", Jobs, "ListTasks").id("job_id"),
    Route::get("/v1/jobs/{id}/progress", Progress, "GetProgress")
        .id("job_id")
        .named("getJobProgress"),
];

/// One line of the table.
#[derive(Debug, Clone, Copy)]
pub(super) struct Route {
    /// How it is asked.
    pub(super) verb: Verb,
    /// The path, with at most one parameter, `{id}`.
    pub(super) path: &'static str,
    /// Whose method it calls.
    pub(super) service: Service,
    /// The method.
    pub(super) method: &'static str,
    /// The field of the request that `{id}` sets.
    pub(super) id: Option<&'static str>,
    /// The fields of the request that the query may set.
    pub(super) query: &'static [&'static str],
    /// What the OpenAPI description calls it, where the method's name is not enough.
    pub(super) name: Option<&'static str>,
}

/// How a route is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verb {
    /// GET, and HEAD with it. Changes nothing.
    Get,
    /// POST: the body is the request.
    Post,
    /// DELETE.
    Delete,
}

/// A service of the contract.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Service {
    Uploads,
    Jobs,
    Progress,
}

impl Route {
    const fn get(path: &'static str, service: Service, method: &'static str) -> Self {
        Self::new(Verb::Get, path, service, method)
    }

    const fn post(path: &'static str, service: Service, method: &'static str) -> Self {
        Self::new(Verb::Post, path, service, method)
    }

    const fn delete(path: &'static str, service: Service, method: &'static str) -> Self {
        Self::new(Verb::Delete, path, service, method)
    }

    const fn new(verb: Verb, path: &'static str, service: Service, method: &'static str) -> Self {
        Self {
            verb,
            path,
            service,
            method,
            id: None,
            query: &[],
            name: None,
        }
    }

    const fn id(self, field: &'static str) -> Self {
        Self {
            id: Some(field),
            ..self
        }
    }

    const fn query(self, fields: &'static [&'static str]) -> Self {
        Self { query: fields, ..self }
    }

    const fn named(self, name: &'static str) -> Self {
        Self {
            name: Some(name),
            ..self
        }
    }
}

impl Verb {
    /// Whether a request with this method asks so.
    pub(super) fn answers(self, method: &Method) -> bool {
        match self {
            Self::Get => method == Method::GET || method == Method::HEAD,
            Self::Post => method == Method::POST,
            Self::Delete => method == Method::DELETE,
        }
    }

    /// What `Allow` says of it.
    pub(super) fn allow(self) -> &'static str {
        match self {
            Self::Get => "GET, HEAD",
            Self::Post => "POST",
            Self::Delete => "DELETE",
        }
    }
}

impl Service {
    /// Its name in the contract.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Uploads => "UploadService",
            Self::Jobs => "JobService",
            Self::Progress => "ProgressService",
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use prost_reflect::{Kind, MethodDescriptor};

    use super::{super::contract, *};

    /// Methods of one request and one answer that no route calls, and why.
    const WITHOUT: [(&str, &str); 0] = [];

    #[test]
    fn each_method_that_is_one_request_and_one_answer_has_a_route() {
        let routed: HashSet<_> = ROUTES
            .iter()
            .map(|route| (route.service.name(), route.method))
            .collect();
        for service in contract::services() {
            for method in service.methods().filter(is_unary) {
                let has_route = routed.contains(&(service.name(), method.name()));
                let is_left_out = WITHOUT.iter().any(|(name, _)| *name == method.name());
                assert!(has_route ^ is_left_out, "{}", method.full_name());
            }
        }
    }

    #[test]
    fn what_a_route_names_is_in_the_contract() {
        for route in ROUTES {
            let service = contract::service(route.service.name()).unwrap();
            let method = service.methods().find(|method| method.name() == route.method);
            let method = method.unwrap_or_else(|| panic!("{route:?}"));
            assert!(is_unary(&method), "{route:?}");
            let field = |name: &str| {
                let field = method.input().get_field_by_name(name);
                field.unwrap_or_else(|| panic!("{name} of {route:?}"))
            };
            assert_eq!(route.id.is_some(), route.path.contains("{id}"), "{route:?}");
            assert!(
                route.id.is_none_or(|name| field(name).kind() == Kind::String),
                "{route:?}"
            );
            for name in route.query {
                let field = field(name);
                // Such a text in the query means the same as the text in JSON.
                let is_text = !matches!(field.kind(), Kind::Bool | Kind::Bytes);
                assert!(is_text && !field.is_list() && !field.is_map(), "{name} of {route:?}");
                assert_eq!(route.verb, Verb::Get, "other requests have a body");
            }
        }
    }

    #[test]
    fn no_request_fits_two_routes() {
        let asked: HashSet<_> = ROUTES.iter().map(|route| (route.path, route.verb.allow())).collect();
        assert_eq!(asked.len(), ROUTES.len());
    }

    fn is_unary(method: &MethodDescriptor) -> bool {
        !method.is_client_streaming() && !method.is_server_streaming()
    }
}
