//! What the tests stand on: nodes, separate servers and commands as processes of their own, clips, and ways to look at what came out.

mod calls;
mod cli;
mod clip;
mod clock;
mod environment;
mod events;
mod http;
mod node;
mod noise;
mod playback;
mod process;
mod procfs;
mod receiver;
mod server;
mod store;
mod stream;
mod system;
mod wait;

pub(crate) use self::{
    calls::upload,
    cli::Cli,
    clip::{Clip, Tool, clip, tool},
    clock::skewed,
    environment::environment,
    events::Mark,
    http::{get, get_ok},
    node::Node,
    noise::noise,
    playback::{Playback, count_frames},
    process::{Ended, Process, buf_path, reelway, reelway_path},
    procfs::{children_of, memory_kib, memory_peak_kib, working_in},
    receiver::{Delivery, Receiver, Says, webhook_secret},
    server::{Role, Server, Setup, channel},
    stream::WriteStream,
    system::{Shape, System},
    wait::{within, within_secs},
};
