//! What a player gets of a source, held against the source frame by frame.
//!
//! Every clip carries its frame number as a bar code, a white flash at each second in the picture and a beep at each
//! second in the sound. It goes the way of every upload, and what comes out is read as a player reads it: playlists from
//! the top, times from the boxes of the segments. The truth about the source is what a plain ffmpeg decodes of it.

mod boxes;
mod cases;
mod check;
mod clip;
mod corpus;
mod extras;
mod patch;
mod pictures;
mod player;
mod rules;
mod sound;
mod sound_cases;
mod source;

use std::process::{Command, Output};

/// Runs a tool in a directory and gives what it said; it must succeed.
fn run(program: &str, dir: &std::path::Path, words: &[&str]) -> Output {
    let output = Command::new(program).current_dir(dir).args(words).output().unwrap();
    assert!(
        output.status.success(),
        "{program} {words:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    output
}
