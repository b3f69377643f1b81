//! Uploads that are put together from others, and the parts that they are put together from.

use std::time::Duration;

use reelway_domain::{FileEpoch, Hint, Offset, Reason, Tenant, UploadId, UploadKind, UploadState, WriterId, limits};

use super::{db::Db, fixture::*, on_both};
use crate::{Commit, Created, Error, JoinPart, NewUpload, Opened, Upload, UploadEnd};

on_both!(
    a_joined_upload_has_its_parts_and_their_length,
    only_living_parts_of_the_tenant_are_parts,
    a_request_id_makes_one_joined_upload,
    one_living_server_puts_it_together,
    no_client_becomes_its_writer,
    a_part_has_no_job_of_its_own,
    a_part_makes_no_webhook,
    complete_parts_expire_when_nobody_needs_them,
    complete_parts_can_be_given_up_when_nobody_needs_them,
    to_be_needed_puts_expiry_off,
    what_waits_for_its_parts_ends_with_them,
);

impl Db {
    /// A partial upload; complete if it has a size.
    async fn part(&self, size: Option<i64>) -> Upload {
        let new = NewUpload {
            size,
            kind: UploadKind::Partial,
            ..new_upload()
        };
        let part = self.catalog.create_upload(&new).await.unwrap().into_inner();
        match size {
            Some(size) => self.completed(&part, size).await,
            None => part,
        }
    }

    async fn completed(&self, upload: &Upload, size: i64) -> Upload {
        let writer = self.opened(upload).await;
        let done = self.catalog.complete_upload(upload.id, writer.writer_epoch, size);
        committed(done.await.unwrap())
    }

    async fn joined(&self, parts: &[&Upload]) -> Upload {
        let created = self.catalog.create_upload(&new_joined(parts)).await.unwrap();
        created.into_inner()
    }

    async fn to_join(&self, writer: WriterId, lease: Duration) -> Vec<UploadId> {
        let found = self.catalog.uploads_to_join(writer, lease, None, MANY).await.unwrap();
        found.into_iter().map(|upload| upload.id).collect()
    }

    async fn set_expired(&self, uploads: &[&Upload]) {
        for upload in uploads {
            let sql = format!("UPDATE uploads SET expires_at_ms = 0 WHERE id = '{}'", upload.id);
            self.raw(&sql).await.unwrap();
        }
    }
}

fn new_joined(parts: &[&Upload]) -> NewUpload {
    NewUpload {
        kind: UploadKind::Joined,
        parts: parts.iter().map(|part| part.id).collect(),
        client_state: "final".into(),
        ..new_upload()
    }
}

async fn a_joined_upload_has_its_parts_and_their_length(db: &Db) {
    let (a, b, open) = (db.part(Some(3)).await, db.part(Some(5)).await, db.part(None).await);
    assert_eq!((a.kind, a.parts.as_slice()), (UploadKind::Partial, [].as_slice()));
    db.hints().await;
    let joined = db.joined(&[&b, &a, &b]).await;
    assert_eq!(joined.parts, [b.id, a.id, b.id]);
    assert_eq!((joined.kind, joined.size), (UploadKind::Joined, Some(13)));
    assert_eq!(
        (joined.client_state.as_str(), joined.state),
        ("final", UploadState::Receiving)
    );
    assert_eq!(db.hints().await, [Hint::Upload { upload: joined.id }]);
    assert_eq!(db.upload(joined.id).await, joined);
    let listed = db.catalog.list_uploads(&tenant(), None, None, MANY).await.unwrap();
    assert_eq!(listed[0], joined);
    let waiting = db.joined(&[&a, &open]).await;
    assert_eq!(waiting.size, None);
    let part = |upload: &Upload, size| JoinPart {
        id: upload.id,
        state: upload.state,
        size,
        file_epoch: FileEpoch::FIRST,
        source_key: None,
    };
    let parts = db.catalog.join_parts(waiting.id).await.unwrap();
    assert_eq!(parts, [part(&a, Some(3)), part(&open, None)]);
    let writer = db.opened(&open).await;
    let declared = db.catalog.declare_size(open.id, writer.writer_epoch, 7).await.unwrap();
    assert_eq!(committed(declared).size, Some(7));
    assert_eq!(db.catalog.join_parts(waiting.id).await.unwrap()[1].size, Some(7));
}

async fn only_living_parts_of_the_tenant_are_parts(db: &Db) {
    let good = db.part(Some(3)).await;
    let (whole, _) = db.receiving().await;
    let aborted = db.part(None).await;
    db.catalog.abort_upload(&tenant(), aborted.id).await.unwrap();
    let theirs = NewUpload {
        tenant: Tenant::stored("other".into()),
        kind: UploadKind::Partial,
        ..new_upload()
    };
    let theirs = db.catalog.create_upload(&theirs).await.unwrap().into_inner();
    let unknown = Upload {
        id: UploadId::new(),
        ..good.clone()
    };
    let uploads = db.count("uploads").await;
    for bad in [&whole, &aborted, &theirs, &unknown] {
        let refused = db.catalog.create_upload(&new_joined(&[&good, bad])).await.unwrap_err();
        assert!(
            matches!(&refused, Error::PartUnusable(id) if *id == bad.id),
            "{refused}"
        );
        let failure = reelway_domain::Failure::from(refused);
        assert_eq!(failure.reason, Reason::PartUnusable);
        assert_eq!(failure.metadata["partUploadId"], bad.id.to_string());
    }
    let long = NewUpload {
        size: Some(limits::UPLOAD_BYTES_MAX),
        kind: UploadKind::Partial,
        ..new_upload()
    };
    let long = db.catalog.create_upload(&long).await.unwrap().into_inner();
    let refused = db.catalog.create_upload(&new_joined(&[&good, &long])).await;
    assert!(matches!(refused, Err(Error::JoinedTooLong(_))), "{refused:?}");
    assert_eq!(db.count("uploads").await, uploads + 1, "nothing of it was created");
    assert_eq!(db.count("upload_joins").await, 0);
}

async fn a_request_id_makes_one_joined_upload(db: &Db) {
    let part = db.part(Some(3)).await;
    let new = NewUpload {
        request: Some(request("join", 1)),
        ..new_joined(&[&part])
    };
    let first = db.catalog.create_upload(&new).await.unwrap().into_inner();
    let again = NewUpload {
        id: UploadId::new(),
        ..new
    };
    assert_eq!(db.catalog.create_upload(&again).await.unwrap(), Created::Before(first));
}

async fn one_living_server_puts_it_together(db: &Db) {
    let (a, b) = (WriterId::new(), WriterId::new());
    let part = db.part(Some(100)).await;
    let joined = db.joined(&[&part]).await;
    assert_eq!(db.to_join(a, LONG).await, [joined.id]);
    let first = db.catalog.open_joiner(joined.id, a, LONG).await.unwrap().unwrap();
    assert_eq!((first.writer, first.file_epoch), (Some(a), FileEpoch::FIRST));
    assert_eq!(db.to_join(b, LONG).await, [], "somebody has it");
    assert_eq!(db.catalog.open_joiner(joined.id, b, LONG).await.unwrap(), None);
    assert_eq!(
        db.to_join(a, LONG).await,
        [joined.id],
        "who has it is to know that itself"
    );
    assert!(db.catalog.keep_joining(joined.id, first.writer_epoch).await.unwrap());
    committed(db.commit_at(&first, 40).await);

    let stale = format!("UPDATE uploads SET updated_at_ms = 0 WHERE id = '{}'", joined.id);
    db.raw(&stale).await.unwrap();
    assert_eq!(db.to_join(b, LONG).await, [joined.id]);
    let second = db.catalog.open_joiner(joined.id, b, LONG).await.unwrap().unwrap();
    assert_eq!(
        (second.durable_offset, second.parts.as_slice()),
        (Offset(40), [part.id].as_slice())
    );
    assert_eq!(second.file_epoch.0, second.writer_epoch.0, "a file of its own");
    assert!(!db.catalog.keep_joining(joined.id, first.writer_epoch).await.unwrap());
    assert_eq!(db.commit_at(&first, 50).await, Commit::Superseded);
    let earlier = db.catalog.earlier_bytes(&second).await.unwrap().unwrap();
    assert_eq!((earlier.len(), earlier[0].to), (1, Offset(40)));

    db.catalog.let_go(joined.id, second.writer_epoch).await.unwrap();
    let third = db.catalog.open_joiner(joined.id, a, LONG).await.unwrap().unwrap();
    assert_eq!(third.file_epoch, second.file_epoch, "which was let go");
    let done = db
        .catalog
        .complete_upload(joined.id, third.writer_epoch, 100)
        .await
        .unwrap();
    assert_eq!(committed(done).state, UploadState::Complete);
    assert_eq!(db.to_join(a, LONG).await, []);
    assert_eq!(db.catalog.open_joiner(joined.id, a, LONG).await.unwrap(), None);
}

async fn no_client_becomes_its_writer(db: &Db) {
    let part = db.part(None).await;
    let joined = db.joined(&[&part]).await;
    for writer in [WriterId::ONLY, WriterId::new()] {
        let opened = db.catalog.open_writer(&tenant(), joined.id, writer).await.unwrap();
        assert_eq!(opened, Opened::Ended(joined.clone()));
    }
    assert_eq!(db.upload(joined.id).await, joined);
    let (whole, _) = db.receiving().await;
    assert_eq!(
        db.catalog.open_joiner(whole.id, WriterId::ONLY, LONG).await.unwrap(),
        None
    );
}

async fn a_part_has_no_job_of_its_own(db: &Db) {
    let part = db.part(Some(10)).await;
    let made = db.catalog.create_job(&tenant(), part.id, &new_job(), None).await;
    assert!(matches!(made, Err(Error::NoFile(id)) if id == part.id), "{made:?}");
}

async fn a_part_makes_no_webhook(db: &Db) {
    let part = db.part(Some(3)).await;
    assert_eq!(db.count("webhooks").await, 0);
    let joined = db.joined(&[&part]).await;
    let writer = db
        .catalog
        .open_joiner(joined.id, WriterId::ONLY, LONG)
        .await
        .unwrap()
        .unwrap();
    db.catalog
        .complete_upload(joined.id, writer.writer_epoch, 3)
        .await
        .unwrap();
    assert_eq!(db.count("webhooks").await, 1, "what is made of parts does");
}

async fn complete_parts_expire_when_nobody_needs_them(db: &Db) {
    let (free, needed) = (db.part(Some(3)).await, db.part(Some(3)).await);
    let (whole, _) = db.complete().await;
    let joined = db.joined(&[&needed]).await;
    db.set_expired(&[&free, &needed, &whole]).await;
    assert_eq!(db.catalog.expire_uploads(MANY).await.unwrap(), 1);
    let expired = db.upload(free.id).await;
    assert_eq!((expired.state, expired.completed_at), (UploadState::Expired, None));
    assert_eq!(db.upload(needed.id).await.state, UploadState::Complete);
    let writer = db
        .catalog
        .open_joiner(joined.id, WriterId::ONLY, LONG)
        .await
        .unwrap()
        .unwrap();
    db.catalog
        .complete_upload(joined.id, writer.writer_epoch, 3)
        .await
        .unwrap();
    assert_eq!(db.catalog.expire_uploads(MANY).await.unwrap(), 1, "it has served");
    db.set_expired(&[&joined]).await;
    assert_eq!(
        db.catalog.expire_uploads(MANY).await.unwrap(),
        0,
        "what was made of it stays"
    );
    let mut freed = vec![free.id, needed.id];
    freed.sort_unstable();
    assert_eq!(db.catalog.uploads_to_free(MANY).await.unwrap(), freed);
}

async fn complete_parts_can_be_given_up_when_nobody_needs_them(db: &Db) {
    let part = db.part(Some(3)).await;
    let joined = db.joined(&[&part]).await;
    let refused = db.catalog.abort_upload(&tenant(), part.id).await.unwrap();
    assert!(matches!(refused, UploadEnd::Before(part) if part.state == UploadState::Complete));
    db.catalog.abort_upload(&tenant(), joined.id).await.unwrap();
    let UploadEnd::Ended(aborted) = db.catalog.abort_upload(&tenant(), part.id).await.unwrap() else {
        panic!("nobody needs it");
    };
    assert_eq!((aborted.state, aborted.completed_at), (UploadState::Aborted, None));
}

async fn to_be_needed_puts_expiry_off(db: &Db) {
    let (complete, open) = (db.part(Some(3)).await, db.part(None).await);
    db.set_expired(&[&complete, &open]).await;
    let joined = db.joined(&[&complete, &open]).await;
    for part in [&complete, &open] {
        assert!(db.upload(part.id).await.expires_at >= joined.created_at);
    }
    assert_eq!(db.catalog.expire_uploads(MANY).await.unwrap(), 0);
}

async fn what_waits_for_its_parts_ends_with_them(db: &Db) {
    let open = db.part(None).await;
    let joined = db.joined(&[&open]).await;
    db.set_expired(&[&joined]).await;
    assert_eq!(
        db.catalog.expire_uploads(MANY).await.unwrap(),
        0,
        "its part still receives"
    );
    db.completed(&open, 3).await;
    assert_eq!(
        db.catalog.expire_uploads(MANY).await.unwrap(),
        1,
        "nobody could put it together"
    );
    assert_eq!(db.upload(joined.id).await.state, UploadState::Expired);
}
