//! Stores what arrives and makes it durable while more arrives.
//!
//! At most one piece is being written and one sync is under way. A sync begins when enough has been written since the
//! last one, so the interval between commits adapts to the disk.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use reelway_blob::{BlobError, Extent, Staging, Synced};
use reelway_catalog::{Commit, Upload};
use reelway_domain::{Offset, Sample, UploadState, WriterId, limits};
use tokio::{
    sync::{OwnedSemaphorePermit, mpsc, watch},
    task::{JoinError, JoinSet},
    time::{Instant, MissedTickBehavior, interval_at},
};
use tracing::Instrument as _;

use crate::{
    answers::Answers,
    ended::Stopped,
    hash::RunningHash,
    intake::{Data, Piece, Stored, Then},
    meter,
    registry::Seat,
    server::Shared,
};

/// The shortest time between two samples.
const SAMPLE_EVERY: Duration = Duration::from_millis(1000 / limits::SAMPLES_PER_SECOND_MAX as u64);

/// The one writer of an upload.
#[derive(Debug)]
pub(crate) struct Writer {
    pub(crate) shared: Arc<Shared>,
    /// As of the last commit.
    pub(crate) row: Upload,
    pub(crate) file: Staging,
    /// Every byte below is in the file.
    pub(crate) written: Offset,
    /// Of everything written, if this writer wrote it all and somebody will ask.
    pub(crate) hash: Option<RunningHash>,
    /// What is written counts only when the client says so.
    pub(crate) atomic: bool,
    /// A task waits until so much is durable.
    wanted: watch::Receiver<Option<Offset>>,
    /// At most one.
    commits: JoinSet<Result<Commit, Stopped>>,
    /// Every byte below is durable, or is being made so.
    committing: Offset,
    /// When the last sample was published, and what it told.
    sampled: Option<(Instant, Offset)>,
}

impl Writer {
    /// A writer that goes on where `row` is durable.
    pub(crate) fn new(shared: Arc<Shared>, row: Upload, file: Staging, seat: &Seat) -> Self {
        let begin = row.durable_offset;
        Self {
            shared,
            file,
            written: begin,
            hash: (row.expected_sha256.is_some() && begin == Offset::ZERO).then(RunningHash::default),
            atomic: false,
            wanted: seat.wanted(),
            commits: JoinSet::new(),
            committing: begin,
            sampled: None,
            row,
        }
    }

    /// Writes all pieces, until there are none any more or the file is complete. What was written is durable then, also
    /// if something went wrong, unless that is what went wrong, or nothing was to count without being flushed.
    pub(crate) async fn run(
        &mut self,
        pieces: mpsc::Receiver<(Piece, OwnedSemaphorePermit)>,
        answers: &Answers,
    ) -> Result<(), Stopped> {
        let result = self.write_all(pieces, answers).await;
        if let Err(Stopped::Failed(failure)) = &result {
            let saved = self.end().await;
            tracing::debug!(upload.id = %self.row.id, %failure, is_saved = saved.is_ok(), "writer stopped");
        }
        if self.sampled.is_some_and(|(_, told)| told < self.row.durable_offset) {
            self.sample();
        }
        result
    }

    async fn write_all(
        &mut self,
        mut pieces: mpsc::Receiver<(Piece, OwnedSemaphorePermit)>,
        answers: &Answers,
    ) -> Result<(), Stopped> {
        let commit_every = self.shared.settings.commit_every;
        let mut slow = interval_at(Instant::now() + commit_every, commit_every);
        slow.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let (mut commit_bytes_min, mut extent) = (self.file.commit_bytes(), Extent::Parts);
            tokio::select! {
                biased;
                Some(done) = self.commits.join_next() => {
                    self.committed(done)?;
                    answers.durable(self.row.durable_offset);
                }
                _ = slow.tick() => (commit_bytes_min, extent) = (1, Extent::Everything),
                piece = pieces.recv() => {
                    let Some((Piece { offset, data, then }, room)) = piece else { return self.end().await };
                    match data {
                        Data::Bytes(data) => self.write(offset, data).await?,
                        Data::Stored(stored) => self.copy(offset, stored).await?,
                    }
                    drop(room);
                    match then {
                        Then::GoOn => {}
                        Then::Flush => {
                            self.settle().await?;
                            answers.flushed(self.row.durable_offset, &self.shared).await?;
                        }
                        Then::Finish(size) => return self.complete(size).await,
                    }
                }
            }
            if self.is_wanted() {
                (commit_bytes_min, extent) = (1, Extent::Everything);
            }
            if !self.atomic && self.commits.is_empty() && self.written.0 - self.committing.0 >= commit_bytes_min {
                self.start_commit(extent);
            }
        }
    }

    /// Whether a task waits for what is written and not durable.
    fn is_wanted(&self) -> bool {
        let wanted = *self.wanted.borrow();
        wanted.is_some_and(|offset| self.committing < offset && offset <= self.written)
    }

    async fn write(&mut self, offset: Offset, data: Bytes) -> Result<(), Stopped> {
        if data.is_empty() {
            return Ok(());
        }
        let end = offset.advanced(data.len());
        let (written, hash) = match self.hash.take() {
            None => (self.file.write_at(offset, data).await, None),
            Some(hash) => tokio::join!(self.file.write_at(offset, data.clone()), hash.update(data)),
        };
        written?;
        self.hash = hash;
        self.written = end;
        Ok(())
    }

    /// Has the store copy what it has already.
    async fn copy(&mut self, offset: Offset, Stored { place, from, bytes }: Stored) -> Result<(), Stopped> {
        self.file.copy_at(offset, &place, from, bytes).await?;
        // Nobody here has seen these bytes.
        self.hash = None;
        self.written = Offset(offset.0.saturating_add_unsigned(bytes));
        Ok(())
    }

    /// Does with what was written and not recorded yet what the client wants of a stream that just ends.
    async fn end(&mut self) -> Result<(), Stopped> {
        if !self.atomic {
            return self.settle().await;
        }
        self.finish_commit().await?;
        // Behind the durable offset nothing counts, and whoever writes next writes over it.
        self.written = self.row.durable_offset;
        self.hash = None;
        Ok(())
    }

    /// Makes everything that was written durable and records it.
    pub(crate) async fn settle(&mut self) -> Result<(), Stopped> {
        self.finish_commit().await?;
        if self.row.durable_offset < self.written {
            self.start_commit(Extent::Everything);
        }
        self.finish_commit().await
    }

    /// Waits for the commit that is under way, if there is one.
    pub(crate) async fn finish_commit(&mut self) -> Result<(), Stopped> {
        match self.commits.join_next().await {
            Some(done) => self.committed(done),
            None => Ok(()),
        }
    }

    /// Syncs and records what is written by now, beside further writes.
    fn start_commit(&mut self, extent: Extent) {
        self.committing = self.written;
        let (shared, file) = (Arc::clone(&self.shared), self.file.clone());
        let (row, written) = (self.row.clone(), self.written);
        let commit = async move {
            let begin = Instant::now();
            let synced = file.sync(extent, written).await?;
            let commit = shared.record(&row, &file, &synced).await?;
            meter::commit_seconds().record(begin.elapsed());
            Ok(commit)
        };
        self.commits.spawn(commit.in_current_span());
    }

    fn committed(&mut self, done: Result<Result<Commit, Stopped>, JoinError>) -> Result<(), Stopped> {
        // After a failure the next commit begins again at what is durable for sure.
        self.committing = self.row.durable_offset;
        let lost = |error: JoinError| BlobError::Io {
            operation: "sync",
            path: self.row.id.to_string().into(),
            source: std::io::Error::other(error),
        };
        self.take(done.map_err(lost)??)
    }

    /// Takes over what came of a commit.
    pub(crate) fn take(&mut self, commit: Commit) -> Result<(), Stopped> {
        match commit {
            Commit::Done(row) => self.advance(row),
            Commit::Superseded => return Err(Stopped::Fenced),
        }
        Ok(())
    }

    /// Lets writers in other processes go on in this writer's file, if nothing that this process wrote there can still come
    /// to the disk. Call it only for a writer that ended well.
    pub(crate) async fn let_go(&self) {
        let is_settled = self.commits.is_empty() && self.row.durable_offset == self.written;
        // Who has the store for itself has no successors in other processes.
        let has_others = self.shared.store.writer_id() != WriterId::ONLY;
        if !is_settled || !has_others || self.row.state != UploadState::Receiving {
            return;
        }
        let (file, catalog) = (&self.file, &self.shared.catalog);
        let let_go = async {
            // An earlier writer of this process may have left bytes behind the durable offset that are not on the disk yet.
            file.sync(Extent::Everything, self.written).await?;
            Ok::<_, Stopped>(catalog.let_go(self.row.id, self.row.writer_epoch).await?)
        };
        if let Err(error) = let_go.await {
            tracing::debug!(upload.id = %self.row.id, ?error, "the next writer will begin another file");
        }
    }

    /// Takes over what the catalog has recorded.
    pub(crate) fn advance(&mut self, row: Upload) {
        meter::bytes().increment((row.durable_offset.0 - self.row.durable_offset.0).unsigned_abs());
        self.committing = row.durable_offset;
        self.row = row;
        let is_due = |(at, _): (Instant, Offset)| at.elapsed() >= SAMPLE_EVERY;
        if self.sampled.is_none_or(is_due) {
            self.sample();
        }
    }

    /// Tells those who watch how far the upload is.
    fn sample(&mut self) {
        let (upload, offset) = (self.row.id, self.row.durable_offset);
        self.sampled = Some((Instant::now(), offset));
        let durable_offset = offset.0;
        self.shared.bus.sample(Sample::Upload { upload, durable_offset });
    }
}

impl Shared {
    /// Records what a sync made durable, and then tells the store that it counts.
    pub(crate) async fn record(&self, row: &Upload, file: &Staging, synced: &Synced) -> Result<Commit, Stopped> {
        let (id, epoch, expiry) = (row.id, row.writer_epoch, self.settings.expiry);
        let recorded = self
            .catalog
            .commit_staged(id, epoch, synced.offset, expiry, &synced.change);
        let commit = recorded.await?;
        if let Commit::Done(_) = &commit {
            file.recorded(&synced.change).await;
        }
        Ok(commit)
    }
}
