//! The small pictures that a player shows while a viewer looks for a place. They are taken from the smallest rung, which is
//! upright, has square pixels and usual colours, and costs little to decode.

use std::{fmt::Write as _, path::PathBuf};

use reelway_domain::{Reason, RungSize};

use crate::{
    Error, Workspace, ffmpeg,
    input::{self, Args},
};

/// The most pictures, however long the video is.
const PICTURES_MAX: i64 = 200;
/// The least time between two pictures, in milliseconds.
const INTERVAL_MS_MIN: i64 = 1000;
/// The longest side of a picture, in pixels.
const SIDE_PIXELS_MAX: u32 = 160;
/// Pictures side by side in a sheet, and rows of them.
const COLUMNS_MAX: i64 = 10;
const ROWS_MAX: i64 = 10;
/// From this interval on, in milliseconds, keyframes alone are near enough: each segment begins with one.
const KEYFRAMES_INTERVAL_MS_MIN: i64 = 8000;
/// The names of the sheets in the scratch directory, for ffmpeg and by number.
const SHEET_PATTERN: &str = "file:sheet-%d.jpg";
/// The largest sheet, in bytes.
const SHEET_BYTES_MAX: u64 = 16 << 20;

/// Which pictures there are and where they lie: picture `n` stands for the time from `n` intervals to `n + 1`, and shows the
/// middle of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Storyboard {
    duration_ms: i64,
    interval_ms: i64,
    count: i64,
    /// The size of one picture, in pixels.
    width: u32,
    height: u32,
}

impl Storyboard {
    /// Lays out the pictures of a video that is so many milliseconds long.
    #[must_use]
    pub fn new(duration_ms: i64, rung: &RungSize) -> Self {
        let duration_ms = duration_ms.max(1);
        let seconds = duration_ms.div_euclid(PICTURES_MAX * 1000) + 1;
        let interval_ms = if duration_ms <= PICTURES_MAX * INTERVAL_MS_MIN {
            INTERVAL_MS_MIN
        } else {
            seconds * 1000
        };
        let long = rung.width.max(rung.height).max(1);
        let side = |side: u32| (side * SIDE_PIXELS_MAX.min(long) / long).max(2) & !1;
        Self {
            duration_ms,
            interval_ms,
            count: (duration_ms + interval_ms - 1) / interval_ms,
            width: side(rung.width),
            height: side(rung.height),
        }
    }

    /// Whether a picture is taken between two times, in milliseconds: from `start_ms` to before `end_ms`. What lies elsewhere
    /// needn't be read.
    #[must_use]
    pub fn looks_between(&self, start_ms: i64, end_ms: i64) -> bool {
        let half = self.interval_ms / 2;
        // The first picture at or after the start.
        let n = (start_ms - half + self.interval_ms - 1)
            .div_euclid(self.interval_ms)
            .max(0);
        // One that is due after the last frame shows the last frame.
        let at = (n * self.interval_ms + half).min(self.duration_ms - 1);
        at < end_ms
    }

    /// The WebVTT file that says where each picture lies. `urls` are those of the sheets, in order.
    #[must_use]
    pub fn vtt(&self, urls: &[String]) -> String {
        let mut text = String::from("WEBVTT\n");
        let per_sheet = COLUMNS_MAX * ROWS_MAX;
        for n in 0..self.count {
            let Some(url) = usize::try_from(n / per_sheet).ok().and_then(|sheet| urls.get(sheet)) else {
                break;
            };
            let place = n % per_sheet;
            let (x, y) = (
                place % COLUMNS_MAX * i64::from(self.width),
                place / COLUMNS_MAX * i64::from(self.height),
            );
            let start = clock(n * self.interval_ms);
            let end = clock(((n + 1) * self.interval_ms).min(self.duration_ms));
            let (width, height) = (self.width, self.height);
            // Writing to a string can't fail.
            let _ = write!(text, "\n{start} --> {end}\n{url}#xywh={x},{y},{width},{height}\n");
        }
        text
    }

    /// How many sheets there are.
    fn sheets(&self) -> i64 {
        let per_sheet = COLUMNS_MAX * ROWS_MAX;
        (self.count + per_sheet - 1) / per_sheet
    }

    /// The filters. The first frame of the input is shown `first_ms` after the video's start; `None` to show it and no other.
    fn graph(&self, first_ms: Option<i64>) -> String {
        let Self {
            interval_ms,
            count,
            width,
            height,
            ..
        } = *self;
        let (columns, rows) = (
            count.min(COLUMNS_MAX),
            ((count + COLUMNS_MAX - 1) / COLUMNS_MAX).min(ROWS_MAX),
        );
        // Rounded up: the picture is the last frame that is shown by then.
        let chosen = first_ms.map_or_else(
            || "trim=end_frame=1".to_owned(),
            |first_ms| {
                let first_ms = first_ms - interval_ms / 2;
                format!("setpts=PTS-STARTPTS+({first_ms})/1000/TB,fps=1000/{interval_ms}:start_time=0:round=up")
            },
        );
        format!(
            "[0:v:0]{chosen},tpad=stop_mode=clone:stop={count},trim=end_frame={count},\
             scale={width}:{height}:flags=area:out_range=pc,format=yuvj420p,setsar=1,tile={columns}x{rows}[v0]"
        )
    }
}

/// Draws the sheets into `work.scratch`. `work.source` holds the segments of the smallest rung in which a picture is taken;
/// its first frame is shown at `first_ms`.
///
/// # Errors
/// [`Error::Cancelled`], `ENCODER_STALLED`, `STORAGE_FULL`, `ENCODER_FAILED`.
pub async fn draw_storyboard(work: &Workspace<'_>, board: &Storyboard, first_ms: i64) -> Result<Vec<PathBuf>, Error> {
    // A clip that is over before the first picture is due has no frame but the first that could be shown.
    for first_ms in [Some(first_ms), None] {
        draw(work, board, first_ms).await?;
        let mut sheets = Vec::new();
        for n in 0..board.sheets() {
            let sheet = work.scratch.join(format!("sheet-{n}.jpg"));
            if tokio::fs::metadata(&sheet)
                .await
                .is_ok_and(|metadata| metadata.len() > 0)
            {
                sheets.push(sheet);
            }
        }
        if usize::try_from(board.sheets()).is_ok_and(|count| count == sheets.len()) {
            return Ok(sheets);
        }
    }
    Err(Error::new(
        Reason::EncoderFailed,
        "a sheet of the storyboard is missing",
    ))
}

async fn draw(work: &Workspace<'_>, board: &Storyboard, first_ms: Option<i64>) -> Result<(), Error> {
    let mut args = Vec::new();
    args.words(["-an", "-threads", "1"]);
    args.extend(input::guards(work.tools.limits()));
    // Of a picture's neighbours any will do that others are made of, and nobody sees the edges of blocks in it.
    let skipped = if board.interval_ms >= KEYFRAMES_INTERVAL_MS_MIN {
        "nokey"
    } else {
        "noref"
    };
    args.words(["-skip_frame", skipped, "-skip_loop_filter", "all"]);
    args.extend(input::input(work.source));
    args.words([
        "-filter_complex_threads",
        "1",
        "-filter_complex",
        &board.graph(first_ms),
        "-map",
        "[v0]",
    ]);
    args.words([
        "-fps_mode",
        "passthrough",
        "-c:v",
        "mjpeg",
        "-threads",
        "1",
        "-q:v",
        "5",
        "-map_metadata",
        "-1",
    ]);
    // A name without a directory: it is a pattern, and who knows what the directory is called.
    args.words(["-f", "image2", "-start_number", "0", SHEET_PATTERN]);
    ffmpeg::run(work, args, SHEET_BYTES_MAX, work.tools.limits().stall_max, |_| {}).await
}

/// A time as WebVTT has it.
fn clock(ms: i64) -> String {
    let (s, ms) = (ms / 1000, ms % 1000);
    format!("{:02}:{:02}:{:02}.{ms:03}", s / 3600, s / 60 % 60, s % 60)
}

#[cfg(test)]
mod tests;
