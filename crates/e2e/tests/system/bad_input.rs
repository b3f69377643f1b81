//! Files of which no video can be made: the upload is kept, the job fails at once, and says why.

use std::{fs, path::Path, time::Duration};

use reelway::v1;
use reelway_domain::Reason;

use crate::harness::{Clip, Node, Playback, clip, count_frames};

const CLIP: Clip = Clip::short(10);
/// The same with the index in front.
const FASTSTART: Clip = Clip {
    name: "faststart.mp4",
    options: &["-movflags", "+faststart"],
    ..CLIP
};
/// One picture in ten seconds can be decoded without the ones before.
const ONE_KEYFRAME: Clip = Clip {
    name: "one-keyframe.mp4",
    options: &["-g", "300"],
    ..CLIP
};
/// Failing at once: no attempt is repeated, no pause is made.
const FAIL_MAX: Duration = Duration::from_secs(30);
const JOB_MAX: Duration = Duration::from_secs(120);

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_video_is_kept_and_said() {
    let node = Node::start().await;
    let at_end = fs::read(clip(CLIP).await).expect("a clip");
    let in_front = fs::read(clip(FASTSTART).await).expect("a clip");
    let secret = fs::canonicalize(clip(CLIP).await).expect("a path");
    let playlist = format!(
        "#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:10,\nfile://{}\n#EXT-X-ENDLIST\n",
        secret.display()
    );
    let cases: [(&str, Vec<u8>, Reason); 9] = [
        (
            "text.mp4",
            b"Dear diary, today I made no video.\n".repeat(100),
            Reason::SourceNotMedia,
        ),
        ("archive.zip", zip(), Reason::SourceNotMedia),
        (
            "picture.png",
            fs::read(picture(&node).await).expect("a picture"),
            Reason::SourceNotMedia,
        ),
        ("empty.mp4", Vec::new(), Reason::SourceEmpty),
        (
            "cut-index.mp4",
            at_end[..at_end.len() - 2000].to_vec(),
            Reason::SourceTruncated,
        ),
        (
            "cut-data.mp4",
            in_front[..in_front.len() * 6 / 10].to_vec(),
            Reason::SourceTruncated,
        ),
        ("no-streams.mp4", without_streams(), Reason::SourceNoStreams),
        (
            "unknown-codec.mp4",
            with_unknown_codec(&in_front),
            Reason::SourceCodecUnsupported,
        ),
        ("playlist.mp4", playlist.into_bytes(), Reason::SourceNotMedia),
    ];
    for (name, bytes, reason) in cases {
        let path = node.dir().join(name);
        fs::write(&path, &bytes).expect("a file");
        fails_at_once(&node, &path, reason).await;
    }
}

/// The upload is complete and stays; the job fails on its first attempt with the reason and a sentence.
async fn fails_at_once(node: &Node, path: &Path, reason: Reason) {
    let name = path.display();
    let upload = node.upload(path, "standard").await;
    let job = node.job_ended(&upload.job_id, FAIL_MAX).await;
    assert_eq!(job.state(), v1::JobState::Failed, "{name}: {job:?}");
    let error = job.error.expect("why it failed");
    assert_eq!(error.reason, reason.as_str(), "{name}: {}", error.message);
    assert!(
        error.message.len() > 20 && !error.message.contains('/'),
        "{name}: a sentence without paths: {}",
        error.message
    );
    let tasks = node.tasks(&upload.job_id).await;
    assert!(
        tasks.iter().all(|task| task.attempt <= 1),
        "{name}: nothing is tried again: {tasks:?}"
    );
    let request = v1::GetUploadRequest {
        upload_id: upload.id,
        end_writer: false,
    };
    let kept = node.client().get_upload(request).await.expect("the upload is kept");
    assert_eq!(kept.state(), v1::UploadState::Complete, "{name}");
}

#[tokio::test(flavor = "multi_thread")]
async fn success_is_counted_not_assumed() {
    let node = Node::start().await;
    let hurt = damaged(&fs::read(clip(CLIP).await).expect("a clip"), 40, 44);
    let path = node.dir().join("damaged.mp4");
    fs::write(&path, hurt).expect("a file");
    let upload = node.upload(&path, "standard").await;
    let job = node.job_ended(&upload.job_id, JOB_MAX).await;
    match job.state() {
        v1::JobState::Succeeded => {
            assert!(job.missing_frames > 0, "{job:?}");
            let playback = Playback::fetch(&job.playback_url, &node.dir().join("fetched")).await;
            let made = count_frames(playback.pictures().next().expect("a rung")).await;
            assert_eq!(
                made + job.missing_frames.unsigned_abs(),
                CLIP.frames(),
                "what is there and what is missing"
            );
        }
        _ => assert_eq!(reason(&job), Reason::SourceDamaged.as_str(), "{job:?}"),
    }
    let strict = node.upload(&path, "quality").await;
    let job = node.job_ended(&strict.job_id, JOB_MAX).await;
    assert_eq!(
        reason(&job),
        Reason::SourceDamaged.as_str(),
        "whoever asks for quality wants no holes: {job:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn too_much_damage_fails_the_job() {
    let node = Node::start().await;
    let path = node.dir().join("damaged.mp4");
    fs::write(
        &path,
        damaged(&fs::read(clip(ONE_KEYFRAME).await).expect("a clip"), 20, 80),
    )
    .expect("a file");
    let upload = node.upload(&path, "standard").await;
    let job = node.job_ended(&upload.job_id, JOB_MAX).await;
    assert_eq!(reason(&job), Reason::SourceDamaged.as_str(), "{job:?}");
}

fn reason(job: &v1::Job) -> &str {
    job.error.as_ref().map_or("none", |error| &*error.reason)
}

/// The same bytes with rubbish from one percentage of the file to another.
fn damaged(bytes: &[u8], from_percent: usize, to_percent: usize) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    let range = bytes.len() * from_percent / 100..bytes.len() * to_percent / 100;
    for (at, byte) in bytes[range].iter_mut().enumerate() {
        *byte = at.to_le_bytes()[0].wrapping_mul(167) ^ 0x5a;
    }
    bytes
}

async fn picture(node: &Node) -> std::path::PathBuf {
    let path = node.dir().join("made.png");
    let mut ffmpeg = crate::harness::Tool::new("ffmpeg");
    ffmpeg
        .args(["-f", "lavfi", "-i", "testsrc2=size=640x480", "-frames:v", "1"])
        .path(&path)
        .run()
        .await;
    path
}

/// An archive with one stored file.
fn zip() -> Vec<u8> {
    let (name, data) = (b"a.txt", [b'a'; 4096]);
    let size = u32::try_from(data.len()).expect("small").to_le_bytes();
    // CRC-32, sizes and the length of the name are the same in both headers.
    let shared = [&0x9c99_dc73_u32.to_le_bytes()[..], &size, &size, &[5, 0, 0, 0]].concat();
    let local = [b"PK\x03\x04\x14\0\0\0\0\0\0\0\0\0", &shared[..], name, &data].concat();
    let central = [b"PK\x01\x02\x14\0\x14\0\0\0\0\0\0\0\0\0", &shared[..], &[0; 14], name].concat();
    let size = |part: &[u8]| u32::try_from(part.len()).expect("small").to_le_bytes();
    let (start, length) = (size(&local), size(&central));
    let end = [b"PK\x05\x06\0\0\0\0\x01\0\x01\0", &length[..], &start, &[0, 0]].concat();
    [local, central, end].concat()
}

/// An MP4 whose index has no tracks (ISO/IEC 14496-12, sections 4.3, 8.2.2).
fn without_streams() -> Vec<u8> {
    let part = |kind: &[u8; 4], body: &[u8]| {
        let size = u32::try_from(body.len() + 8).expect("small").to_be_bytes();
        [&size[..], kind, body].concat()
    };
    let mut header = [0; 100];
    header[14..16].copy_from_slice(&1000_u16.to_be_bytes());
    header[99] = 1;
    let file_type = part(b"ftyp", b"isom\0\0\x02\0isomiso2mp41");
    [
        file_type,
        part(b"moov", &part(b"mvhd", &header)),
        part(b"mdat", &[0; 1000]),
    ]
    .concat()
}

/// The same file saying that its pictures are in a codec that nobody knows.
fn with_unknown_codec(bytes: &[u8]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    let mut patched = 0;
    for at in 0..bytes.len() - 4 {
        for known in [b"avc1", b"avcC"] {
            if &bytes[at..at + 4] == known {
                bytes[at..at + 4].copy_from_slice(b"zzzz");
                patched += 1;
            }
        }
    }
    assert!(patched >= 2, "the clip names its codec");
    bytes
}
