//! What is played out of a bucket: the same bytes, whichever way they take, and whatever breaks on it.

use std::{collections::BTreeSet, time::Duration};

use bytes::Bytes;
use hyper::{Response, StatusCode, header};
use reelway::v1;
use reelway_blob::OutputKey;
use reelway_testkit::{S3Call, S3Fault};

use super::Bucket;
use crate::harness::{Clip, Node, Setup, clip, get};

/// A short clip is done long before.
const JOB_MAX: Duration = Duration::from_secs(120);
/// How many pieces the clip has at least: segments, beginnings and pictures.
const PIECES_MIN: usize = 6;
/// An answer that breaks is broken after so many bytes: each piece is longer.
const BROKEN_BYTES: usize = 400;

/// What was read of the bucket since calls were last taken. Beside that the server looks regularly whether the store takes something.
fn reads(bucket: &Bucket) -> Vec<S3Call> {
    let mut calls = bucket.proxy.take_calls();
    calls.retain(|call| matches!(call, S3Call::Get | S3Call::Head));
    calls
}

#[tokio::test(flavor = "multi_thread")]
async fn by_way_of_the_server() {
    plays_by_way_of_the_server(&Bucket::new().await).await;
}

/// Makes a video, and gets all of it from the server.
pub(super) async fn plays_by_way_of_the_server(bucket: &Bucket) {
    let played = Played::on(bucket, bucket.setup()).await;
    for piece in played.pieces().await {
        drop(bucket.proxy.take_calls());
        let answer = get(&piece.url).await;
        assert_eq!(answer.status(), StatusCode::OK, "{}", piece.url);
        assert_eq!(reads(bucket), [S3Call::Get], "one call for {}", piece.url);
        assert!(*answer.body() == played.stored(&piece).await, "{}", piece.url);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn by_way_of_the_server_while_answers_break() {
    let bucket = Bucket::new().await;
    let played = Played::on(&bucket, bucket.setup()).await;
    let pieces = played.pieces().await;
    let mut gets = 0;
    bucket.proxy.breaks(move |call| {
        gets += usize::from(call == S3Call::Get);
        (call == S3Call::Get && gets % 3 != 0).then_some(S3Fault::CutAnswerAfter(BROKEN_BYTES))
    });
    let mut served = Vec::new();
    for piece in pieces {
        drop(bucket.proxy.take_calls());
        let answer = get(&piece.url).await;
        assert_eq!(answer.status(), StatusCode::OK, "{}", piece.url);
        assert!(reads(&bucket).len() > 1, "it broke: {}", piece.url);
        served.push((piece, answer.into_body()));
    }
    bucket.proxy.restore();
    for (piece, body) in served {
        assert!(body == played.stored(&piece).await, "{}", piece.url);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn under_signed_addresses() {
    plays_under_signed_addresses(&Bucket::new().await).await;
}

/// Makes a video, and gets all of it from the bucket, where the server sends to.
pub(super) async fn plays_under_signed_addresses(bucket: &Bucket) {
    let setup = bucket.setup().option("--playback-delivery", "presigned");
    let played = Played::on(bucket, setup.option("--playback", "signed")).await;
    for piece in played.pieces().await {
        drop(bucket.proxy.take_calls());
        let answer = get(&piece.url).await;
        assert_eq!(reads(bucket), [], "the store isn't asked for {}", piece.url);
        let caching = match piece.key {
            Some(_) => "private, max-age=300",
            // Another attempt may make another one.
            None => "private, max-age=60",
        };
        let address = redirected(&answer, caching);
        assert!(address.starts_with(&bucket.proxy.url()), "{address}");
        let answer = get(address).await;
        assert_eq!(answer.status(), StatusCode::OK, "{address}");
        assert!(*answer.body() == played.stored(&piece).await, "{address}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn under_public_addresses() {
    let bucket = Bucket::for_everybody().await;
    let base = bucket.public_url();
    let setup = bucket.setup().option("--playback-delivery", "public");
    let played = Played::on(&bucket, setup.option("--playback-public-url", &base)).await;
    for piece in played.pieces().await {
        // Players find the address in the playlist, but for pictures that no playlist names.
        let address = if piece.url.starts_with(&base) {
            piece.url.clone()
        } else {
            assert!(piece.url.ends_with("/poster.jpg"), "{}", piece.url);
            redirected(&get(&piece.url).await, "public, max-age=60").to_owned()
        };
        assert!(address.starts_with(&base), "{address}");
        let answer = get(&address).await;
        assert_eq!(answer.status(), StatusCode::OK, "{address}");
        assert!(*answer.body() == played.stored(&piece).await, "{address}");
    }
    // Whoever has an older playlist gets there too.
    let pieces = played.pieces().await;
    let (key, url) = pieces
        .iter()
        .find_map(|piece| Some((piece.key.as_ref()?, &piece.url)))
        .expect("a segment");
    let old = format!("{}/c/{key}", played.base);
    assert_eq!(redirected(&get(&old).await, "public, max-age=300"), url);
}

/// Where an answer sends to, which may be used again for so long.
fn redirected<'a>(answer: &'a Response<Bytes>, caching: &str) -> &'a str {
    let told = |name| answer.headers().get(name).map(|value| value.to_str().expect("text"));
    assert_eq!(answer.status(), StatusCode::TEMPORARY_REDIRECT, "{answer:?}");
    assert_eq!(told(header::CACHE_CONTROL), Some(caching));
    // Pages of other origins follow it.
    assert_eq!(told(header::ACCESS_CONTROL_ALLOW_ORIGIN), Some("*"));
    told(header::LOCATION).expect("an address")
}

/// A video that was made, and where its bytes are.
struct Played<'a> {
    bucket: &'a Bucket,
    _node: Node,
    job: v1::Job,
    /// What the names of its playlists are below.
    base: String,
}

/// Something that players get whole, and its key, unless it has a name of its own.
struct Piece {
    url: String,
    key: Option<String>,
}

impl<'a> Played<'a> {
    async fn on(bucket: &'a Bucket, setup: Setup) -> Self {
        let node = Node::set_up(setup).await;
        let upload = node.upload(&clip(Clip::short(5)).await, "fast").await;
        let job = node.job_ended(&upload.job_id, JOB_MAX).await;
        assert_eq!(job.state(), v1::JobState::Succeeded, "{job:?}");
        let (base, _) = job.playback_url.rsplit_once('/').expect("a URL with a path");
        Self {
            bucket,
            _node: node,
            base: base.to_owned(),
            job,
        }
    }

    /// All that players of HLS and of DASH get, besides playlists.
    async fn pieces(&self) -> Vec<Piece> {
        let mut named = BTreeSet::from(["poster.jpg".to_owned()]);
        let (mut lists, mut seen) = (vec!["master.m3u8".to_owned(), "manifest.mpd".to_owned()], 0);
        while let Some(list) = lists.pop() {
            seen += 1;
            let answer = get(&format!("{}/{list}", self.base)).await;
            assert_eq!(answer.status(), StatusCode::OK, "{list} comes from here: {answer:?}");
            let text = std::str::from_utf8(answer.body()).expect("text");
            let (more, pieces): (Vec<_>, Vec<_>) = names(text).into_iter().partition(|name| name.ends_with(".m3u8"));
            lists.extend(more);
            named.extend(pieces);
        }
        assert!(seen > 3 && named.len() >= PIECES_MIN, "{seen} lists, {named:?}");
        named.into_iter().map(|name| self.piece(name)).collect()
    }

    fn piece(&self, name: String) -> Piece {
        let marks = ["c/".to_owned(), format!("{}/", self.job.id)];
        let key = marks.iter().find_map(|mark| match name.strip_prefix(mark) {
            Some(key) => Some(key),
            None => Some(name.split_once(mark)?.1).filter(|_| name.contains("://")),
        });
        let key = key.map(str::to_owned);
        let url = match name.contains("://") {
            true => name,
            false => format!("{}/{name}", self.base),
        };
        Piece { url, key }
    }

    /// What the bucket has of it.
    async fn stored(&self, piece: &Piece) -> Bytes {
        let store = self.bucket.store().await;
        let output = store.output(self.job.id.parse().expect("an id"));
        let key: OutputKey = match &piece.key {
            Some(key) => key.parse().expect("a key"),
            None => {
                let all = output.prefixes().await.expect("a listing");
                let made = all.into_iter().find(|key| key.as_str().starts_with("poster-"));
                made.expect("a poster").join("poster.jpg").expect("a key")
            }
        };
        output.read(&key).await.expect("the bytes")
    }
}

/// What a playlist or a manifest names: lines of their own, attributes, and elements.
fn names(list: &str) -> BTreeSet<String> {
    let between = |left: &str, right: char| -> Vec<String> {
        let parts = list.split(left).skip(1);
        parts
            .filter_map(|part| Some(part.split_once(right)?.0.to_owned()))
            .collect()
    };
    let mut names = BTreeSet::new();
    if list.starts_with("#EXTM3U") {
        let lines = list.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
        names.extend(lines.map(str::to_owned));
        names.extend(between("URI=\"", '"'));
    } else {
        names.extend(["media=\"", "sourceURL=\""].iter().flat_map(|left| between(left, '"')));
        names.extend(between("<BaseURL>", '<'));
    }
    names
}
