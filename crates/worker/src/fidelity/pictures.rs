//! The decoded pictures of a source and of a rendition, side by side.

use std::path::Path;

use super::{clip::CODE_BITS, run};

/// The first picture of a source, as it is.
pub(super) const FIRST: &str = "[0:v:0]";
/// How far a brightness must be from the middle to be read as a bit.
const BIT_MARGIN: u8 = 32;

/// What can be read off a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Frame {
    /// The number in the bar code.
    pub(super) code: u32,
    /// The box of the flash is white.
    pub(super) is_flash: bool,
}

/// Frames in the order in which they are shown, upright as a player shows them.
pub(super) struct Pictures {
    pub(super) source: Vec<Frame>,
    pub(super) result: Vec<Frame>,
    /// How like each frame of the result is to the frame of the source that has the same place in the order: the structural
    /// similarity of all planes, 1 if they are the same.
    pub(super) likeness: Vec<f64>,
}

/// Decodes both and compares. Frame `n` of the result is compared with frame `n + skipped` of the source, scaled to `size`.
/// `shown` is which picture of the source it is, with the filters that it is looked at through.
pub(super) fn compare(
    source: &Path,
    result: &Path,
    (width, height): (u32, u32),
    skipped: usize,
    shown: &str,
) -> Pictures {
    let dir = result.parent().unwrap();
    // Frames are paired by their place; their times are compared elsewhere.
    // The format comes first, or the grey that the codes need would be asked of the decoder, for all.
    let graph = format!(
        "{shown}format=yuv420p,settb=1/1000,split[s][scode];[1:v:0]format=yuv420p,settb=1/1000,split[r][rcode];\
         [s]select='gte(n\\,{skipped})',setpts=N,scale={width}:{height}:flags=bicubic[s0];\
         [r]setpts=N[r0];[r0][s0]ssim=stats_file=ssim.txt:shortest=1[like];\
         {};{}",
        marks("scode", "source"),
        marks("rcode", "result")
    );
    let (source, result) = (source.to_str().unwrap(), result.to_str().unwrap());
    let inputs = [
        "-nostdin",
        "-v",
        "error",
        "-y",
        "-i",
        source,
        "-i",
        result,
        "-filter_complex",
        &graph,
    ];
    let like = ["-map", "[like]", "-fps_mode", "passthrough", "-f", "null", "-"];
    let mut words = [&inputs[..], &like].concat();
    for (pad, file) in [("[source]", "source.gray"), ("[result]", "result.gray")] {
        words.extend(["-map", pad, "-fps_mode", "passthrough", "-f", "rawvideo", file]);
    }
    run("ffmpeg", dir, &words);
    Pictures {
        source: frames(&dir.join("source.gray")),
        result: frames(&dir.join("result.gray")),
        likeness: measured(dir),
    }
}

/// How like each frame of the result is to the frame of the source that has the same place, scaled to `size`, where no frame
/// has a code.
pub(super) fn likeness(source: &Path, result: &Path, (width, height): (u32, u32)) -> Vec<f64> {
    let dir = result.parent().unwrap();
    let graph = format!(
        "[0:v:0]format=yuv420p,settb=1/1000,setpts=N,scale={width}:{height}:flags=bicubic[s];\
         [1:v:0]format=yuv420p,settb=1/1000,setpts=N[r];[r][s]ssim=stats_file=ssim.txt:shortest=1"
    );
    let (source, result) = (source.to_str().unwrap(), result.to_str().unwrap());
    let inputs = ["-nostdin", "-v", "error", "-i", source, "-i", result];
    let output = ["-filter_complex", &graph, "-fps_mode", "passthrough", "-f", "null", "-"];
    run("ffmpeg", dir, &[&inputs[..], &output].concat());
    measured(dir)
}

/// What the filter wrote of each pair of frames.
fn measured(dir: &Path) -> Vec<f64> {
    let stats = std::fs::read_to_string(dir.join("ssim.txt")).unwrap();
    let value = |line: &str| line.split_once("All:")?.1.split(' ').next()?.parse().ok();
    stats.lines().map(|line| value(line).unwrap()).collect()
}

/// The filters that make one row of grey pixels of each frame: a pixel for each bit of the code, and one for the flash.
fn marks(from: &str, to: &str) -> String {
    format!(
        "[{from}]split[{from}0][{from}1];\
         [{from}0]crop=iw:ih/8:0:0,format=gray,scale={CODE_BITS}:1:flags=area[{from}2];\
         [{from}1]crop=iw/8:ih/8:iw*13/16:ih*13/16,format=gray,scale=1:1:flags=area[{from}3];\
         [{from}2][{from}3]hstack[{to}]"
    )
}

fn frames(file: &Path) -> Vec<Frame> {
    let bytes = std::fs::read(file).unwrap();
    let bit = |pixel: u8| {
        assert!(pixel.abs_diff(128) > BIT_MARGIN, "neither black nor white: {pixel}");
        pixel > 128
    };
    let frame = |pixels: &[u8]| {
        let (code, flash) = pixels.split_at(CODE_BITS);
        Frame {
            code: code
                .iter()
                .rev()
                .fold(0, |code, &pixel| code * 2 + u32::from(bit(pixel))),
            is_flash: bit(flash[0]),
        }
    };
    bytes.chunks_exact(CODE_BITS + 1).map(frame).collect()
}
