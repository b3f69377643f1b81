//! Sources made of pieces, encoded while they arrive: what was made of the beginning stays when the end is there.

use std::path::Path;

use reelway_catalog::Task;
use reelway_domain::{JobState, TaskKind, TaskState, Tenant};

use crate::{
    overlap::{Running, clip, is_done, ladder, tasks, until},
    testing::{Arriving, Bench},
};

/// More than a minute at little cost, in pieces of two seconds: of so much, a trial is made.
const LONG: &str = "-f lavfi -i testsrc2=size=320x240:rate=10 -f lavfi -i sine=440 -t 90 -pix_fmt yuv420p -c:v libx264 \
                      -preset ultrafast -g 20";
const LONG_ONES: [&str; 2] = [
    "-movflags frag_keyframe+empty_moov -f mp4",
    "-f matroska -live 1 -cluster_time_limit 2000",
];
/// Twenty seconds of 15 frames a second, and then of 60.
const QUICKER: &str = "-f lavfi -i testsrc2=size=320x240:rate=60 -t 40 -vf select='gte(t,20)+not(mod(n,4))' -fps_mode vfr \
                       -pix_fmt yuv420p -c:v libx264 -preset ultrafast -g 60 -movflags frag_keyframe+empty_moov -f mp4";
/// As browsers record it.
const WEBM: &str = "-c:v libvpx -deadline realtime -cpu-used 8 -b:v 2M -c:a libopus -f webm -live 1";

/// A source, how many frames it has, and what is told before all of it is there: its length, and all about it by an index in front.
struct Source<'a> {
    name: &'a str,
    bytes: &'a [u8],
    frames: i64,
    tells_length: bool,
    has_index: bool,
}

impl Source<'_> {
    async fn arriving(&self, bench: &Bench) -> Arriving {
        bench
            .arriving(self.tells_length.then_some(self.bytes.len()), ladder())
            .await
    }

    /// Sends what is left of it, and lets its job end.
    async fn ends(&self, bench: &Bench, arriving: &Arriving, from: usize) -> Vec<Task> {
        arriving.write(bench, self.bytes, from, self.bytes.len()).await;
        arriving.complete(bench, self.bytes.len()).await;
        let ended = bench.run_woken_to_end(arriving.job).await;
        assert_eq!(ended.state, JobState::Succeeded, "{}: {:?}", self.name, ended.error);
        let counted = (ended.source.unwrap().frames, ended.missing_frames);
        assert_eq!(counted, (self.frames, 0), "{}", self.name);
        tasks(bench, arriving.job).await
    }

    /// Sends most of it until something can be played, and then the rest. What was laid out for the beginning stays, and so does
    /// what was made: it is what a complete file becomes.
    async fn stays(&self) {
        let bench = Bench::new().await;
        let (arriving, most) = (self.arriving(&bench).await, self.bytes.len() * 3 / 4);
        let running = Running::start(&bench);
        arriving.write(&bench, self.bytes, 0, 100_000).await;
        arriving.write(&bench, self.bytes, 100_000, most).await;
        let kinds = [TaskKind::Lead, TaskKind::Video, TaskKind::Audio];
        until(&bench, arriving.job, self.name, |tasks| {
            kinds.iter().all(|kind| is_done(tasks, *kind))
        })
        .await;
        let row = async || {
            bench
                .catalog
                .job(&Tenant::single(), arriving.job)
                .await
                .unwrap()
                .unwrap()
        };
        while row().await.published_segments == 0 {
            tokio::task::yield_now().await;
        }
        running.stop().await;
        let before = tasks(&bench, arriving.job).await;
        let after = self.ends(&bench, &arriving, most).await;
        assert_eq!(thrown_away(&before, &after), [""; 0], "{}", self.name);
        at_once(&before);
        assert_eq!(
            is_done(&after, TaskKind::Verify),
            self.has_index,
            "{}: the last plan of pieces looks at all of them",
            self.name
        );
        let whole = bench.job_with(self.bytes.to_vec(), ladder()).await;
        assert_eq!(bench.run_woken_to_end(whole).await.state, JobState::Succeeded);
        // These are the first chunks of every plan.
        for segment in ["144p-00000.m4s", "240p-00000.m4s", "144p-00001.m4s", "240p-00001.m4s"] {
            let made = [arriving.job, whole].map(|job| output(&bench, job, segment));
            assert!(made[0] == made[1], "{}: {segment} is another one", self.name);
        }
    }
}

/// A file that one of a job's tasks made.
fn output(bench: &Bench, job: reelway_domain::JobId, name: &str) -> Vec<u8> {
    let all = bench.store.output(job).path(&"x".parse().unwrap());
    let claims = std::fs::read_dir(all.parent().unwrap()).unwrap();
    let found = claims.filter_map(|claim| std::fs::read(claim.unwrap().path().join(name)).ok());
    let found: Vec<Vec<u8>> = found.collect();
    assert_eq!(found.len(), 1, "{name}");
    found.into_iter().next().unwrap()
}

/// Fails if something was tried again: what a task sees of the pieces is enough.
fn at_once(tasks: &[Task]) {
    let again: Vec<&Task> = tasks.iter().filter(|task| task.attempt > 1).collect();
    assert!(again.is_empty(), "{again:#?}");
}

/// The tasks that went, without those that went on.
fn thrown_away(before: &[Task], after: &[Task]) -> Vec<String> {
    let stays = |task: &&Task| !after.iter().any(|now| now.id == task.id);
    let name = |task: &Task| format!("{} {}", task.kind, task.index);
    before.iter().filter(stays).map(name).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_made_of_the_first_fragments_stays() {
    let bench = Bench::new().await;
    for (name, frames, tells_length, options) in [
        ("fragmented MP4", 240, true, "-movflags frag_keyframe+empty_moov -f mp4"),
        // With keyframes where no segment would end by itself.
        (
            "fragmented MP4 of unknown length",
            450,
            false,
            "-t 30 -g 37 -movflags frag_keyframe+empty_moov -f mp4",
        ),
    ] {
        let bytes = clip(&bench, options);
        let source = Source {
            name,
            bytes: &bytes,
            frames,
            tells_length,
            has_index: false,
        };
        source.stays().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_made_of_the_first_clusters_stays() {
    let bench = Bench::new().await;
    for (name, tells_length, options) in [
        ("Matroska", true, "-f matroska -cluster_time_limit 1000"),
        ("WebM of unknown length", false, WEBM),
    ] {
        let bytes = clip(&bench, options);
        let source = Source {
            name,
            bytes: &bytes,
            frames: 240,
            tells_length,
            has_index: false,
        };
        source.stays().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_made_by_an_index_in_front_stays() {
    let bench = Bench::new().await;
    let bytes = with_open_media(clip(&bench, "-movflags +faststart"));
    let source = Source {
        name: "MP4 of unknown length that goes on behind its last sample",
        bytes: &[&bytes[..], &[0xA5; 9999]].concat(),
        frames: 240,
        tells_length: false,
        has_index: true,
    };
    source.stays().await;
}

/// An MP4 whose media data, behind the index, doesn't tell how long it is.
fn with_open_media(mut file: Vec<u8>) -> Vec<u8> {
    let kind = file.windows(4).position(|kind| kind == b"mdat").expect("media data");
    file[kind - 4..kind].fill(0);
    file
}

#[tokio::test(flavor = "multi_thread")]
async fn a_length_that_is_told_on_the_way_changes_nothing() {
    let bench = Bench::new().await;
    let bytes = bench.indexed_clip();
    let source = Source {
        name: "MP4 of a length that is told late",
        bytes: &bytes,
        frames: 150,
        tells_length: false,
        has_index: true,
    };
    let (arriving, most) = (source.arriving(&bench).await, bytes.len() * 3 / 4);
    let running = Running::start(&bench);
    arriving.write(&bench, &bytes, 0, most).await;
    until(&bench, arriving.job, source.name, |tasks| {
        is_done(tasks, TaskKind::Lead)
    })
    .await;
    running.stop().await;
    let before = tasks(&bench, arriving.job).await;
    arriving.declare(&bench, bytes.len()).await;
    let after = source.ends(&bench, &arriving, most).await;
    assert_eq!(thrown_away(&before, &after), [""; 0]);
    assert!(is_done(&after, TaskKind::Verify));
}

/// What becomes of it is what becomes of the same file when nobody looks at it before its end, and nothing is said before that.
#[tokio::test(flavor = "multi_thread")]
async fn what_ends_before_its_index_says_comes_out_as_a_whole_file() {
    let bench = Bench::new().await;
    let told = clip(&bench, "-movflags +faststart");
    let open = with_open_media(told.clone());
    for (name, file) in [("a length that is told", told), ("a length that is not", open)] {
        let (half, end) = (file.len() / 2, file.len() * 4 / 5);
        let arriving = bench.arriving(None, ladder()).await;
        let running = Running::start(&bench);
        arriving.write(&bench, &file, 0, half).await;
        until(&bench, arriving.job, name, |tasks| is_done(tasks, TaskKind::Lead)).await;
        arriving.write(&bench, &file, half, end).await;
        running.stop().await;
        let before = bench.catalog.job(&Tenant::single(), arriving.job).await.unwrap();
        assert!(!before.unwrap().state.is_terminal(), "{name}");
        arriving.complete(&bench, end).await;
        let whole = bench.job_with(file[..end].to_vec(), ladder()).await;
        let mut ends = Vec::new();
        for job in [arriving.job, whole] {
            let ended = bench.run_woken_to_end(job).await;
            let source = ended.source.filter(|_| ended.state == JobState::Succeeded);
            let frames = source.map(|source| (source.frames, ended.missing_frames));
            ends.push((ended.state, ended.error.map(|error| error.reason), frames));
        }
        assert_eq!(ends[0], ends[1], "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn plans_reach_further_while_the_bytes_arrive() {
    for options in LONG_ONES {
        grows(options).await;
    }
}

async fn grows(options: &str) {
    let bench = Bench::new().await;
    let words = LONG.split_whitespace().chain(options.split_whitespace());
    let bytes = bench.clip(&words.collect::<Vec<_>>());
    let source = Source {
        name: options,
        bytes: &bytes,
        frames: 900,
        tells_length: true,
        has_index: false,
    };
    let arriving = source.arriving(&bench).await;
    let running = Running::start(&bench);
    let count = |tasks: &[Task], kind| {
        let done = |task: &&Task| task.kind == kind && task.state == TaskState::Succeeded;
        tasks.iter().filter(done).count()
    };
    let (mut from, mut before) = (0, Vec::new());
    for (chunks, percent) in [(3, 26), (5, 46), (7, 80)] {
        let to = bytes.len() * percent / 100;
        arriving.write(&bench, &bytes, from, to).await;
        from = to;
        before = until(&bench, arriving.job, "no plan reached further", |tasks| {
            let is_far = chunks < 7 || is_done(tasks, TaskKind::Trial);
            is_far && count(tasks, TaskKind::Video) >= chunks && count(tasks, TaskKind::Audio) >= 2
        })
        .await;
    }
    assert!(count(&before, TaskKind::Plan) >= 3, "{before:#?}");
    running.stop().await;
    assert!(!bench.is_empty(Path::new("scratch/beginnings")), "nothing is kept");
    let after = source.ends(&bench, &arriving, from).await;
    assert_eq!(thrown_away(&before, &after), [""; 0]);
    at_once(&before);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_goes_on_otherwise_than_it_began_is_made_anew() {
    let bench = Bench::new().await;
    let bytes = bench.clip(&QUICKER.split_whitespace().collect::<Vec<_>>());
    let source = Source {
        name: "a quicker end",
        bytes: &bytes,
        frames: 1500,
        tells_length: true,
        has_index: false,
    };
    let (arriving, part) = (source.arriving(&bench).await, bytes.len() / 4);
    let running = Running::start(&bench);
    arriving.write(&bench, &bytes, 0, part).await;
    until(&bench, arriving.job, "nothing was made", |tasks| {
        is_done(tasks, TaskKind::Lead)
    })
    .await;
    running.stop().await;
    let before = tasks(&bench, arriving.job).await;
    let after = source.ends(&bench, &arriving, part).await;
    let gone = thrown_away(&before, &after);
    assert!(gone.iter().any(|task| task.starts_with("lead")), "{gone:?}");
}
