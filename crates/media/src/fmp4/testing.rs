//! Clips, chunks and plans for tests, made by the real ffmpeg as the encoder makes them.

use std::{
    fs,
    io::Cursor,
    path::{Path, PathBuf},
    process::Command,
};

use tempfile::TempDir;

use super::{RecutTrack, fragment::Sample, reader::FragmentReader};
use crate::{AudioRun, SegmentPlan, TICKS_PER_SECOND, encode::FRAMES_BEFORE_ZERO};

/// Runs a tool that must succeed without a word, and returns its standard output.
pub(crate) fn run(program: &str, args: &[&str]) -> String {
    let output = Command::new(program).args(args).output().unwrap();
    let complaints = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success() && complaints.is_empty(),
        "{program} {args:?}: {complaints}"
    );
    String::from_utf8(output.stdout).unwrap()
}

/// A source of about 6 s with B-frames, in ticks of 1/90000 s, and a tone.
pub(crate) struct Clip {
    pub(crate) dir: TempDir,
    pub(crate) path: PathBuf,
    /// When each frame is shown, ascending.
    pub(crate) shown: Vec<i64>,
    /// When the last frame ends.
    pub(crate) end: i64,
}

/// A whole track.
pub(crate) const ONE_RUN: AudioRun = AudioRun {
    start_frame: 0,
    end_frame: None,
    bytes: None,
};

/// Frames are dropped, for 1 s in a row too, and those that are left come early or late.
pub(crate) const VARIABLE: &str =
    "select='not(eq(mod(n,7),3))*not(between(n,40,69))',settb=1/90000,setpts='PTS+mod(N,3)*377'";
/// Every frame at its time.
pub(crate) const CONSTANT: &str = "null";

impl Clip {
    pub(crate) fn new(rate: &str, filter: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("clip.mp4");
        let picture = format!("testsrc2=s=320x180:r={rate}:d=6");
        run(
            "ffmpeg",
            &[
                &["-nostdin", "-v", "error", "-f", "lavfi", "-i", &picture][..],
                &[
                    "-f",
                    "lavfi",
                    "-i",
                    "sine=r=48000:d=6",
                    "-vf",
                    filter,
                    "-fps_mode",
                    "passthrough",
                ],
                &[
                    "-enc_time_base:v",
                    "1:90000",
                    "-c:v",
                    "libx264",
                    "-preset",
                    "veryfast",
                    "-bf",
                    "3",
                ],
                &["-video_track_timescale", "90000", "-c:a", "aac", path.to_str().unwrap()],
            ]
            .concat(),
        );
        let listed = run(
            "ffprobe",
            &[
                &[
                    "-v",
                    "error",
                    "-select_streams",
                    "v:0",
                    "-show_entries",
                    "packet=pts",
                    "-of",
                    "csv=p=0",
                ][..],
                &[path.to_str().unwrap()],
            ]
            .concat(),
        );
        let mut shown: Vec<i64> = listed
            .lines()
            .map(|line| line.trim_end_matches(',').parse().unwrap())
            .collect();
        shown.sort_unstable();
        let end = shown.last().unwrap() + 3000;
        Self { dir, path, shown, end }
    }

    /// Segments that start with the first frame after each multiple of `every` ticks.
    pub(crate) fn segments(&self, every: i64) -> Vec<SegmentPlan> {
        let mut starts: Vec<i64> = Vec::new();
        for &time in &self.shown {
            if starts.last().is_none_or(|start| start / every != time / every) {
                starts.push(time);
            }
        }
        let ends = starts[1..].iter().chain([&self.end]);
        let plan = |(number, (&start_ticks, &end)): (usize, (&i64, &i64))| SegmentPlan {
            number: u32::try_from(number).unwrap(),
            start_ticks,
            duration_ticks: end - start_ticks,
            frames: self.shown.iter().filter(|t| (start_ticks..end).contains(t)).count() as i64,
        };
        starts.iter().zip(ends).enumerate().map(plan).collect()
    }

    /// Encodes the frames of these segments, sent through `filter` first, into a new file.
    pub(crate) fn encode(&self, segments: &[SegmentPlan], filter: &str, name: &str) -> PathBuf {
        let out = self.dir.path().join(name);
        let last = segments.last().unwrap();
        let (start, end) = (segments[0].start_ticks, last.start_ticks + last.duration_ticks);
        let graph = format!("[0:v:0]trim=start_pts={start}:end_pts={end},settb=1/90000,{filter},format=yuv420p[v]");
        let half_ms = TICKS_PER_SECOND / 2000;
        let forced: Vec<String> = segments
            .iter()
            .map(|s| format!("{:.6}", (s.start_ticks - half_ms).max(0) as f64 / 90_000.0))
            .collect();
        run(
            "ffmpeg",
            &[
                &[
                    "-nostdin",
                    "-v",
                    "error",
                    "-copyts",
                    "-threads",
                    "1",
                    "-i",
                    self.path.to_str().unwrap(),
                ][..],
                &[
                    "-filter_complex",
                    &graph,
                    "-map",
                    "[v]",
                    "-fps_mode",
                    "passthrough",
                    "-enc_time_base",
                    "1:90000",
                ],
                &[
                    "-c:v",
                    "libx264",
                    "-preset",
                    "veryfast",
                    "-profile:v",
                    "high",
                    "-level",
                    "4.0",
                    "-threads",
                    "1",
                ],
                &[
                    "-crf",
                    "23",
                    "-g",
                    "300",
                    "-bf",
                    "3",
                    "-x264-params",
                    "stitchable=1",
                    "-force_key_frames",
                ],
                &[
                    forced.join(",").as_str(),
                    "-map_metadata",
                    "-1",
                    "-video_track_timescale",
                    "90000",
                    "-f",
                    "mp4",
                ],
                &[
                    "-movflags",
                    "+cmaf+frag_keyframe+frag_discont+delay_moov+skip_trailer",
                    out.to_str().unwrap(),
                ],
            ]
            .concat(),
        );
        out
    }

    /// Encodes the tone as one run.
    pub(crate) fn encode_audio(&self) -> PathBuf {
        let out = self.dir.path().join("audio-track.mp4");
        let lead_in = 2 * 1024;
        let ahead = FRAMES_BEFORE_ZERO * 1024;
        let filter = format!("aresample=48000:async=1:first_pts=-{lead_in},asetpts=PTS+{ahead}");
        run(
            "ffmpeg",
            &[
                &[
                    "-nostdin",
                    "-v",
                    "error",
                    "-copyts",
                    "-vn",
                    "-i",
                    self.path.to_str().unwrap(),
                    "-map",
                    "0:a:0",
                ][..],
                &[
                    "-af",
                    &filter,
                    "-c:a",
                    "aac",
                    "-b:a",
                    "128k",
                    "-ac",
                    "2",
                    "-map_metadata",
                    "-1",
                    "-f",
                    "mp4",
                ],
                &[
                    "-frag_duration",
                    "4000000",
                    "-movflags",
                    "+cmaf+frag_discont+skip_trailer",
                    out.to_str().unwrap(),
                ],
            ]
            .concat(),
        );
        out
    }

    /// A new directory for segment files.
    pub(crate) fn out_dir(&self, name: &str) -> PathBuf {
        let dir = self.dir.path().join(name);
        fs::create_dir(&dir).unwrap();
        dir
    }
}

/// The init section and all segments in one, as a player gets them.
pub(crate) fn glued(init: &[u8], dir: &Path, tracks: &[&RecutTrack]) -> Vec<u8> {
    let mut bytes = init.to_vec();
    for segment in tracks.iter().flat_map(|track| &track.segments) {
        let stored = fs::read(dir.join(&segment.file_name)).unwrap();
        assert_eq!(stored.len() as u64, segment.bytes, "{}", segment.file_name);
        bytes.extend(stored);
    }
    bytes
}

/// The samples of a file, fragment by fragment.
pub(crate) fn fragments(bytes: Vec<u8>) -> Vec<Vec<Sample>> {
    let mut reader = FragmentReader::open(Cursor::new(bytes)).unwrap();
    std::iter::from_fn(|| reader.next_fragment().unwrap()).collect()
}

/// How many frames ffmpeg decodes from a file or playlist, without a complaint.
pub(crate) fn decoded_frames(path: &Path, stream: &str) -> i64 {
    let counted = run(
        "ffprobe",
        &[
            &[
                "-v",
                "error",
                "-count_frames",
                "-select_streams",
                stream,
                "-show_entries",
                "stream=nb_read_frames",
            ][..],
            &["-of", "csv=p=0", path.to_str().unwrap()],
        ]
        .concat(),
    );
    counted
        .lines()
        .find_map(|line| line.trim_end_matches(',').parse().ok())
        .unwrap()
}
