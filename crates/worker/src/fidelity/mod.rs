//! What a player gets of a source, held against the source frame by frame.
//!
//! Every clip carries its frame number as a bar code, a white flash at each second in the picture and a beep at each
//! second in the sound. It goes the way of every upload, and what comes out is read as a player reads it: playlists from
//! the top, times from the boxes of the segments. The truth about the source is what a plain ffmpeg decodes of it. Every
//! result, whatever it is of, is held against the rules for playlists, manifest and boxes (`rules`), and `mistakes` shows that
//! these find what is wrong.
//!
//! | What a source can be | Cases |
//! | --- | --- |
//! | whole, fractional and variable frame rates | `cases`: `thirty_frames_a_second`, `ntsc_rate`, `film_rate_…`, `variable_frame_rate`; `corpus`: `many_frames_a_second` |
//! | edit lists, late and negative starts | `cases`: `start_by_edit_list`, `start_time_in_mp4`, `film_rate_and_a_late_picture_…`; `corpus`: `negative_start` |
//! | rotation and mirroring | `cases`: `portrait_by_rotation_flag`; `corpus`: `upside_down_and_on_the_other_side`, `mirrored` |
//! | sample aspect ratio, odd sizes | `corpus`: `wide_pixels`; `cases`: `odd_size` |
//! | interlaced | `corpus`: `interlaced` |
//! | 10 bits, 4:2:2, 4:4:4 | `cases`: `hevc_with_ten_bits`, `odd_size`; `corpus`: `codecs_of_cameras_with_ten_bits` |
//! | HDR10 and HLG | `hdr` |
//! | B-frames, long and open groups of pictures | `cases`: `b_frames_and_one_long_gop`, `open_gops` |
//! | several pictures, cover art | `corpus`: `several_pictures_and_a_cover`, `the_picture_to_show_comes_second` |
//! | several languages, mono to 7.1, sound shorter or longer than the picture, none, only sound | `sound_cases`; `downmix`; `cases`: `no_audio`, `audio_only`; `corpus`: `two_hours` |
//! | text subtitles | `sound_cases`: `words_are_shown_at_their_times` |
//! | MPEG-TS with bad starts | `cases`: `transport_stream`; `corpus`: `transport_stream_whose_clock_wraps`, `transport_stream_that_begins_in_the_middle` |
//! | fragmented MP4 without a duration or with a bogus one | `corpus`: `fragmented_without_a_duration_and_with_a_wrong_one` |
//! | recordings of unknown length | `corpus`: `webm_of_unknown_length`; `real` |
//! | one frame, tens of seconds, hours without or nearly without sound | `cases`: `one_frame_and_few`, most others; `corpus`: `slides`, `two_hours`, `two_hours_of_a_picture_each_second` |
//! | 16 pixels and 8K | `corpus`: `sixteen_pixels`, `sixteen_thousand_times_as_many` |
//! | sound that can't be decoded in the middle, and gaps | `damaged` |
//! | what nothing can be made of, what is encrypted, and what is over a limit | `refused` |
//! | what others made | `real` |

mod boxes;
mod cases;
mod check;
mod clip;
mod corpus;
mod damaged;
mod downmix;
mod extras;
mod hdr;
mod manifest;
mod mistakes;
mod opinion;
mod patch;
mod pictures;
mod player;
mod real;
mod refused;
mod rules;
mod sections;
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
