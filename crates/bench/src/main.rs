//! What `scripts/bench` measures with: a load that writes uploads, and the bare service that it is compared with.

mod baseline;
mod deployment;
mod load;
mod store;
mod tasks;
mod tus;
mod watchers;

use std::{error::Error, net::SocketAddr, path::PathBuf};

use clap::Parser;

/// The same allocator on both sides, or the comparison would be one of allocators.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

#[derive(Debug, Parser)]
enum Command {
    /// Measure empty tasks.
    #[command(subcommand)]
    Tasks(Tasks),
    /// Measure many watchers of one progress server.
    Watchers(watchers::WatcherArgs),
    /// Upload over tus and print what was measured as one JSON line.
    Tus(tus::TusArgs),
    /// Write objects to an S3 server as a plain client, and print what was measured as one JSON line.
    Store(store::StoreArgs),
    /// Serve UploadService as barely as possible: write messages to a file, fdatasync at the end.
    Baseline {
        /// Where to listen; port 0 for a free one. The address is printed.
        #[arg(long, default_value = "127.0.0.1:0")]
        listen: SocketAddr,
        /// Where to write.
        #[arg(long)]
        dir: PathBuf,
    },
    /// Write uploads and print what was measured as one JSON line.
    Load {
        /// The server.
        #[arg(long)]
        url: String,
        /// How many uploads at once, each over a connection of its own.
        #[arg(long, default_value_t = 1)]
        uploads: usize,
        /// The size of each upload, in MiB.
        #[arg(long, default_value_t = 1024)]
        mib: usize,
        /// The bytes of one message, in KiB; the default is what the Rust client sends.
        #[arg(long, default_value_t = 256)]
        message_kib: usize,
    },
}

#[derive(Debug, clap::Subcommand)]
enum Tasks {
    /// Empty a backlog.
    Drain(tasks::TaskArgs),
    /// Make tasks ready at a rate.
    Start(tasks::TaskArgs),
    /// The worker of `start`.
    Work(tasks::TaskArgs),
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    match Command::parse() {
        Command::Tasks(Tasks::Drain(args)) => tasks::drain(args).await,
        Command::Tasks(Tasks::Start(args)) => tasks::start(args).await,
        Command::Tasks(Tasks::Work(args)) => tasks::run_worker(args).await,
        Command::Watchers(args) => watchers::run(args).await,
        Command::Tus(args) => tus::run(args).await,
        Command::Store(args) => store::run(args).await,
        Command::Baseline { listen, dir } => baseline::run(listen, dir).await,
        Command::Load {
            url,
            uploads,
            mib,
            message_kib,
        } => load::run(url, uploads, mib, message_kib).await,
    }
}
