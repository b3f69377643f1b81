//! Uploads into a real server that speaks S3, which `scripts/test` starts (`REELWAY_TEST_S3`, with the credentials where AWS's own
//! tools look for them), and into the same one behind what speaks as Google Cloud Storage does.

use bytes::Bytes;
use futures_util::TryStreamExt as _;
use rand::{Rng as _, SeedableRng as _, rngs::StdRng};
use reelway_domain::{Offset, Staged, StagedChange, UploadId, WriterEpoch, limits};
use reelway_testkit::{S3Call, S3Fault, S3Proxy};

use super::*;
use crate::{
    Extent,
    testing::{At, on_each},
};

const MIB: usize = 1 << 20;

on_each!(
    every_length_comes_back_as_it_was_sent,
    takeovers_lose_nothing_and_mix_nothing,
    many_small_syncs_are_brought_together,
    who_finds_no_room_waits_and_everybody_gets_on,
    nothing_is_left_of_what_was_given_up,
    a_tail_is_there_only_when_it_is_whole,
    an_answer_to_a_completion_may_be_lost
);

/// What the catalog would know of an upload.
#[derive(Debug, Clone)]
struct Ledger {
    id: UploadId,
    staged: Staged,
    epoch: WriterEpoch,
    durable: usize,
}

impl Ledger {
    fn new() -> Self {
        Self {
            id: UploadId::new(),
            staged: Staged {
                multipart: None,
                parts: Vec::new(),
                rests: Vec::new(),
                next_number: 1,
            },
            epoch: WriterEpoch(0),
            durable: 0,
        }
    }

    /// The next writer, which takes over from one that didn't end well.
    fn writer(&mut self, store: &BucketStore, size: Option<usize>) -> StagedObject {
        self.epoch = WriterEpoch(self.epoch.0 + 1);
        self.staged.next_number += u32::try_from(limits::PARTS_IN_FLIGHT_MAX).unwrap();
        let size = size.map(|size| Offset(i64::try_from(size).unwrap()));
        store.writer(self.id, self.epoch, size, self.staged.clone(), false)
    }

    fn record(&mut self, offset: Offset, change: &StagedChange) {
        let staged = &mut self.staged;
        if let Some(multipart) = &change.multipart {
            staged.multipart = Some(multipart.clone());
        }
        staged.parts.extend(change.parts.iter().cloned());
        let parts_end = change.parts.last().map_or(0, |part| part.to().0);
        let rests_begin = change.rests.first().map_or(i64::MAX, |rest| rest.from.0);
        staged
            .rests
            .retain(|rest| rest.from.0 >= parts_end && rest.from.0 < rests_begin);
        staged.rests.extend(change.rests.iter().cloned());
        if let Some(last) = change.parts.last() {
            staged.next_number = staged.next_number.max(last.number + 1);
        }
        let durable = usize::try_from(offset.0).unwrap();
        assert!(durable >= self.durable, "offsets never go back");
        self.durable = durable;
    }

    async fn sync(&mut self, writer: &StagedObject, extent: Extent) {
        let synced = writer.sync(extent).await.unwrap();
        self.record(synced.offset, &synced.change);
        writer.recorded(&synced.change).await;
    }

    /// Ends the upload, and gives what the bucket has of it.
    async fn complete(&mut self, store: &BucketStore, writer: &StagedObject, size: usize) -> Bytes {
        let end = Offset(i64::try_from(size).unwrap());
        let synced = writer.finish(end).await.unwrap();
        self.record(synced.offset, &synced.change);
        writer.recorded(&synced.change).await;
        let key = writer.assemble(end).await.unwrap();
        assert_eq!(
            writer.assemble(end).await.unwrap(),
            key,
            "the answer to the first time may have been lost"
        );
        let reader = store.reader(&key);
        assert_eq!(reader.size_bytes().await.unwrap(), size as u64);
        store.remove_upload(self.id, Some(&key), None).await.unwrap();
        reader.read_at(Offset::ZERO, size).await.unwrap()
    }
}

/// A store on the S3 server, by way of this address.
pub(super) async fn store_at(endpoint: &str, memory_bytes_max: Option<u64>) -> BucketStore {
    let url = std::env::var("REELWAY_TEST_S3").expect("scripts/test sets REELWAY_TEST_S3");
    let settings = BucketSettings {
        endpoint: Some(endpoint.parse().unwrap()),
        upload_memory_bytes_max: memory_bytes_max,
        ..BucketSettings::default()
    };
    BucketStore::open(&url.parse().unwrap(), &settings).await.unwrap()
}

pub(super) fn content(size: usize, seed: u64) -> Bytes {
    let mut bytes = vec![0; size];
    StdRng::seed_from_u64(seed).fill(&mut bytes[..]);
    bytes.into()
}

async fn write(writer: &StagedObject, content: &Bytes, from: usize, to: usize) {
    let mut at = from;
    while at < to {
        let end = to.min(at + 700_001);
        let offset = Offset(i64::try_from(at).unwrap());
        writer.write_at(offset, content.slice(at..end)).await.unwrap();
        at = end;
    }
}

async fn every_length_comes_back_as_it_was_sent(at: At) {
    let store = at.store(None).await;
    for size in [0, 1, 3 * MIB, 8 * MIB, 8 * MIB + 1, 16 * MIB, 20 * MIB + 7] {
        for known in [Some(size), None] {
            let (mut ledger, content) = (Ledger::new(), content(size, 1));
            let writer = ledger.writer(&store, known);
            write(&writer, &content, 0, size).await;
            assert!(
                ledger.complete(&store, &writer, size).await == content,
                "{size} bytes, announced: {known:?}"
            );
        }
    }
}

async fn takeovers_lose_nothing_and_mix_nothing(at: At) {
    let store = at.store(None).await;
    // Each takes seconds, and what providers do otherwise shows in two.
    let seeds = if at == At::S3 { 0..6 } else { 6..8 };
    for seed in seeds {
        let mut dice = StdRng::seed_from_u64(seed);
        let size = dice.random_range(9 * MIB..40 * MIB);
        let (mut ledger, right, wrong) = (Ledger::new(), content(size, seed), content(size, seed + 100));
        let mut stale: Vec<StagedObject> = Vec::new();
        let mut writer = ledger.writer(&store, None);
        while ledger.durable < size {
            let to = size.min(ledger.durable + dice.random_range(1..9 * MIB));
            write(&writer, &right, ledger.durable, to).await;
            if dice.random_bool(0.7) || to == size {
                ledger.sync(&writer, Extent::Everything).await;
                assert_eq!(ledger.durable, to);
            }
            // A writer that was paused goes on later, with other bytes: nothing of it may count.
            let successor = ledger.writer(&store, None);
            stale.push(std::mem::replace(&mut writer, successor));
            if dice.random_bool(0.5) {
                let late = &stale[dice.random_range(0..stale.len())];
                let at = usize::try_from(late.inner.state.lock().await.buffer.to()).unwrap();
                let end = size.min(at + 9 * MIB);
                let offset = Offset(i64::try_from(at).unwrap());
                // It may fail: what it would read back may be gone.
                let _ = late.write_at(offset, wrong.slice(at..end)).await;
                let _ = late.sync(Extent::Everything).await;
            }
        }
        assert!(ledger.complete(&store, &writer, size).await == right, "seed {seed}");
    }
}

/// The object is there, and the multipart upload isn't any more: on Google that is what the next try hears.
async fn an_answer_to_a_completion_may_be_lost(at: At) {
    let bucket = at.bucket();
    let server = bucket.endpoint().trim_start_matches("http://").parse().unwrap();
    let proxy = S3Proxy::before(server).await;
    let store = bucket.open_by(&proxy.url()).await;
    let (mut ledger, content) = (Ledger::new(), content(20 * MIB + 7, 11));
    let writer = ledger.writer(&store, None);
    write(&writer, &content, 0, content.len()).await;
    let mut completions = 0;
    proxy.breaks(move |call| {
        completions += usize::from(call == S3Call::Complete);
        (call == S3Call::Complete && completions == 1).then_some(S3Fault::LostReply)
    });
    assert!(ledger.complete(&store, &writer, content.len()).await == content);
    let calls = proxy.take_calls();
    let completions = calls.iter().filter(|call| **call == S3Call::Complete);
    assert!(completions.count() > 1, "it was tried again: {calls:?}");
}

async fn many_small_syncs_are_brought_together(at: At) {
    let store = at.store(None).await;
    let (mut ledger, content) = (Ledger::new(), content(9 * MIB, 3));
    let (mut at, step) = (0, 100_000);
    while at < content.len() {
        let to = content.len().min(at + step);
        let writer = ledger.writer(&store, Some(content.len()));
        write(&writer, &content, at, to).await;
        ledger.sync(&writer, Extent::Everything).await;
        assert!(ledger.staged.rests.len() <= 65);
        at = to;
    }
    let writer = ledger.writer(&store, Some(content.len()));
    assert!(ledger.complete(&store, &writer, content.len()).await == content);
}

async fn who_finds_no_room_waits_and_everybody_gets_on(at: At) {
    let store = at.store(Some(17 * MIB as u64)).await;
    let uploads = (0..6).map(|seed| {
        let store = store.clone();
        async move {
            let (mut ledger, content) = (Ledger::new(), content(11 * MIB, seed));
            let writer = ledger.writer(&store, None);
            write(&writer, &content, 0, content.len()).await;
            assert!(ledger.complete(&store, &writer, content.len()).await == content);
        }
    });
    futures_util::future::join_all(uploads).await;
    assert!(
        store.inner.budget.try_take(17 * MIB as u64).is_some(),
        "all room is given back"
    );
}

async fn holds(store: &BucketStore, upload: UploadId) -> bool {
    let held: Vec<Held> = store.held().try_collect().await.unwrap();
    held.iter().any(|held| held.owner == Owner::Upload(upload))
}

async fn nothing_is_left_of_what_was_given_up(at: At) {
    let store = at.store(None).await;
    let (mut ledger, content) = (Ledger::new(), content(20 * MIB, 5));
    let writer = ledger.writer(&store, None);
    write(&writer, &content, 0, content.len()).await;
    ledger.sync(&writer, Extent::Everything).await;
    let below = store.inner.names.upload(ledger.id);
    assert_eq!(store.inner.wire.begun(&below).await.unwrap().len(), 1);
    assert!(holds(&store, ledger.id).await);
    store.remove_upload(ledger.id, None, None).await.unwrap();
    assert_eq!(store.inner.wire.begun(&below).await.unwrap(), []);
    assert!(!holds(&store, ledger.id).await);
}

async fn a_tail_is_there_only_when_it_is_whole(at: At) {
    let store = at.store(None).await;
    let id = UploadId::new();
    let (source, from) = (content(24 * MIB, 9), 3 * MIB);
    let end = Offset(i64::try_from(source.len()).unwrap());
    let tail = Offset(i64::try_from(from).unwrap());
    let draft = async |bytes: Bytes| {
        let mut draft = store.begin_tail(id, tail, end).await;
        for at in (0..bytes.len()).step_by(700_001) {
            let piece = bytes.slice(at..bytes.len().min(at + 700_001));
            draft = draft.append(piece).await.unwrap();
        }
        draft
    };
    let right = source.slice(from..);
    let below = store.inner.names.upload(id);
    let given_up = draft(right.clone()).await;
    assert!(!draft(right.clone()).await.is_like_kept().await.unwrap());
    assert!(store.tail(id, tail).size_bytes().await.is_err(), "it is not kept yet");
    drop(given_up);
    while !store.inner.wire.begun(&below).await.unwrap().is_empty() {
        tokio::task::yield_now().await;
    }
    draft(right.clone()).await.keep().await.unwrap();
    assert!(draft(right.clone()).await.is_like_kept().await.unwrap());
    assert!(
        !draft(source.slice(..source.len() - from))
            .await
            .is_like_kept()
            .await
            .unwrap()
    );

    let mut ledger = Ledger::new();
    let writer = ledger.writer(&store, None);
    write(&writer, &source, 0, source.len()).await;
    let synced = writer.finish(end).await.unwrap();
    ledger.record(synced.offset, &synced.change);
    writer.recorded(&synced.change).await;
    let key = writer.assemble(end).await.unwrap();
    assert!(store.tail_is_like(id, &key, tail, end).await.unwrap());
    draft(content(right.len(), 10)).await.keep().await.unwrap();
    assert!(!store.tail_is_like(id, &key, tail, end).await.unwrap());
    store.remove_tail(id, tail).await.unwrap();
    assert!(store.tail(id, tail).size_bytes().await.is_err());
    store.remove_upload(id, None, None).await.unwrap();
    store.remove_upload(ledger.id, None, None).await.unwrap();
}
