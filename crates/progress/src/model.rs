//! What is known of one job's progress, shared by all its watchers, so that a thousand of them read its tasks once.

use std::{
    sync::atomic::{AtomicI64, Ordering},
    time::{Duration, Instant},
};

use reelway::v1;
use reelway_catalog::{Catalog, Error, Task};
use reelway_domain::{EventSeq, JobId, JobState, RenditionInfo, Tenant};
use reelway_rpc::convert::duration_ms;
use tokio::sync::Mutex;

use crate::{
    hub::Hub,
    percent::{self, Measure, Part},
    rate::Rate,
    samples::Version,
};

/// Reading the tasks again is put off until this many times as long has passed as reading took, so that a job of
/// thousands of tasks, each of which changes, doesn't keep the database busy.
const READ_PAUSE_FACTOR: u32 = 10;

/// One job's progress.
#[derive(Debug)]
pub(crate) struct Model {
    job: JobId,
    /// The newest event that somebody knows of.
    told: AtomicI64,
    known: Mutex<Option<Known>>,
}

/// How far a job is, as of now.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Standing {
    pub(crate) percent: f64,
    pub(crate) speed: f64,
    pub(crate) renditions: Vec<v1::RenditionProgress>,
    pub(crate) time_left: Option<Duration>,
}

#[derive(Debug)]
struct Known {
    tenant: Tenant,
    state: JobState,
    seq: EventSeq,
    renditions: Vec<RenditionInfo>,
    parts: Vec<Part>,
    read_at: Instant,
    read_took: Duration,
    rate: Rate,
    /// The last result, good while the samples are the same.
    standing: Option<(Version, Standing)>,
}

impl Model {
    pub(crate) fn new(job: JobId) -> Self {
        Self {
            job,
            told: AtomicI64::new(0),
            known: Mutex::new(None),
        }
    }

    /// An event happened: what was read before it is out of date.
    pub(crate) fn told(&self, seq: EventSeq) {
        self.told.fetch_max(seq.0, Ordering::Relaxed);
    }

    /// How far the job is; `None` if the tenant has no such job.
    pub(crate) async fn standing(
        &self,
        catalog: &Catalog,
        tenant: &Tenant,
        hub: &Hub,
    ) -> Result<Option<Standing>, Error> {
        let mut slot = self.known.lock().await;
        let told = EventSeq(self.told.load(Ordering::Relaxed));
        if slot.as_ref().is_none_or(|known| known.is_out_of_date(told)) {
            let rate = slot.as_ref().map(|known| known.rate).unwrap_or_default();
            *slot = Known::read(catalog, tenant, self.job, rate).await?;
        }
        let Some(known) = slot.as_mut().filter(|known| known.tenant == *tenant) else {
            return Ok(None);
        };
        let (samples, version) = hub.samples().of_job(self.job);
        if let Some((_, standing)) = known.standing.as_ref().filter(|(seen, _)| *seen == version) {
            return Ok(Some(standing.clone()));
        }
        let standing = known.stand(&percent::measure(known.state, &known.parts, &samples));
        known.standing = Some((version, standing.clone()));
        Ok(Some(standing))
    }
}

impl Known {
    async fn read(catalog: &Catalog, tenant: &Tenant, job: JobId, rate: Rate) -> Result<Option<Self>, Error> {
        let began = Instant::now();
        // The job first: what is read after it may be newer than its event number, never older.
        let Some(row) = catalog.job(tenant, job).await? else {
            return Ok(None);
        };
        let parts = catalog.tasks(tenant, job).await?.iter().map(part).collect();
        Ok(Some(Self {
            tenant: row.tenant,
            state: row.state,
            seq: row.event_seq,
            renditions: row.renditions,
            parts,
            read_at: Instant::now(),
            read_took: began.elapsed(),
            rate,
            standing: None,
        }))
    }

    /// By an event: the hub hears of each, or finds it.
    fn is_out_of_date(&self, told: EventSeq) -> bool {
        self.seq < told && self.read_at.elapsed() > self.read_took * READ_PAUSE_FACTOR
    }

    fn stand(&mut self, measure: &Measure) -> Standing {
        self.rate.observe(Instant::now(), measure.percent);
        Standing {
            percent: measure.percent,
            speed: measure.speed,
            renditions: renditions(&self.renditions, measure),
            time_left: self.rate.time_left().filter(|_| self.state == JobState::Running),
        }
    }
}

fn part(task: &Task) -> Part {
    Part {
        task: task.id,
        kind: task.kind,
        index: task.index,
        state: task.state,
        lease_epoch: task.lease_epoch,
        weight_ms: task.weight_ms,
    }
}

/// All rungs of a chunk come from one process, so they are equally far; audio tracks are tasks of their own, in the order
/// of their renditions.
fn renditions(renditions: &[RenditionInfo], measure: &Measure) -> Vec<v1::RenditionProgress> {
    let mut audio_ms = measure.audio_ms.iter().copied();
    let progress = |rendition: &RenditionInfo| {
        let is_audio = rendition.height == 0;
        let encoded_ms = if is_audio {
            audio_ms.next().unwrap_or(0)
        } else {
            measure.video_ms
        };
        v1::RenditionProgress {
            name: rendition.name.clone(),
            encoded: Some(duration_ms(encoded_ms)),
        }
    };
    renditions.iter().map(progress).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rungs_move_together_and_audio_by_itself() {
        let info = |name: &str, height| RenditionInfo {
            name: name.into(),
            height,
            ..RenditionInfo::default()
        };
        let measure = Measure {
            video_ms: 4_000,
            audio_ms: vec![9_000, 1_000],
            ..Measure::default()
        };
        let made = [
            info("720p", 720),
            info("audio", 0),
            info("360p", 360),
            info("audio-1", 0),
        ];
        let told = renditions(&made, &measure);
        let seconds: Vec<i64> = told.iter().map(|r| r.encoded.unwrap().seconds).collect();
        assert_eq!(seconds, [4, 9, 4, 1]);
    }
}
