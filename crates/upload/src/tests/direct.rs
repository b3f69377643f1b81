//! Bytes that go past the server, into a real bucket.

use bytes::Bytes;
use metrics_util::debugging::{DebugValue, DebuggingRecorder, Snapshotter};
use reelway::v1::{self, UploadState};
use reelway_auth::{Access, Identity, UploadGrant};
use reelway_domain::{Failure, Reason, Timestamp, UploadId};
use sha2::{Digest as _, Sha256};
use tonic::transport::Channel;

use super::harness::*;

type Client = reelway::v1::upload_service_client::UploadServiceClient<Channel>;

/// As long as the store makes them for such files.
const PART_BYTES: usize = 8 * MIB;

/// What a part is in the end: its number, and what the store calls it.
type Put = (i32, String);

async fn due(
    client: &Client,
    upload: &v1::Upload,
    writer_epoch: Option<i64>,
) -> Result<v1::CreateUploadPartsResponse, Failure> {
    due_for(client, upload, writer_epoch, None).await
}

async fn due_for(
    client: &Client,
    upload: &v1::Upload,
    writer_epoch: Option<i64>,
    lifetime: Option<prost_types::Duration>,
) -> Result<v1::CreateUploadPartsResponse, Failure> {
    let request = v1::CreateUploadPartsRequest {
        upload_id: upload.id.clone(),
        writer_epoch,
        part_count: 0,
        lifetime,
    };
    let answer = client.clone().create_upload_parts(request).await;
    answer.map(tonic::Response::into_inner).map_err(failure)
}

/// A plain PUT, as a browser would make it. Gives the status and the ETag.
async fn put(url: &str, body: Bytes) -> (u16, String) {
    let answer = reqwest::Client::new().put(url).body(body).send().await.unwrap();
    let etag = answer.headers().get("etag").map_or("", |etag| etag.to_str().unwrap());
    (answer.status().as_u16(), etag.to_owned())
}

/// Puts the bytes of the file where they belong.
async fn put_part(part: &v1::UploadPart, file: &Bytes) -> Put {
    let from = usize::try_from(part.offset).unwrap();
    let to = from + usize::try_from(part.size_bytes).unwrap();
    let (status, etag) = put(&part.url, file.slice(from..to)).await;
    assert_eq!(status, 200, "part {}", part.number);
    (part.number, etag)
}

async fn report(client: &Client, upload: &v1::Upload, writer_epoch: i64, parts: &[Put]) -> Result<i64, Failure> {
    let parts = parts.iter().cloned();
    let request = v1::ReportUploadPartsRequest {
        upload_id: upload.id.clone(),
        writer_epoch,
        parts: parts.map(|(number, etag)| v1::UploadedPart { number, etag }).collect(),
    };
    let answer = client
        .clone()
        .report_upload_parts(request)
        .await
        .map_err(failure)?
        .into_inner();
    assert_eq!(answer.upload.unwrap().durable_offset, answer.durable_offset);
    Ok(answer.durable_offset)
}

async fn complete(client: &Client, upload: &v1::Upload) -> Result<v1::Upload, Failure> {
    let request = v1::CompleteUploadRequest {
        upload_id: upload.id.clone(),
        size_bytes: upload.size_bytes(),
    };
    let answer = client.clone().complete_upload(request).await.map_err(failure)?;
    Ok(answer.into_inner().upload.unwrap())
}

/// What the bucket has of a complete upload.
async fn in_bucket(node: &Node, upload: &v1::Upload) -> Bytes {
    let row = node.row(&upload.id).await;
    let reader = node.store.bucket().unwrap().reader(&row.source_key.unwrap());
    let size = usize::try_from(row.size.unwrap()).unwrap();
    assert_eq!(reader.size_bytes().await.unwrap(), size as u64);
    reader.read_at(reelway_domain::Offset::ZERO, size).await.unwrap()
}

fn counted(snapshotter: &Snapshotter, name: &str) -> u64 {
    let found = snapshotter
        .snapshot()
        .into_vec()
        .into_iter()
        .filter_map(|(key, _, _, value)| match value {
            DebugValue::Counter(count) if key.key().name() == name => Some(count),
            _ => None,
        });
    found.sum()
}

#[tokio::test]
async fn a_file_goes_past_the_server() {
    let recorder = DebuggingRecorder::new();
    let _guard = metrics::set_default_local_recorder(&recorder);
    let (node, file) = (Node::start(At::Bucket).await, content(2 * PART_BYTES + 7));
    let request = v1::CreateUploadRequest {
        size_bytes: Some(i64::try_from(file.len()).unwrap()),
        expected_sha256: Sha256::digest(&file).to_vec().into(),
        ..Default::default()
    };
    let upload = node.create_with(request).await.unwrap();
    let answer = due(&node.client, &upload, None).await.unwrap();
    let (epoch, parts) = (answer.writer_epoch, answer.parts);
    let places: Vec<_> = parts.iter().map(|part| (part.offset, part.size_bytes)).collect();
    let part_bytes = i64::try_from(PART_BYTES).unwrap();
    assert_eq!(places, [(0, part_bytes), (part_bytes, part_bytes), (2 * part_bytes, 7)]);
    let last = put_part(&parts[2], &file).await;
    assert_eq!(
        report(&node.client, &upload, epoch, std::slice::from_ref(&last)).await,
        Ok(0),
        "there is a gap before it"
    );
    let early = complete(&node.client, &upload).await.unwrap_err();
    assert_eq!(early.reason, Reason::SizeMismatch);
    // Whoever asks for completion is a writer.
    let answer = due(&node.client, &upload, None).await.unwrap();
    let (epoch, parts) = (answer.writer_epoch, answer.parts);
    let mut put = Vec::new();
    for part in [&parts[2], &parts[1], &parts[0]] {
        put.push(put_part(part, &file).await);
    }
    assert_eq!(
        report(&node.client, &upload, epoch, &put[1..]).await,
        Ok(2 * part_bytes)
    );
    assert_eq!(
        report(&node.client, &upload, epoch, &put).await,
        Ok(upload.size_bytes())
    );
    assert_eq!(
        report(&node.client, &upload, epoch, &put).await,
        Ok(upload.size_bytes()),
        "twice"
    );
    assert_eq!(due(&node.client, &upload, Some(epoch)).await.unwrap().parts, []);
    let done = complete(&node.client, &upload).await.unwrap();
    assert_eq!(done.state(), UploadState::Complete);
    assert!(in_bucket(&node, &upload).await == file);
    let snapshot = recorder.snapshotter();
    // A look takes what was counted.
    let through: u64 = counted(&snapshot, "reelway_upload_bytes_total");
    assert_eq!(through, 0, "no byte came through the server");
    let late = report(&node.client, &upload, epoch, &put).await.unwrap_err();
    assert_eq!(late.reason, Reason::UploadComplete);
    assert_eq!(
        due(&node.client, &upload, None).await.unwrap_err().reason,
        Reason::UploadComplete
    );
}

#[tokio::test]
async fn another_run_goes_on_with_what_counts() {
    let (node, file) = (Node::start(At::Bucket).await, content(3 * PART_BYTES));
    let upload = node.create(Some(file.len())).await;
    let first = due(&node.client, &upload, None).await.unwrap();
    let half = put_part(&first.parts[0], &file).await;
    let behind = put_part(&first.parts[2], &file).await;
    report(&node.client, &upload, first.writer_epoch, &[half, behind])
        .await
        .unwrap();

    let second = due(&node.client, &upload, None).await.unwrap();
    let standing = second.upload.unwrap();
    assert_eq!(standing.durable_offset, second.parts[0].offset);
    assert_eq!(usize::try_from(standing.durable_offset), Ok(PART_BYTES));
    assert!(second.parts[0].number > first.parts[2].number, "no number twice");
    // What the first run still does counts for nothing.
    let stale = put_part(&first.parts[1], &file).await;
    let refused = report(&node.client, &upload, first.writer_epoch, std::slice::from_ref(&stale))
        .await
        .unwrap_err();
    assert_eq!(refused.reason, Reason::WriterSuperseded);
    let refused = report(&node.client, &upload, second.writer_epoch, &[stale])
        .await
        .unwrap_err();
    assert_eq!(refused.reason, Reason::PartMismatch);
    let refused = due(&node.client, &upload, Some(first.writer_epoch)).await.unwrap_err();
    assert_eq!(refused.reason, Reason::WriterSuperseded);

    for part in &second.parts {
        let put = put_part(part, &file).await;
        report(&node.client, &upload, second.writer_epoch, &[put])
            .await
            .unwrap();
    }
    complete(&node.client, &upload).await.unwrap();
    assert!(in_bucket(&node, &upload).await == file);
}

#[tokio::test]
async fn what_the_store_has_otherwise_does_not_count() {
    let (node, file) = (Node::start(At::Bucket).await, content(2 * PART_BYTES));
    let upload = node.create(Some(file.len())).await;
    let answer = due(&node.client, &upload, None).await.unwrap();
    let (epoch, parts) = (answer.writer_epoch, answer.parts);
    let good = put_part(&parts[0], &file).await;
    let wrong = |number: i32, etag: &str| vec![good.clone(), (number, etag.to_owned())];
    let (_, short) = put(&parts[1].url, file.slice(..PART_BYTES - 1)).await;
    let other = "\"d41d8cd98f00b204e9800998ecf8427e\"";
    for (what, report_of, why) in [
        ("another length", wrong(parts[1].number, &short), "length"),
        ("never handed out", wrong(999, &short), "handed out"),
        ("no number", wrong(-1, &short), "handed out"),
        ("another ETag", vec![(good.0, other.to_owned())], "ETag"),
    ] {
        let refused = report(&node.client, &upload, epoch, &report_of).await.unwrap_err();
        assert_eq!(refused.reason, Reason::PartMismatch, "{what}");
        assert!(refused.message.contains(why), "{what}: {refused}");
        assert_eq!(
            node.get(&upload.id).await.durable_offset,
            0,
            "{what}: nothing of it counts"
        );
    }
    assert_eq!(
        report(&node.client, &upload, epoch, std::slice::from_ref(&good)).await,
        Ok(8 << 20)
    );
    let changed = report(&node.client, &upload, epoch, &[(good.0, other.to_owned())])
        .await
        .unwrap_err();
    assert_eq!(changed.reason, Reason::PartMismatch, "it counts already, as it was");
    // A part that was put again is what is there now.
    let put = put_part(&parts[1], &file).await;
    assert_eq!(report(&node.client, &upload, epoch, &[put]).await, Ok(16 << 20));
    complete(&node.client, &upload).await.unwrap();
    assert!(in_bucket(&node, &upload).await == file);
}

#[tokio::test]
async fn a_stream_takes_over_from_a_client_of_the_bucket() {
    let (node, file) = (Node::start(At::Bucket).await, content(3 * PART_BYTES + 5));
    let upload = node.create(Some(file.len())).await;
    let direct = due(&node.client, &upload, None).await.unwrap();
    let other = Bytes::from(vec![7; file.len()]);
    let first = put_part(&direct.parts[0], &file).await;
    report(&node.client, &upload, direct.writer_epoch, &[first])
        .await
        .unwrap();
    let stale = put_part(&direct.parts[1], &other).await;

    let (mut stream, standing) = Stream::open(&node, chunk(&upload, PART_BYTES, Bytes::new())).await;
    assert_eq!(usize::try_from(standing.durable_offset), Ok(PART_BYTES));
    let refused = report(&node.client, &upload, direct.writer_epoch, &[stale])
        .await
        .unwrap_err();
    assert_eq!(refused.reason, Reason::WriterSuperseded);
    for chunk in chunks(&upload, &file, PART_BYTES, MIB) {
        stream.send(chunk).await;
    }
    // With URLs that are good, while it is being written or after its end.
    for part in &direct.parts[1..] {
        let from = usize::try_from(part.offset).unwrap();
        let to = from + usize::try_from(part.size_bytes).unwrap();
        put(&part.url, other.slice(from..to)).await;
    }
    stream.close();
    assert_eq!(stream.end().await.unwrap().state(), UploadState::Complete);
    assert!(in_bucket(&node, &upload).await == file);
}

#[tokio::test]
async fn a_client_of_the_bucket_ends_a_stream() {
    let (node, file) = (Node::start(At::Bucket).await, content(2 * PART_BYTES));
    let upload = node.create(Some(file.len())).await;
    let (mut stream, _) = Stream::open(&node, chunk(&upload, 0, Bytes::new())).await;
    let direct = due(&node.client, &upload, None).await.unwrap();
    refused(stream.end().await, Reason::WriterSuperseded);
    let mut put = Vec::new();
    for part in &direct.parts {
        put.push(put_part(part, &file).await);
    }
    report(&node.client, &upload, direct.writer_epoch, &put).await.unwrap();
    complete(&node.client, &upload).await.unwrap();
    assert!(in_bucket(&node, &upload).await == file);
}

#[tokio::test]
async fn a_url_that_has_ended_is_renewed() {
    let (node, file) = (Node::start(At::Bucket).await, content(100));
    let upload = node.create(Some(file.len())).await;
    let brief = prost_types::Duration { seconds: 1, nanos: 0 };
    let first = due_for(&node.client, &upload, None, Some(brief)).await.unwrap();
    let url = &first.parts[0].url;
    until(async || put(url, file.clone()).await.0 == 403).await;
    let again = due(&node.client, &upload, Some(first.writer_epoch)).await.unwrap();
    assert_eq!(again.writer_epoch, first.writer_epoch);
    assert_eq!(again.parts[0].number, first.parts[0].number);
    assert_eq!(again.parts.len(), 1);
    let put = put_part(&again.parts[0], &file).await;
    report(&node.client, &upload, again.writer_epoch, &[put]).await.unwrap();
    complete(&node.client, &upload).await.unwrap();
    assert!(in_bucket(&node, &upload).await == file);
    for seconds in [0, -1, 24 * 3600 + 1] {
        let lifetime = Some(prost_types::Duration { seconds, nanos: 0 });
        let refused = due_for(&node.client, &upload, None, lifetime).await.unwrap_err();
        assert_eq!(refused.violations[0].field, "lifetime");
    }
}

#[tokio::test]
async fn a_grant_is_enough_for_its_own_upload() {
    let (node, file) = (Node::start(At::Bucket).await, content(100));
    let (mine, other) = (node.create(Some(100)).await, node.create(Some(100)).await);
    let grant = UploadGrant {
        upload: mine.id.parse::<UploadId>().unwrap(),
        size: Some(100),
        content_type: String::new(),
        expires_at: Timestamp(i64::MAX),
    };
    let with = |grant| Identity {
        access: Access::Grant(grant),
        ..Identity::anybody()
    };
    let client = node.client_of(with(grant.clone())).await;
    let theirs = due(&node.client, &other, None).await.unwrap();
    assert_eq!(
        due(&client, &other, None).await.unwrap_err().reason,
        Reason::UploadNotFound
    );
    let refused = report(&client, &other, theirs.writer_epoch, &[]).await.unwrap_err();
    assert_eq!(refused.reason, Reason::UploadNotFound);
    let changed = node
        .client_of(with(UploadGrant {
            size: Some(99),
            ..grant
        }))
        .await;
    assert_eq!(
        due(&changed, &mine, None).await.unwrap_err().reason,
        Reason::PermissionMissing
    );

    let direct = due(&client, &mine, None).await.unwrap();
    let put = put_part(&direct.parts[0], &file).await;
    report(&client, &mine, direct.writer_epoch, &[put]).await.unwrap();
    assert_eq!(complete(&client, &mine).await.unwrap().state(), UploadState::Complete);
    assert!(in_bucket(&node, &mine).await == file);
}

#[tokio::test]
async fn where_it_can_not_be_it_says_so() {
    let node = Node::start(At::Disk).await;
    let upload = node.create(Some(10)).await;
    let (stream, _) = Stream::open(&node, chunk(&upload, 0, Bytes::new())).await;
    let refused = due(&node.client, &upload, None).await.unwrap_err();
    assert_eq!(refused.reason, Reason::DirectUnavailable);
    let refused = report(&node.client, &upload, 1, &[]).await.unwrap_err();
    assert_eq!(refused.reason, Reason::DirectUnavailable);
    assert!(
        node.server.shared.registry.writes(upload.id.parse().unwrap()),
        "nobody was displaced"
    );
    drop(stream);

    let node = Node::start(At::Bucket).await;
    let unknown = node.create(None).await;
    let refused = due(&node.client, &unknown, None).await.unwrap_err();
    assert_eq!(refused.reason, Reason::DirectUnavailable, "its length is not known");
    let begun = node.create(Some(2 * PART_BYTES)).await;
    node.write(vec![flush(chunk(&begun, 0, "a few bytes"))]).await.unwrap();
    let refused = due(&node.client, &begun, None).await.unwrap_err();
    assert_eq!(
        refused.reason,
        Reason::DirectUnavailable,
        "a stream has left less than a part"
    );
}

#[tokio::test]
async fn a_file_that_is_not_what_was_promised_fails() {
    let (node, file) = (Node::start(At::Bucket).await, content(100));
    let request = v1::CreateUploadRequest {
        size_bytes: Some(100),
        expected_sha256: vec![1; 32].into(),
        ..Default::default()
    };
    let upload = node.create_with(request).await.unwrap();
    let direct = due(&node.client, &upload, None).await.unwrap();
    let put = put_part(&direct.parts[0], &file).await;
    report(&node.client, &upload, direct.writer_epoch, &[put])
        .await
        .unwrap();
    let refused = patient(complete(&node.client, &upload)).await;
    assert_eq!(refused.unwrap_err().reason, Reason::FileChecksumMismatch);
    assert_eq!(node.get(&upload.id).await.state(), UploadState::Failed);
}
