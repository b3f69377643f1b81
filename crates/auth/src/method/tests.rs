use std::collections::BTreeSet;

use prost::Message as _;
use prost_types::FileDescriptorSet;
use reelway_domain::{Tenant, Timestamp, UploadId};

use super::*;
use crate::{Scopes, UploadGrant};

/// Every method of the contract.
fn contract() -> BTreeSet<String> {
    let set = FileDescriptorSet::decode(reelway::FILE_DESCRIPTOR_SET).unwrap();
    let mut methods = BTreeSet::new();
    for file in &set.file {
        for service in &file.service {
            for method in &service.method {
                methods.insert(format!("/{}.{}/{}", file.package(), service.name(), method.name()));
            }
        }
    }
    methods
}

fn scoped(scopes: &[Scope]) -> Identity {
    Identity {
        tenant: Tenant::single(),
        access: Access::Scoped(scopes.iter().copied().collect()),
    }
}

#[test]
fn every_method_has_one_rule() {
    let ruled: BTreeSet<String> = RULES.iter().map(|rule| rule.method.to_owned()).collect();
    assert_eq!(ruled, contract());
    assert_eq!(ruled.len(), RULES.len());
}

#[test]
fn every_method_takes_something() {
    let (nobody, everybody) = (scoped(&[]), Identity::anybody());
    for method in contract() {
        let refused = allow(&method, &nobody).unwrap_err();
        assert_eq!(refused.reason, Reason::PermissionMissing, "{method}");
        assert_eq!(allow(&method, &everybody), Ok(()), "{method}");
    }
}

#[test]
fn what_only_reads_changes_nothing() {
    let changes = [
        "Create", "Write", "Stream", "Put", "Report", "Complete", "Abort", "Cancel", "Retry", "Delete",
    ];
    let reader = scoped(&[Scope::UploadsRead, Scope::JobsRead]);
    for method in contract() {
        let name = method.rsplit('/').next().unwrap();
        let is_change = changes.iter().any(|word| name.starts_with(word));
        assert_eq!(allow(&method, &reader).is_err(), is_change, "{method}");
    }
}

#[test]
fn the_scopes_of_one_service_open_no_other() {
    for (scopes, service) in [
        (&[Scope::UploadsRead, Scope::UploadsWrite][..], "UploadService"),
        (&[Scope::JobsRead, Scope::JobsWrite], "JobService ProgressService"),
    ] {
        for method in contract() {
            let of = method.trim_start_matches("/reelway.v1.").split('/').next().unwrap();
            assert_eq!(
                allow(&method, &scoped(scopes)).is_ok(),
                service.contains(of),
                "{method}"
            );
        }
    }
    let writer = scoped(&[Scope::UploadsWrite]);
    assert_eq!(allow("/reelway.v1.UploadService/GetUpload", &writer), Ok(()));
    assert!(allow("/reelway.v1.UploadService/ListUploads", &writer).is_err());
}

#[test]
fn a_grant_opens_the_way_of_the_bytes_only() {
    let holder = Identity {
        tenant: Tenant::single(),
        access: Access::Grant(UploadGrant {
            upload: UploadId::new(),
            size: None,
            content_type: String::new(),
            expires_at: Timestamp(0),
        }),
    };
    let open = [
        "WriteUpload",
        "StreamUpload",
        "PutUploadTail",
        "GetUpload",
        "CompleteUpload",
        "CreateUploadParts",
        "ReportUploadParts",
    ];
    for method in contract() {
        let name = method.rsplit('/').next().unwrap();
        assert_eq!(allow(&method, &holder).is_ok(), open.contains(&name), "{method}");
    }
}

#[test]
fn what_is_not_listed_is_not_called() {
    let methods = [
        "",
        "/",
        "/reelway.v1.UploadService/createUpload",
        "/reelway.v1.UploadService/GetUpload/",
    ];
    for method in methods {
        let refused = allow(method, &Identity::anybody()).unwrap_err();
        assert_eq!(refused.reason, Reason::FeatureUnavailable, "{method}");
    }
    assert_eq!(Scopes::all().iter().count(), Scope::ALL.len());
}
