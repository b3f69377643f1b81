mod bucket;

use std::io::Read as _;

use axum::body::{Body, Bytes, to_bytes};
use flate2::read::GzDecoder;
use http::Method;
use reelway_domain::Timestamp;
use tempfile::TempDir;

use super::*;

fn playback() -> Playback {
    Playback {
        prefix: "package-0000-e2".into(),
        poster_key: Some("poster-0000-e1/poster.jpg".into()),
        download_key: Some("download-0000-e3/video.mp4".into()),
        is_final: true,
        trace: None,
    }
}

fn key(path: &str) -> Option<String> {
    locate(&playback(), path).map(|(key, _)| key.to_string())
}

#[test]
fn playlists_come_from_the_published_prefix() {
    assert_eq!(key("master.m3u8").as_deref(), Some("package-0000-e2/master.m3u8"));
    assert_eq!(key("poster.jpg").as_deref(), Some("poster-0000-e1/poster.jpg"));
    assert_eq!(key("manifest.mpd").as_deref(), Some("package-0000-e2/manifest.mpd"));
    assert_eq!(key("storyboard.vtt").as_deref(), Some("package-0000-e2/storyboard.vtt"));
    assert_eq!(key("download.mp4").as_deref(), Some("download-0000-e3/video.mp4"));
    assert_eq!(
        key("c/video-0000-e1/720p-00000.m4s").as_deref(),
        Some("video-0000-e1/720p-00000.m4s")
    );
}

#[test]
fn no_path_leads_out_of_the_job() {
    for path in [
        "c/../../x",
        "../x",
        "c//etc/passwd",
        "c/",
        "..",
        "a/../../b",
        "c/.hidden",
        "c/a\0b",
    ] {
        assert_eq!(key(path), None, "{path}");
    }
}

#[test]
fn only_what_can_change_is_asked_for_again() {
    let growing = Playback {
        is_final: false,
        ..playback()
    };
    assert_eq!(locate(&playback(), "c/a/b.m4s").unwrap().1, IMMUTABLE);
    assert_eq!(locate(&playback(), "master.m3u8").unwrap().1, SHORT);
    assert_eq!(locate(&growing, "master.m3u8").unwrap().1, GROWING);
}

#[test]
fn there_is_a_download_only_if_one_was_made() {
    let without = Playback {
        download_key: None,
        ..playback()
    };
    assert!(locate(&without, "download.mp4").is_none());
    let job = JobId::new();
    assert_eq!(kept_as(job), format!("attachment; filename=\"{job}.mp4\""));
}

#[test]
fn a_token_stands_before_the_job() {
    let job = JobId::new().to_string();
    let (token, _, path) = named(&job, "c/a.m4s").unwrap();
    assert_eq!((token, path), (None, "c/a.m4s"));
    let rest = format!("{job}/c/a.m4s");
    let (token, found, path) = named("~secret", &rest).unwrap();
    assert_eq!((token, found.to_string(), path), (Some("secret"), job, "c/a.m4s"));
    assert!(named("~secret", "c/a.m4s").is_none() && named("job_1", "a").is_none());
}

#[test]
fn without_its_token_nothing_is_said_of_a_job() {
    let auth = Auth::open();
    let (access, job) = (PlayAccess::Signed(auth.clone()), JobId::new());
    let token = auth.sign_playback(job, Timestamp(i64::MAX));
    assert_eq!(access.judge(job, Some(&token)), Ok(()));
    let refused = |job, token| access.judge(job, token).unwrap_err().reason;
    assert_eq!(refused(job, None), Reason::CredentialsMissing);
    assert_eq!(refused(job, Some("x")), Reason::CredentialsInvalid);
    assert_eq!(refused(JobId::new(), Some(&token)), Reason::CredentialsInvalid);
    assert_eq!(PlayAccess::Public.judge(job, None), Ok(()));
    assert_eq!(access.caching(SHORT), "private, max-age=60");
}

struct Files(TempDir);

impl Files {
    fn new(name: &str, content: &[u8]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join(name), content).unwrap();
        Self(dir)
    }

    async fn segment(&self, name: &str, headers: &[(&str, &str)]) -> (StatusCode, http::HeaderMap, Bytes) {
        let mut request = Request::builder().method(Method::GET).uri("/");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Body::empty()).unwrap();
        parts(file::answer(&self.0.path().join(name), request).await.unwrap()).await
    }

    async fn text(&self, name: &str, headers: &[(&'static str, &str)]) -> (StatusCode, http::HeaderMap, Bytes) {
        let mut map = http::HeaderMap::new();
        for (name, value) in headers {
            map.insert(*name, value.parse().unwrap());
        }
        let text = std::fs::read(self.0.path().join(name)).unwrap();
        parts(text::answer(text.into(), false, &map).await.unwrap()).await
    }
}

async fn parts(response: Response) -> (StatusCode, http::HeaderMap, Bytes) {
    let (head, body) = response.into_parts();
    (head.status, head.headers, to_bytes(body, 1 << 20).await.unwrap())
}

#[tokio::test]
async fn segments_come_whole_or_in_ranges() {
    let files = Files::new("a.m4s", b"0123456789");
    let (status, head, body) = files.segment("a.m4s", &[]).await;
    assert_eq!((status, &body[..]), (StatusCode::OK, &b"0123456789"[..]));
    let tag = head[header::ETAG].to_str().unwrap().to_owned();
    assert!(tag.starts_with('"'), "a strong tag: {tag}");

    let (status, head, body) = files.segment("a.m4s", &[("range", "bytes=2-4")]).await;
    assert_eq!((status, &body[..]), (StatusCode::PARTIAL_CONTENT, &b"234"[..]));
    assert_eq!(head[header::CONTENT_RANGE], "bytes 2-4/10");
    assert_eq!(files.segment("a.m4s", &[("range", "bytes=-3")]).await.2, "789");
    assert_eq!(
        files.segment("a.m4s", &[("range", "bytes=0-1,4-5")]).await.2,
        "0123456789"
    );
    assert_eq!(
        files.segment("a.m4s", &[("range", "bytes=10-")]).await.0,
        StatusCode::RANGE_NOT_SATISFIABLE
    );

    assert_eq!(
        files.segment("a.m4s", &[("if-none-match", &tag)]).await.0,
        StatusCode::NOT_MODIFIED
    );
    let resumed = files
        .segment("a.m4s", &[("range", "bytes=2-4"), ("if-range", &tag)])
        .await;
    assert_eq!(resumed.0, StatusCode::PARTIAL_CONTENT);
    let changed = files
        .segment("a.m4s", &[("range", "bytes=2-4"), ("if-range", "\"other\"")])
        .await;
    assert_eq!((changed.0, changed.2), (StatusCode::OK, "0123456789".into()));
}

#[tokio::test]
async fn playlists_are_compressed_for_whoever_takes_that() {
    let long = "#EXTM3U\n".repeat(100);
    let files = Files::new("a.m3u8", long.as_bytes());
    let (status, plain, body) = files.text("a.m3u8", &[]).await;
    assert_eq!((status, &body[..]), (StatusCode::OK, long.as_bytes()));
    assert_eq!(plain[header::VARY], "accept-encoding");

    let (_, packed, body) = files.text("a.m3u8", &[("accept-encoding", "br, GZIP;q=0.5")]).await;
    assert_eq!(packed[header::CONTENT_ENCODING], "gzip");
    assert_eq!(packed[header::VARY], "accept-encoding");
    assert_ne!(packed[header::ETAG], plain[header::ETAG], "other bytes, another tag");
    let mut unpacked = String::new();
    GzDecoder::new(&body[..]).read_to_string(&mut unpacked).unwrap();
    assert_eq!(unpacked, long);

    for refused in ["gzip;q=0", "br", "identity", "gzip;q=x"] {
        let (_, head, _) = files.text("a.m3u8", &[("accept-encoding", refused)]).await;
        assert!(!head.contains_key(header::CONTENT_ENCODING), "{refused}");
    }
    let tag = packed[header::ETAG].to_str().unwrap();
    let known = files
        .text("a.m3u8", &[("accept-encoding", "gzip"), ("if-none-match", tag)])
        .await;
    assert_eq!((known.0, known.2.len()), (StatusCode::NOT_MODIFIED, 0));
    // Whoever has the compressed one and wants the other gets it.
    assert_eq!(files.text("a.m3u8", &[("if-none-match", tag)]).await.0, StatusCode::OK);

    let short = Files::new("a.vtt", b"WEBVTT\n");
    let (_, head, body) = short.text("a.vtt", &[("accept-encoding", "gzip")]).await;
    assert!(!head.contains_key(header::CONTENT_ENCODING) && &body[..] == b"WEBVTT\n");
}

/// A job that fails or is cancelled leaves players with what there is, and with its end.
#[tokio::test]
async fn what_grew_ends_with_its_job() {
    const GREW: &str = "#EXTM3U\n#EXT-X-PLAYLIST-TYPE:EVENT\n#EXTINF:4.000000,\nc/a.m4s\n";
    let served = async |text: &str, is_ended| {
        let text = Bytes::copy_from_slice(text.as_bytes());
        let answer = text::answer(text, is_ended, &http::HeaderMap::new()).await.unwrap();
        let (_, head, body) = parts(answer).await;
        let tag = head[header::ETAG].clone();
        (String::from_utf8(body.to_vec()).unwrap(), tag)
    };
    let (growing, ended) = (served(GREW, false).await, served(GREW, true).await);
    assert_eq!(growing.0, GREW);
    assert_eq!(ended.0, format!("{GREW}#EXT-X-ENDLIST\n"));
    assert_ne!(growing.1, ended.1, "whoever has the one asks for the other");
    for text in [
        "#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\n360p.m3u8\n",
        "#EXTM3U\n#EXT-X-PLAYLIST-TYPE:VOD\n#EXT-X-ENDLIST\n",
        "WEBVTT\n",
    ] {
        assert_eq!(served(text, true).await.0, text);
    }
}
