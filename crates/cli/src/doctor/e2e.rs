//! One tiny video through a running deployment: sent, cut, resumed, made into a stream, and fetched as a player would.

use std::time::Duration;

use bytes::Bytes;
use reqwest::{Body, Method};
use serde_json::Value;
use tokio::time::{Instant, sleep};
use url::Url;

use super::{
    Finding,
    edge::{Edge, Made, Trickle, Trouble, expect},
};

/// One second of moving colours with a tone: H.264 and AAC, 160×90. Made by ffmpeg's testsrc2 and sine.
static CLIP: &[u8] = include_bytes!("clip.mp4");
/// How long the first half may take to arrive before the cut.
const HALF_MAX: Duration = Duration::from_secs(8);
/// How long the job may take. A busy deployment has others to do first.
const JOB_MAX: Duration = Duration::from_secs(300);
/// A server that was cut off notices within that.
const OFFSET_MAX: Duration = Duration::from_secs(10);
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// The whole way. What fails ends it.
pub(super) async fn findings(edge: &Edge) -> Vec<Finding> {
    let mut findings = Vec::new();
    let upload = match edge.create("reelway-doctor.mp4", CLIP.len(), "fast").await {
        Ok(upload) => upload,
        Err(trouble) => return vec![trouble.finding("upload")],
    };
    let is_sent = send(edge, &upload).await;
    let is_stored = is_sent.is_ok();
    findings.push(is_sent.unwrap_or_else(|trouble| trouble.finding("upload")));
    if is_stored {
        match job(edge, &upload).await {
            Ok((finding, playback)) => {
                findings.push(finding);
                if let Some(url) = playback {
                    findings.push(play(edge, &url).await.unwrap_or_else(|trouble| trouble.finding("play")));
                }
            }
            Err(trouble) => findings.push(trouble.finding("job")),
        }
    }
    findings.extend(tidy(edge, &upload, is_stored).await);
    findings
}

/// Sends half of it, cuts the connection, asks where to go on, and sends the rest.
async fn send(edge: &Edge, upload: &Made) -> Result<Finding, Trouble> {
    let half = CLIP.len() / 2;
    let (pieces, body) = Trickle::of(CLIP.len() as u64);
    let sending = tokio::spawn(edge.patch(upload, 0, Body::wrap(body)).send());
    // The body is there until the request ends, and then nobody needs it.
    let _ = pieces.send(Bytes::from_static(&CLIP[..half]));
    let begun = Instant::now();
    while begun.elapsed() < HALF_MAX && !sending.is_finished() && edge.durable(upload).await? == 0 {
        sleep(LOOK_EVERY).await;
    }
    // Its other end sees a connection that broke.
    drop(pieces);
    if let Ok(Ok(answer)) = sending.await {
        expect("PATCH /files/", Ok(answer)).await?;
    }
    let offset = settled(edge, upload).await?;
    let rest = CLIP
        .get(usize::try_from(offset).unwrap_or(usize::MAX)..)
        .unwrap_or_default();
    let sent = edge
        .patch(upload, offset, rest)
        .timeout(Duration::from_secs(60))
        .send()
        .await;
    expect("PATCH /files/", sent).await?;
    let message = format!("{} bytes, cut after {half} and resumed at {offset}", CLIP.len());
    Ok(Finding::ok("upload", message))
}

/// Where to go on, once the server has it.
async fn settled(edge: &Edge, upload: &Made) -> Result<u64, Trouble> {
    let begun = Instant::now();
    loop {
        match edge.offset(upload).await {
            Err(Trouble::Refused { status, .. }) if !status.is_client_error() && begun.elapsed() < OFFSET_MAX => {
                sleep(LOOK_EVERY).await;
            }
            settled => return settled,
        }
    }
}

/// Waits for the job's end, and gives where it plays.
async fn job(edge: &Edge, upload: &Made) -> Result<(Finding, Option<Url>), Trouble> {
    let (begun, path) = (Instant::now(), format!("/v1/jobs/{}", upload.job));
    loop {
        let seen = edge.json(Method::GET, &path, None).await?;
        let job = &seen["job"];
        let text = |field: &str| job[field].as_str().unwrap_or_default();
        match text("state") {
            "JOB_STATE_SUCCEEDED" => {
                let message = format!("done {} ms after the last byte", begun.elapsed().as_millis());
                return Ok((Finding::ok("job", message), Url::parse(text("playbackUrl")).ok()));
            }
            state @ ("JOB_STATE_FAILED" | "JOB_STATE_CANCELLED") => return Ok((ended(state, &job["error"]), None)),
            state if begun.elapsed() > JOB_MAX => return Ok((late(state), None)),
            _ => sleep(LOOK_EVERY).await,
        }
    }
}

fn ended(state: &str, error: &Value) -> Finding {
    let told = |field: &str| error[field].as_str().unwrap_or_default().to_owned();
    Finding::failed("job", format!("{state}: {} {}", told("reason"), told("message")))
        .advise("`reelway jobs tasks` shows which task; run `reelway doctor --role worker` where the workers are")
}

fn late(state: &str) -> Finding {
    let message = format!("{state} after {} s", JOB_MAX.as_secs());
    let advice = if state == "JOB_STATE_QUEUED" {
        "no worker takes it: is one running on this database, and are all of them busy (reelway_jobs_oldest_queued_seconds)?"
    } else {
        "a worker is slow or stuck: look at its log and at reelway_transcode_speed_ratio"
    };
    Finding::failed("job", message).advise(advice)
}

/// Fetches the playlists, the first rendition's header and its first segment.
async fn play(edge: &Edge, told: &Url) -> Result<Finding, Trouble> {
    let master = edge.here(told);
    let variants = text(&edge.fetch(&master).await?);
    let Some(playlist) = lines(&variants).next().and_then(|name| master.join(name).ok()) else {
        return Ok(broken("the multivariant playlist names no rendition"));
    };
    let media = text(&edge.fetch(&playlist).await?);
    let header = media
        .split_once("#EXT-X-MAP:URI=\"")
        .and_then(|(_, rest)| rest.split_once('"'));
    let names = header.map(|(name, _)| name).into_iter().chain(lines(&media).take(1));
    let urls: Vec<Url> = names.filter_map(|name| playlist.join(name).ok()).collect();
    let [header, segment] = &urls[..] else {
        return Ok(broken("a media playlist names no segment"));
    };
    let (header, segment) = (edge.fetch(header).await?, edge.fetch(segment).await?);
    if header.get(4..8) != Some(b"ftyp") || segment.len() < 8 {
        return Ok(broken("what the playlists name is no video"));
    }
    let bytes = header.len() + segment.len();
    Ok(Finding::ok(
        "play",
        format!("playlists, header and first segment can be fetched ({bytes} bytes)"),
    ))
}

fn broken(what: &str) -> Finding {
    Finding::failed("play", what).advise("does a proxy or a cache change what is below /play/?")
}

fn text(bytes: &Bytes) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// What a playlist names, without what describes it.
fn lines(playlist: &str) -> impl Iterator<Item = &str> {
    playlist
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
}

/// Removes what this made.
async fn tidy(edge: &Edge, upload: &Made, is_stored: bool) -> Option<Finding> {
    let path = if is_stored {
        format!("/v1/jobs/{}", upload.job)
    } else {
        format!("/v1/uploads/{}", upload.id)
    };
    let trouble = edge.json(Method::DELETE, &path, None).await.err()?;
    let told = format!("what this made stays there ({path}): {trouble}");
    Some(Finding::warning("tidy", told).advise("the key needs jobs:write to remove it"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn playlists_name_what_is_no_tag() {
        let playlist = "#EXTM3U\n#EXT-X-MAP:URI=\"90p/init.mp4\"\n#EXTINF:1,\n90p/0.m4s\n\n";
        assert_eq!(lines(playlist).collect::<Vec<_>>(), ["90p/0.m4s"]);
    }

    #[test]
    fn the_clip_is_a_movie_with_its_index_in_front() {
        let at = |name: &[u8]| CLIP.windows(4).position(|bytes| bytes == name).expect("it is there");
        assert_eq!(CLIP.get(4..8), Some(&b"ftyp"[..]));
        assert!(at(b"moov") < at(b"mdat") && CLIP.len() < 16 << 10);
    }
}
