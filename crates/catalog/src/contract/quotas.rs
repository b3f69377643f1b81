//! What tenants may have: reserved, stored, refused, and free again.

use reelway_domain::{Failure, Offset, Reason, Tenant, UploadId, UploadKind, UploadState, WriterEpoch};

use super::{db::Db, fixture::*, on_both};
use crate::{
    Catalog, Commit, Created, Error, Limit, NewLimits, NewUpload, Quota, QuotaDefaults, QuotaError, TailSet, Upload,
    UploadEnd,
};

on_both!(
    bytes_are_reserved_then_stored_or_free_again,
    what_is_too_much_leaves_nothing_behind,
    only_so_many_uploads_are_open,
    a_repeated_call_reserves_once,
    an_unknown_length_is_reserved_as_it_comes,
    a_declared_length_is_reserved,
    a_joined_upload_takes_over_what_its_parts_hold,
    what_is_joined_twice_counts_twice,
    a_tail_counts_until_its_upload_ends,
    limits_of_its_own_count_before_those_of_the_servers,
    a_smaller_limit_takes_nothing_away,
    an_account_is_counted_anew_when_limits_are_set,
);

/// Bytes that the tenant may have in these tests.
const MAX: i64 = 1000;

pub(super) fn sized(size: impl Into<Option<i64>>) -> NewUpload {
    NewUpload {
        size: size.into(),
        ..new_upload()
    }
}

pub(super) async fn limit(db: &Db, bytes_max: i64, uploads_open_max: i64) {
    let limits = NewLimits {
        bytes_max: Some(Limit::Max(bytes_max)),
        uploads_open_max: Some(Limit::Max(uploads_open_max)),
    };
    db.catalog.set_limits(&tenant(), limits).await.unwrap();
}

pub(super) async fn quota(db: &Db) -> Quota {
    db.catalog.quota(&tenant()).await.unwrap().expect("the tenant")
}

/// Uploads that are open, bytes that are reserved, and bytes that are stored.
async fn account(db: &Db) -> (i64, i64, i64) {
    let quota = quota(db).await;
    (quota.uploads_open, quota.bytes_reserved, quota.bytes_stored)
}

async fn create(db: &Db, new: &NewUpload) -> Result<Upload, Error> {
    db.catalog.create_upload(new).await.map(Created::into_inner)
}

async fn writer(db: &Db, new: &NewUpload) -> Upload {
    let upload = create(db, new).await.unwrap();
    db.opened(&upload).await
}

async fn complete(db: &Db, writer: &Upload, size: i64) -> Result<Commit, Error> {
    db.catalog.complete_upload(writer.id, writer.writer_epoch, size).await
}

async fn commit(catalog: &Catalog, (id, epoch): (UploadId, WriterEpoch), offset: i64) -> Result<Commit, Error> {
    catalog.commit_offset(id, epoch, Offset(offset), LONG).await
}

fn bytes_refusal<T: std::fmt::Debug>(refused: Result<T, Error>) -> QuotaError {
    match refused.unwrap_err() {
        Error::Quota(refusal @ QuotaError::Bytes { .. }) => refusal,
        other => panic!("{other}"),
    }
}

async fn bytes_are_reserved_then_stored_or_free_again(db: &Db) {
    limit(db, MAX, i64::MAX).await;
    let first = writer(db, &sized(600)).await;
    assert_eq!(account(db).await, (1, 600, 0));
    committed(complete(db, &first, 600).await.unwrap());
    assert_eq!(account(db).await, (0, 0, 600));

    let second = create(db, &sized(400)).await.unwrap();
    db.catalog.abort_upload(&tenant(), second.id).await.unwrap();
    assert_eq!(account(db).await, (0, 0, 600));
    let again = db.catalog.abort_upload(&tenant(), second.id).await.unwrap();
    assert!(matches!(again, UploadEnd::Before(_)));

    let third = writer(db, &sized(400)).await;
    let failed = db.catalog.fail_upload(third.id, third.writer_epoch, &permanent()).await;
    committed(failed.unwrap());
    let fourth = create(db, &sized(400)).await.unwrap();
    assert_eq!(account(db).await, (1, 400, 600));
    db.raw("UPDATE uploads SET expires_at_ms = 0").await.unwrap();
    assert_eq!(db.catalog.expire_uploads(MANY).await.unwrap(), 1);
    db.catalog.upload_freed(fourth.id).await.unwrap();
    assert_eq!(account(db).await, (0, 0, 600));
}

async fn what_is_too_much_leaves_nothing_behind(db: &Db) {
    limit(db, MAX, i64::MAX).await;
    create(db, &sized(600)).await.unwrap();
    let too_long = NewUpload {
        job: Some(new_job()),
        request: Some(request("again", 1)),
        ..sized(401)
    };
    let refusal = bytes_refusal(create(db, &too_long).await);
    let expected = QuotaError::Bytes {
        max: MAX,
        used: 600,
        wanted: 401,
    };
    assert_eq!(refusal, expected);
    let failure = Failure::from(Error::Quota(refusal));
    let told = ["quotaBytes", "usedBytes", "sizeBytes"].map(|key| failure.metadata[key].as_str());
    assert_eq!((failure.reason, told), (Reason::QuotaExceeded, ["1000", "600", "401"]));
    assert_eq!((db.count("uploads").await, db.count("jobs").await), (1, 0));
    assert_eq!(account(db).await, (1, 600, 0));
    // The request id was not used up either.
    let shorter = NewUpload {
        id: UploadId::new(),
        size: Some(400),
        ..too_long
    };
    create(db, &shorter).await.unwrap();
    assert_eq!(account(db).await, (2, 1000, 0));
    bytes_refusal(create(db, &sized(i64::MAX)).await);
    create(db, &sized(0)).await.unwrap();
}

async fn only_so_many_uploads_are_open(db: &Db) {
    limit(db, i64::MAX, 2).await;
    let first = writer(db, &sized(None)).await;
    let second = create(db, &sized(5)).await.unwrap();
    let refused = create(db, &sized(None)).await.unwrap_err();
    let Error::Quota(refusal @ QuotaError::UploadsOpen { max: 2, open: 2 }) = refused else {
        panic!("{refused}");
    };
    assert_eq!(Failure::from(refusal).reason, Reason::UploadsTooMany);
    committed(complete(db, &first, 0).await.unwrap());
    create(db, &sized(None)).await.unwrap();
    assert!(create(db, &sized(None)).await.is_err());
    db.catalog.abort_upload(&tenant(), second.id).await.unwrap();
    create(db, &sized(None)).await.unwrap();
}

async fn a_repeated_call_reserves_once(db: &Db) {
    let new = NewUpload {
        request: Some(request("once", 1)),
        ..sized(600)
    };
    for _ in 0..3 {
        create(
            db,
            &NewUpload {
                id: UploadId::new(),
                ..new.clone()
            },
        )
        .await
        .unwrap();
    }
    assert_eq!(account(db).await, (1, 600, 0));
}

async fn an_unknown_length_is_reserved_as_it_comes(db: &Db) {
    const MIB: i64 = 1 << 20;
    limit(db, 100 * MIB, i64::MAX).await;
    let long = writer(db, &sized(None)).await;
    let at = (long.id, long.writer_epoch);
    assert_eq!(account(db).await, (1, 0, 0));
    committed(commit(&db.catalog, at, MIB).await.unwrap());
    assert_eq!(account(db).await, (1, 65 * MIB, 0), "with a stretch ahead");
    committed(commit(&db.catalog, at, 65 * MIB).await.unwrap());
    assert_eq!(account(db).await, (1, 65 * MIB, 0), "which is used up first");
    committed(commit(&db.catalog, at, 90 * MIB).await.unwrap());
    assert_eq!(
        account(db).await,
        (1, 90 * MIB, 0),
        "without one when there is no room for it"
    );
    bytes_refusal(commit(&db.catalog, at, 100 * MIB + 1).await);
    assert_eq!(db.upload(long.id).await.durable_offset, Offset(90 * MIB));
    bytes_refusal(complete(db, &long, 100 * MIB + 1).await);
    assert_eq!(db.upload(long.id).await.state, UploadState::Receiving);
    assert_eq!(
        commit(&db.catalog, (long.id, WriterEpoch(9)), 91 * MIB).await.unwrap(),
        Commit::Superseded
    );
    committed(complete(db, &long, 95 * MIB).await.unwrap());
    assert_eq!(account(db).await, (0, 0, 95 * MIB));

    // What is reserved ahead and not used is free again.
    limit(db, 1000 * MIB, i64::MAX).await;
    let short = writer(db, &sized(None)).await;
    committed(commit(&db.catalog, (short.id, short.writer_epoch), 1).await.unwrap());
    committed(complete(db, &short, 2).await.unwrap());
    assert_eq!(account(db).await, (0, 0, 95 * MIB + 2));
}

async fn a_declared_length_is_reserved(db: &Db) {
    limit(db, MAX, i64::MAX).await;
    let late = writer(db, &sized(None)).await;
    let declare = async |size| db.catalog.declare_size(late.id, late.writer_epoch, size).await;
    bytes_refusal(declare(MAX + 1).await);
    assert_eq!(db.upload(late.id).await.size, None);
    committed(commit(&db.catalog, (late.id, late.writer_epoch), 100).await.unwrap());
    for _ in 0..2 {
        committed(declare(700).await.unwrap());
        assert_eq!(account(db).await, (1, 700, 0));
    }
    committed(complete(db, &late, 700).await.unwrap());
    assert_eq!(account(db).await, (0, 0, 700));
}

async fn a_joined_upload_takes_over_what_its_parts_hold(db: &Db) {
    limit(db, MAX, i64::MAX).await;
    let part = NewUpload {
        kind: UploadKind::Partial,
        ..sized(600)
    };
    let first = writer(db, &part).await;
    let second = NewUpload {
        size: None,
        id: UploadId::new(),
        ..part
    };
    let second = writer(db, &second).await;
    let parts = vec![first.id, second.id];
    let new = NewUpload {
        kind: UploadKind::Joined,
        parts: parts.clone(),
        ..sized(None)
    };
    let joined = create(db, &new).await.unwrap();
    assert_eq!((joined.size, account(db).await), (None, (3, 600, 0)));
    committed(complete(db, &first, 600).await.unwrap());
    committed(complete(db, &second, 400).await.unwrap());
    let joiner = db
        .catalog
        .open_joiner(joined.id, reelway_domain::WriterId::ONLY, LONG)
        .await;
    let joiner = joiner.unwrap().expect("nobody else");
    let at = (joiner.id, joiner.writer_epoch);
    committed(commit(&db.catalog, at, 600).await.unwrap());
    committed(db.catalog.declare_size(at.0, at.1, 1000).await.unwrap());
    assert_eq!(account(db).await, (1, 0, 1000), "the parts hold it all");
    committed(complete(db, &joiner, 1000).await.unwrap());
    assert_eq!(account(db).await, (0, 0, 1000));
    for part in parts {
        db.catalog.abort_upload(&tenant(), part).await.unwrap();
    }
    assert_eq!(account(db).await, (0, 0, 1000));
}

async fn what_is_joined_twice_counts_twice(db: &Db) {
    limit(db, MAX, i64::MAX).await;
    let part = NewUpload {
        kind: UploadKind::Partial,
        ..sized(400)
    };
    let part = writer(db, &part).await;
    committed(complete(db, &part, 400).await.unwrap());
    let of = |times: usize| NewUpload {
        kind: UploadKind::Joined,
        parts: vec![part.id; times],
        ..sized(None)
    };
    let refused = |used, wanted| QuotaError::Bytes { max: MAX, used, wanted };
    assert_eq!(bytes_refusal(create(db, &of(3)).await), refused(400, 800));
    let joined = create(db, &of(2)).await.unwrap();
    assert_eq!((joined.size, account(db).await), (Some(800), (1, 400, 400)));
    let joiner = db
        .catalog
        .open_joiner(joined.id, reelway_domain::WriterId::ONLY, LONG)
        .await;
    let joiner = joiner.unwrap().expect("nobody else");
    committed(complete(db, &joiner, 800).await.unwrap());
    assert_eq!(account(db).await, (0, 0, 800));
    let late = create(db, &of(1)).await;
    assert_eq!(bytes_refusal(late), refused(800, 400), "an earlier one has its bytes");
    db.catalog
        .abort_upload_also_complete(&tenant(), joined.id)
        .await
        .unwrap();
    let again = create(db, &of(2)).await.unwrap();
    assert_eq!(account(db).await, (1, 800, 0));
    db.catalog.abort_upload(&tenant(), again.id).await.unwrap();
    assert_eq!(account(db).await, (0, 0, 0));
}

async fn a_tail_counts_until_its_upload_ends(db: &Db) {
    limit(db, MAX, i64::MAX).await;
    let upload = writer(db, &sized(900)).await;
    let set = async |tail| db.catalog.set_tail(&tenant(), upload.id, Offset(tail)).await;
    bytes_refusal(set(700).await);
    assert_eq!(
        (db.upload(upload.id).await.tail_offset, account(db).await),
        (None, (1, 900, 0))
    );
    for _ in 0..2 {
        assert!(matches!(set(850).await.unwrap(), TailSet::Set(_)));
        assert_eq!(account(db).await, (1, 950, 0));
    }
    assert!(db.catalog.drop_tail(&tenant(), upload.id).await.unwrap());
    assert_eq!(account(db).await, (1, 900, 0));
    set(800).await.unwrap();
    committed(complete(db, &upload, 900).await.unwrap());
    assert_eq!(account(db).await, (0, 0, 900));
    assert!(
        db.catalog.drop_tail(&tenant(), upload.id).await.unwrap(),
        "one that was a lie"
    );
    assert_eq!(
        (db.upload(upload.id).await.tail_offset, account(db).await),
        (None, (0, 0, 900))
    );
}

async fn limits_of_its_own_count_before_those_of_the_servers(db: &Db) {
    let catalog = db.catalog.clone().with_quota(QuotaDefaults {
        bytes_max: Some(100),
        uploads_open_max: Some(1),
    });
    let of = |name: &str, size| NewUpload {
        tenant: Tenant::named(name).unwrap(),
        ..sized(size)
    };
    catalog.create_upload(&of("a", 100)).await.unwrap();
    assert!(matches!(
        catalog.create_upload(&of("a", 0)).await,
        Err(Error::Quota(QuotaError::UploadsOpen { max: 1, .. }))
    ));
    bytes_refusal(catalog.create_upload(&of("b", 101)).await);
    let set = async |bytes_max, uploads_open_max| {
        let limits = NewLimits {
            bytes_max,
            uploads_open_max,
        };
        catalog.set_limits(&Tenant::named("b").unwrap(), limits).await.unwrap();
    };
    set(Some(Limit::NONE), Some(Limit::Max(2))).await;
    catalog.create_upload(&of("b", 101)).await.unwrap();
    catalog.create_upload(&of("b", 1 << 40)).await.unwrap();
    assert!(catalog.create_upload(&of("b", 1)).await.is_err(), "two are open");
    set(None, Some(Limit::NONE)).await;
    catalog.create_upload(&of("b", 1 << 40)).await.unwrap();
    set(Some(Limit::Default), None).await;
    bytes_refusal(catalog.create_upload(&of("b", 1)).await);
    let names: Vec<_> = catalog
        .quotas()
        .await
        .unwrap()
        .into_iter()
        .map(|quota| quota.tenant)
        .collect();
    assert_eq!(names, ["a", "b"].map(|name| Tenant::named(name).unwrap()));
}

async fn a_smaller_limit_takes_nothing_away(db: &Db) {
    let upload = writer(db, &sized(600)).await;
    limit(db, 10, 0).await;
    committed(
        commit(&db.catalog, (upload.id, upload.writer_epoch), 300)
            .await
            .unwrap(),
    );
    bytes_refusal(create(db, &sized(1)).await);
    committed(complete(db, &upload, 600).await.unwrap());
    assert_eq!(account(db).await, (0, 0, 600));
}

async fn an_account_is_counted_anew_when_limits_are_set(db: &Db) {
    create(db, &sized(600)).await.unwrap();
    let stored = writer(db, &sized(30)).await;
    committed(complete(db, &stored, 30).await.unwrap());
    // As servers of an earlier release leave it, which don't count.
    db.raw("UPDATE tenants SET uploads_open = 7, bytes_reserved = 7, bytes_stored = 7")
        .await
        .unwrap();
    limit(db, MAX, 10).await;
    assert_eq!(account(db).await, (1, 600, 30));
    db.raw("UPDATE tenants SET uploads_open = 0").await.unwrap();
    db.catalog
        .abort_upload(
            &tenant(),
            db.catalog
                .list_uploads(&tenant(), Some(UploadState::Receiving), None, 1)
                .await
                .unwrap()[0]
                .id,
        )
        .await
        .unwrap();
    assert_eq!(account(db).await, (0, 0, 30), "an upload that was not counted can end");
}
