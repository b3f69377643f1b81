//! What moves on a terminal: one bar for the bytes, one for the job.

use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

/// How often a terminal is drawn, per second.
const DRAWS_PER_SECOND: u8 = 8;
/// How often a bar shows that something is alive while nothing changes.
const TICK_EVERY: Duration = Duration::from_millis(250);
/// A job's bar has this length; a percent is ten of it.
const JOB_STEPS: u64 = 1000;

const BYTES_TEMPLATE: &str = "stored  {bar:32} {binary_bytes}/{binary_total_bytes} {binary_bytes_per_sec} {eta}";
const JOB_TEMPLATE: &str = "encoded {bar:32} {percent}% {msg} {elapsed}";

/// Two bars on standard error.
pub(crate) struct Bars {
    all: MultiProgress,
    bytes: ProgressBar,
    job: ProgressBar,
}

impl Bars {
    /// Bars that don't show until there is something to show.
    pub(crate) fn new() -> Self {
        let all = MultiProgress::with_draw_target(ProgressDrawTarget::stderr_with_hz(DRAWS_PER_SECOND));
        let hidden = |length| ProgressBar::with_draw_target(Some(length), ProgressDrawTarget::hidden());
        let bytes = hidden(0).with_style(style(BYTES_TEMPLATE));
        let job = hidden(JOB_STEPS).with_style(style(JOB_TEMPLATE));
        Self { all, bytes, job }
    }

    /// So many bytes are durable.
    pub(crate) fn stored_bytes(&self, durable: u64, size: u64) {
        self.show(&self.bytes);
        self.bytes.set_length(size);
        self.bytes.set_position(durable);
    }

    /// Nothing is left to send.
    pub(crate) fn stored(&self) {
        self.bytes.finish_and_clear();
    }

    /// So much of the job is done.
    pub(crate) fn percent(&self, percent: f64, speed: f64) {
        self.show(&self.job);
        let share = (percent / 100.0).clamp(0.0, 1.0);
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "it is between 0 and JOB_STEPS"
        )]
        self.job.set_position((share * JOB_STEPS as f64) as u64);
        if speed > 0.0 {
            self.job.set_message(format!("{speed:.1}x"));
        }
    }

    /// Writes a line without the bars in the way.
    pub(crate) fn around(&self, write: impl FnOnce()) {
        self.all.suspend(write);
    }

    /// Takes the bars away.
    pub(crate) fn clear(&self) {
        self.bytes.finish_and_clear();
        self.job.finish_and_clear();
    }

    fn show(&self, bar: &ProgressBar) {
        if bar.is_hidden() && !bar.is_finished() {
            self.all.add(bar.clone());
            bar.enable_steady_tick(TICK_EVERY);
        }
    }
}

/// The style, or the plain one if the template is wrong, which a test sees.
fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn templates_are_valid() {
        for template in [BYTES_TEMPLATE, JOB_TEMPLATE] {
            assert!(ProgressStyle::with_template(template).is_ok(), "{template}");
        }
    }
}
