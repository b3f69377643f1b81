//! Filter graphs. Every word in them is a number or comes from a fixed list: nothing of what a file's author or a caller
//! wrote gets in here.

use reelway_domain::RungSize;

use crate::{ChunkPlan, Colour, VideoPlan};

/// Gives a frame that falls on the tick of the one before it (or earlier) the next tick, as the plan did.
const ONE_PER_TICK: &str = "setpts='if(isnan(PREV_OUTPTS),PTS,max(PTS,PREV_OUTPTS+1))'";
/// One picture for each frame, so that frames still count; pictures that are not interlaced pass.
const DEINTERLACE: &str = "bwdif=mode=send_frame:deint=interlaced";
/// High dynamic range to what every screen shows, by way of linear light. Diffuse white is at 203 cd/m² (ITU-R BT.2408), and up
/// to middle greys this curve is a straight line: they stay as bright as they are.
const TONE_MAP: &str = "zscale=t=linear:npl=203,format=gbrpf32le,zscale=p=bt709,tonemap=mobius:desat=0,\
                        zscale=t=bt709:m=bt709:r=tv,format=yuv420p";
/// A frame this near to a segment's start belongs to it: the plan and ffmpeg round to ticks in different ways.
const ROUNDING_TICKS: i64 = 1;

/// The graph that turns the source's video into rungs of one chunk: exactly the frames from `start_pts` to before `end_pts`,
/// each with its own time, whatever the frame rate; of these only
/// those of one segment, if it is named.
pub(super) fn ladder(video: &VideoPlan, chunk: &ChunkPlan, rungs: &[RungSize], segment: Option<usize>) -> String {
    let mut graph = frames(video, chunk);
    if let Some(segment) = segment {
        graph += &one_segment(chunk, segment);
    }
    graph += &deinterlace(video);
    let wide: Vec<usize> = (0..rungs.len()).filter(|i| rungs[*i].hdr).collect();
    let usual: Vec<usize> = (0..rungs.len()).filter(|i| !rungs[*i].hdr).collect();
    if wide.is_empty() {
        graph += &tone_map(video);
        graph += &split(&usual, "");
    } else if usual.is_empty() {
        graph += &split(&wide, "");
    } else {
        graph += &split(&wide, "[usual]");
        graph += &format!(";[usual]null{}{}", tone_map(video), split(&usual, ""));
    }
    for (i, rung) in rungs.iter().enumerate() {
        let (width, height, pad) = (rung.width, rung.height, pad(i));
        let (format, colour) = if rung.hdr {
            ("yuv420p10le", wide_colour(&video.colour))
        } else {
            ("yuv420p", shown_colour(video))
        };
        graph +=
            &format!(";[s{i}]scale={width}:{height}:flags=bicubic:out_range=tv,format={format},setsar=1,{colour}{pad}");
    }
    graph
}

/// The frames of a chunk, each with its tick.
pub(super) fn frames(video: &VideoPlan, chunk: &ChunkPlan) -> String {
    format!(
        "[0:{}]trim=start_pts={}:end_pts={},setpts=PTS-({}),settb=1/90000,{ONE_PER_TICK}",
        video.stream_index, chunk.start_pts, chunk.end_pts, video.base_pts
    )
}

/// Leaves only the frames of one segment of a chunk. The chunk's own borders are those of its frames.
fn one_segment(chunk: &ChunkPlan, segment: usize) -> String {
    let start = |segment: usize| chunk.segments.get(segment).map(|s| s.start_ticks - ROUNDING_TICKS);
    let from = start(segment)
        .filter(|_| segment > 0)
        .map(|ticks| format!("start_pts={ticks}"));
    let to = start(segment + 1).map(|ticks| format!("end_pts={ticks}"));
    let borders: Vec<String> = from.into_iter().chain(to).collect();
    format!(",trim={}", borders.join(":"))
}

/// The name of a rung's output.
pub(super) fn pad(rung: usize) -> String {
    format!("[v{rung}]")
}

/// What is done to each picture before it is scaled; begins with a comma, or is empty.
pub(super) fn corrections(video: &VideoPlan) -> String {
    format!("{}{}", deinterlace(video), tone_map(video))
}

fn split(rungs: &[usize], more: &str) -> String {
    let names: String = rungs.iter().map(|i| format!("[s{i}]")).collect();
    format!(",split={}{names}{more}", rungs.len() + usize::from(!more.is_empty()))
}

fn deinterlace(video: &VideoPlan) -> String {
    if video.deinterlace {
        format!(",{DEINTERLACE}")
    } else {
        String::new()
    }
}

fn tone_map(video: &VideoPlan) -> String {
    if video.tone_map {
        // The tone mapper refuses to guess, and files often leave out all but the transfer.
        let transfer = &video.colour.transfer;
        format!(",setparams=color_primaries=bt2020:color_trc={transfer}:colorspace=bt2020nc,{TONE_MAP}")
    } else {
        String::new()
    }
}

/// States the colours outright: left to itself, the encoder takes what the chunk's first frame says, which may differ from
/// chunk to chunk and would make the init sections differ.
fn shown_colour(video: &VideoPlan) -> String {
    let bt709 = Colour {
        primaries: "bt709".into(),
        transfer: "bt709".into(),
        matrix: "bt709".into(),
    };
    stated(if video.tone_map { &bt709 } else { &video.colour })
}

/// The colours of a high dynamic range; what the source leaves out is what all such sources have (ITU-R BT.2100).
fn wide_colour(colour: &Colour) -> String {
    let or = |word: &str, usual: &str| if word.is_empty() { usual } else { word }.to_owned();
    stated(&Colour {
        primaries: or(&colour.primaries, "bt2020"),
        transfer: colour.transfer.clone(),
        matrix: or(&colour.matrix, "bt2020nc"),
    })
}

fn stated(colour: &Colour) -> String {
    let word = |word: &str| if word.is_empty() { "unknown" } else { word }.to_owned();
    format!(
        "setparams=field_mode=prog:range=tv:color_primaries={}:color_trc={}:colorspace={}",
        word(&colour.primaries),
        word(&colour.transfer),
        word(&colour.matrix)
    )
}
