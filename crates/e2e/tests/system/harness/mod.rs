//! What the tests stand on: nodes and commands as processes of their own, clips, and ways to look at what came out.

mod cli;
mod clip;
mod events;
mod http;
mod node;
mod noise;
mod playback;
mod process;
mod procfs;
mod wait;

pub(crate) use self::{
    cli::Cli,
    clip::{Clip, Tool, clip, tool},
    events::Mark,
    http::{get, get_ok},
    node::{Node, Setup},
    noise::noise,
    playback::{Playback, count_frames},
    process::{Ended, Process, buf_path, reelway, reelway_path},
    procfs::{children_of, memory_peak_kib, working_in},
    wait::{within, within_secs},
};
