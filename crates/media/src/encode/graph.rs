//! Filter graphs. Every word in them is a number or comes from a fixed list: nothing of what a file's author or a caller
//! wrote gets in here.

use crate::{ChunkPlan, Colour, VideoPlan};

/// Gives a frame that falls on the tick of the one before it (or earlier) the next tick, as the plan did.
const ONE_PER_TICK: &str = "setpts='if(isnan(PREV_OUTPTS),PTS,max(PTS,PREV_OUTPTS+1))'";
/// One picture for each frame, so that frames still count; pictures that are not interlaced pass.
const DEINTERLACE: &str = "bwdif=mode=send_frame:deint=interlaced";
/// High dynamic range to what every screen shows, by way of linear light.
const TONE_MAP: &str = "zscale=t=linear:npl=100,format=gbrpf32le,zscale=p=bt709,tonemap=hable:desat=0,\
                        zscale=t=bt709:m=bt709:r=tv,format=yuv420p";

/// The graph that turns the source's video into all rungs of one chunk: exactly the frames from `start_pts` to before
/// `end_pts`, each with its own time, whatever the frame rate.
pub(super) fn ladder(video: &VideoPlan, chunk: &ChunkPlan) -> String {
    let mut graph = format!(
        "[0:{}]trim=start_pts={}:end_pts={},setpts=PTS-({}),settb=1/90000,{ONE_PER_TICK}{},split={}",
        video.stream_index,
        chunk.start_pts,
        chunk.end_pts,
        video.base_pts,
        corrections(video),
        video.rungs.len()
    );
    for i in 0..video.rungs.len() {
        graph += &format!("[s{i}]");
    }
    let colour = shown_colour(video);
    for (i, rung) in video.rungs.iter().enumerate() {
        let (width, height, pad) = (rung.width, rung.height, pad(i));
        graph +=
            &format!(";[s{i}]scale={width}:{height}:flags=bicubic:out_range=tv,format=yuv420p,setsar=1,{colour}{pad}");
    }
    graph
}

/// The name of a rung's output.
pub(super) fn pad(rung: usize) -> String {
    format!("[v{rung}]")
}

/// What is done to each picture before it is scaled; begins with a comma, or is empty.
pub(super) fn corrections(video: &VideoPlan) -> String {
    let mut filters = String::new();
    if video.deinterlace {
        filters += &format!(",{DEINTERLACE}");
    }
    if video.tone_map {
        // The tone mapper refuses to guess, and files often leave out all but the transfer.
        let transfer = &video.colour.transfer;
        filters += &format!(",setparams=color_primaries=bt2020:color_trc={transfer}:colorspace=bt2020nc,{TONE_MAP}");
    }
    filters
}

/// States the colours outright: left to itself, the encoder takes what the chunk's first frame says, which may differ from
/// chunk to chunk and would make the init segments differ.
fn shown_colour(video: &VideoPlan) -> String {
    let bt709 = Colour {
        primaries: "bt709".into(),
        transfer: "bt709".into(),
        matrix: "bt709".into(),
    };
    let colour = if video.tone_map { &bt709 } else { &video.colour };
    let word = |word: &str| {
        if word.is_empty() {
            "unknown".to_owned()
        } else {
            word.to_owned()
        }
    };
    format!(
        "setparams=field_mode=prog:range=tv:color_primaries={}:color_trc={}:colorspace={}",
        word(&colour.primaries),
        word(&colour.transfer),
        word(&colour.matrix)
    )
}
