//! What the tests of this crate share: the real tools, a directory that goes away, and clips made on the spot.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use reelway_domain::{Ladder, Reason, preset};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

use crate::{Error, Limits, Plan, Probe, Tools, Urgency, Workspace, make_plan, probe};

/// Tools and a directory for one test.
pub(crate) struct Bench {
    pub(crate) tools: Tools,
    pub(crate) cancel: CancellationToken,
    dir: TempDir,
}

impl Bench {
    pub(crate) async fn new() -> Self {
        Self::with(Limits::default()).await
    }

    pub(crate) async fn with(limits: Limits) -> Self {
        let tools = Tools::find(limits).await.unwrap();
        Self {
            tools,
            cancel: CancellationToken::new(),
            dir: tempfile::tempdir().unwrap(),
        }
    }

    /// A path in the test's directory, beside the scratch directories.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// A new scratch directory.
    pub(crate) fn scratch(&self) -> PathBuf {
        tempfile::tempdir_in(self.dir.path()).unwrap().keep()
    }

    /// A file with these bytes.
    pub(crate) fn file(&self, name: &str, bytes: &[u8]) -> PathBuf {
        std::fs::write(self.path(name), bytes).unwrap();
        self.path(name)
    }

    /// Runs ffmpeg, outside of the sandbox, with words that may name other files of the test's directory.
    pub(crate) fn ffmpeg(&self, words: &str, output: &str) -> PathBuf {
        let mut command = Command::new("ffmpeg");
        command
            .current_dir(self.dir.path())
            .args(["-nostdin", "-v", "error", "-y"]);
        let status = command.args(words.split_whitespace()).arg(output).status().unwrap();
        assert!(status.success(), "{words}");
        self.path(output)
    }

    /// A clip of a moving test picture (and a tone, if `codecs` has an audio codec), 320x180 pixels.
    pub(crate) fn clip(&self, rate: &str, seconds: f64, codecs: &str, output: &str) -> PathBuf {
        let tone = if codecs.contains("-c:a") {
            format!("-f lavfi -i sine=d={seconds}")
        } else {
            String::new()
        };
        let picture = format!("-f lavfi -i testsrc2=s=320x180:r={rate}:d={seconds}");
        self.ffmpeg(&format!("{picture} {tone} {codecs}"), output)
    }

    pub(crate) fn workspace<'a>(&'a self, source: &'a Path, scratch: &'a Path) -> Workspace<'a> {
        Workspace {
            tools: &self.tools,
            source,
            scratch,
            cancel: &self.cancel,
            urgency: Urgency::Soon,
        }
    }

    pub(crate) async fn probe(&self, source: &Path) -> Result<Probe, Error> {
        let scratch = self.scratch();
        probe(&self.workspace(source, &scratch)).await
    }

    /// The plan, and the file that it is to be read from.
    pub(crate) async fn plan(&self, source: &Path, ladder: &Ladder) -> Result<(Plan, PathBuf), Error> {
        let scratch = self.scratch();
        let work = self.workspace(source, &scratch);
        let probe = probe(&work).await?;
        let (plan, copy) = make_plan(&work, &probe, ladder).await?;
        assert_eq!(plan.reads_mezzanine, copy.is_some());
        Ok((plan, copy.unwrap_or_else(|| source.to_owned())))
    }
}

/// Clips here are smaller than every rung, so this makes one rendition, quickly.
pub(crate) fn one_rung() -> Ladder {
    preset("fast").unwrap()
}

pub(crate) fn reason<T: std::fmt::Debug>(result: Result<T, Error>) -> Reason {
    result.unwrap_err().failure().expect("not cancelled").reason
}
