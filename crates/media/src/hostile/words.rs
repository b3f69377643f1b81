//! What ffprobe and ffmpeg print of a file, with numbers that no sound file has: the file's author chooses them.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    process::Command,
    time::Instant,
};

use super::{
    bench, cases, is_about_the_source,
    mutate::{Random, mutate_words},
    seeds::{Seed, seeds},
};
use crate::{
    PlanView, SandboxLevel, Workspace, index,
    plan::lay_out,
    probe::read_report,
    testbench::{Bench, one_rung},
    webvtt,
};

/// How many changed reports, indexes and texts are read.
const READ: u64 = 10_000;
/// Reading one takes this long at the most, in seconds.
const READ_SECONDS_MAX: u64 = 2;
/// Text whose cues are changed: with hours and without, with settings, tags and empty lines.
const CUES: &str = "WEBVTT\n\n00:01.000 --> 00:03.500\none\n\n1\n00:00:03.000 --> 01:00:00.000 align:left\n<b>two</b>\n\n\
                    and two\n\n99:59:59.999 --> 100:00:00.000\n&amp; three\n";

/// What is printed of one file.
struct Printed {
    name: &'static str,
    report: String,
    packets: String,
}

fn printed(bench: &Bench, seed: &Seed) -> Printed {
    let print = |words: &str| {
        let mut ffprobe = Command::new("ffprobe");
        ffprobe
            .args(["-v", "error"])
            .args(words.split(' '))
            .arg(bench.path(seed.name));
        String::from_utf8(ffprobe.output().unwrap().stdout).unwrap()
    };
    Printed {
        name: seed.name,
        report: print("-of json -show_format -show_streams"),
        packets: print("-of compact=p=0 -show_packets"),
    }
}

#[tokio::test]
async fn no_number_is_believed() {
    cases::alone("hostile::words::numbers_alone").await;
}

/// Not a test of its own: [`no_number_is_believed`] gives it a process whose memory it can bound.
#[tokio::test]
async fn numbers_alone() {
    if !cases::is_alone() {
        return;
    }
    let bench = bench(SandboxLevel::Prefer).await;
    let printed: Vec<Printed> = seeds(&bench).iter().map(|seed| printed(&bench, seed)).collect();
    let scratch = bench.scratch();
    let work = bench.workspace(&scratch, &scratch);
    let numbers = cases::numbers("numbers", READ);
    let (mut planned, count) = (0, numbers.end - numbers.start);
    cases::bound_memory();
    for number in numbers {
        let case = &printed[usize::try_from(number).unwrap() % printed.len()];
        let begun = Instant::now();
        let read = catch_unwind(AssertUnwindSafe(|| is_planned(&work, case, number)));
        let what = format!("case {number}, changed words about {}", case.name);
        planned += u64::from(read.unwrap_or_else(|_| panic!("{what}")));
        assert!(
            begun.elapsed().as_secs() < READ_SECONDS_MAX,
            "{what}, takes {:?}",
            begun.elapsed()
        );
    }
    // Words of which nothing could be made would show nothing.
    assert!(
        planned > count / 10 && planned < count,
        "{planned} of {count} were planned"
    );
}

/// Whether the changed words of a number still make a plan, which is within the limits then.
fn is_planned(work: &Workspace<'_>, printed: &Printed, number: u64) -> bool {
    let mut random = Random::new(number);
    let mut change = |text: &str| mutate_words(text, &mut random);
    let (report, packets, cues) = (change(&printed.report), change(&printed.packets), change(CUES));
    let text = webvtt::rewritten(&cues, 0, 10_000);
    assert!(
        text.end_ms <= 10_000 && text.text.len() < 2 * cues.len() + 200,
        "{cues:?}"
    );
    let limits = work.tools.limits();
    let probe = match read_report(&report, limits) {
        Ok(probe) => probe,
        Err(error) => {
            let reason = error.failure().expect("nobody cancels").reason;
            assert!(is_about_the_source(reason), "{error:?}");
            return false;
        }
    };
    let index = index::of_lines(&probe, packets.lines());
    let view = if number.is_multiple_of(2) {
        PlanView::Whole
    } else {
        PlanView::Index
    };
    match lay_out(work, &probe, &index, &one_rung(), view) {
        Ok(plan) => {
            assert!(u128::from(plan.source.duration_ms.unsigned_abs()) <= limits.duration_max.as_millis() + 1000);
            true
        }
        Err(failure) => {
            assert!(is_about_the_source(failure.reason), "{failure:?}");
            false
        }
    }
}
