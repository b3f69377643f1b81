//! Clips that ffmpeg makes. They are kept between runs, under names that hold what they were made with.

use std::{
    env, fs,
    hash::{DefaultHasher, Hash as _, Hasher as _},
    path::{Path, PathBuf},
    process,
};

use tokio::process::Command;

/// What a clip is made of.
#[derive(Debug, Clone, Copy, Hash)]
pub(crate) struct Clip {
    /// The end of its file's name.
    pub(crate) name: &'static str,
    /// Its length in seconds.
    pub(crate) seconds: u32,
    /// Its frames a second.
    pub(crate) rate: u32,
    /// Its size as ffmpeg writes it.
    pub(crate) size: &'static str,
    /// Further options for the output.
    pub(crate) options: &'static [&'static str],
}

impl Clip {
    /// A clip with sound that is made and encoded quickly: 30 frames a second.
    pub(crate) const fn short(seconds: u32) -> Self {
        Self {
            name: "clip.mp4",
            seconds,
            rate: 30,
            size: "320x240",
            options: &[],
        }
    }

    /// How many frames it has.
    pub(crate) fn frames(&self) -> u64 {
        u64::from(self.seconds * self.rate)
    }
}

/// The clip's file.
pub(crate) async fn clip(clip: Clip) -> PathBuf {
    let mut hasher = DefaultHasher::new();
    clip.hash(&mut hasher);
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{:016x}-{}", hasher.finish(), clip.name));
    if path.is_file() {
        return path;
    }
    // Another test may be making the same one: the whole file appears at once, whoever is first.
    let fresh = path.with_file_name(format!(
        "{}-{:016x}-{}",
        process::id(),
        rand::random::<u64>(),
        clip.name
    ));
    let (seconds, rate, size) = (clip.seconds, clip.rate, clip.size);
    let video = format!("testsrc2=size={size}:rate={rate}:duration={seconds}");
    let audio = format!("sine=frequency=440:duration={seconds}");
    let mut ffmpeg = Tool::new("ffmpeg");
    ffmpeg.args(["-f", "lavfi", "-i", &video, "-f", "lavfi", "-i", &audio]);
    ffmpeg.args([
        "-c:v",
        "libx264",
        "-preset",
        "ultrafast",
        "-pix_fmt",
        "yuv420p",
        "-c:a",
        "aac",
        "-shortest",
    ]);
    ffmpeg.args(clip.options).path(&fresh).run().await;
    fs::rename(&fresh, &path).expect("a clip");
    path
}

/// A program that is to succeed.
pub(crate) struct Tool(Command);

impl Tool {
    /// The program; ffmpeg and ffprobe with the options that keep them quiet.
    pub(crate) fn new(program: &str) -> Self {
        let mut command = Command::new(program);
        if matches!(program, "ffmpeg" | "ffprobe") {
            command.args(["-v", "error"]);
        }
        if program == "ffmpeg" {
            command.args(["-nostdin", "-y"]);
        }
        command.kill_on_drop(true);
        Self(command)
    }

    /// Adds arguments.
    pub(crate) fn args(&mut self, args: impl IntoIterator<Item = impl AsRef<std::ffi::OsStr>>) -> &mut Self {
        self.0.args(args);
        self
    }

    /// Adds a path.
    pub(crate) fn path(&mut self, path: &Path) -> &mut Self {
        self.0.arg(path);
        self
    }

    /// Sets a variable of the environment.
    pub(crate) fn env(&mut self, name: &str, path: &Path) -> &mut Self {
        self.0.env(name, path);
        self
    }

    /// Runs it and gives its standard output.
    pub(crate) async fn run(&mut self) -> String {
        let ended = self
            .0
            .output()
            .await
            .unwrap_or_else(|error| panic!("{:?}: {error}", self.0));
        let (out, err) = (
            String::from_utf8_lossy(&ended.stdout),
            String::from_utf8_lossy(&ended.stderr),
        );
        assert!(
            ended.status.success(),
            "{:?} ended with {}\n{out}\n{err}",
            self.0,
            ended.status
        );
        out.into_owned()
    }
}

/// Runs a program with these arguments and gives its standard output.
pub(crate) async fn tool(program: &str, args: &[&str]) -> String {
    Tool::new(program).args(args).run().await
}
