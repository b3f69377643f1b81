//! What ffmpeg writes to `-progress pipe:1`: blocks of `key=value` lines, each block ended by `progress=`.

use crate::sandbox::Step;

/// How far an encoder is.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct EncodeProgress {
    /// Frames written so far; with several outputs, those of the first. 0 for audio.
    pub frames: i64,
    /// How much of its part is done, in milliseconds of the source.
    pub done_ms: i64,
    /// Source seconds a second; 0 while unknown.
    pub speed: f64,
}

/// Puts lines together to blocks.
#[derive(Debug, Default)]
pub(crate) struct ProgressParser {
    block: Block,
    last: Block,
}

/// One block. What ffmpeg doesn't know yet (`N/A`) keeps its last value.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Block {
    /// Frames written to the first video output.
    pub(crate) frames: i64,
    /// The end of what was written, in microseconds; may be negative at the start.
    pub(crate) out_time_us: i64,
    /// Source seconds a second.
    pub(crate) speed: f64,
}

impl ProgressParser {
    /// Takes one line; gives a block when it is the last line of one.
    pub(crate) fn line(&mut self, line: &str) -> Option<(Block, Step)> {
        let (key, value) = line.split_once('=')?;
        let value = value.trim();
        match key {
            "frame" => set(&mut self.block.frames, value),
            // out_time_ms is in microseconds as well, by an old mistake; out_time_us says what it is.
            "out_time_us" => set(&mut self.block.out_time_us, value),
            "speed" => set(&mut self.block.speed, value.trim_end_matches('x')),
            "progress" => {
                let moved = self.block.frames != self.last.frames || self.block.out_time_us != self.last.out_time_us;
                self.last = self.block;
                return Some((self.block, if moved { Step::Moved } else { Step::Waiting }));
            }
            _ => {}
        }
        None
    }
}

fn set<T: std::str::FromStr>(field: &mut T, value: &str) {
    if let Ok(value) = value.parse() {
        *field = value;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn blocks(text: &str) -> Vec<(Block, Step)> {
        let mut parser = ProgressParser::default();
        text.lines().filter_map(|line| parser.line(line)).collect()
    }

    #[test]
    fn blocks_of_a_real_run() {
        let text = "frame=0\nfps=0.00\nout_time_us=-66667\nout_time=-00:00:00.066667\nspeed=N/A\nprogress=continue\n\
                    frame=0\nout_time_us=N/A\nspeed=   0x\nprogress=continue\n\
                    frame=42\nstream_0_0_q=28.0\nout_time_us=1400000\nout_time_ms=1400000\nspeed=1.37x\nprogress=end\n";
        let expected = [
            (
                Block {
                    frames: 0,
                    out_time_us: -66_667,
                    speed: 0.0,
                },
                Step::Moved,
            ),
            (
                Block {
                    frames: 0,
                    out_time_us: -66_667,
                    speed: 0.0,
                },
                Step::Waiting,
            ),
            (
                Block {
                    frames: 42,
                    out_time_us: 1_400_000,
                    speed: 1.37,
                },
                Step::Moved,
            ),
        ];
        assert_eq!(blocks(text), expected);
    }

    #[test]
    fn other_lines_mean_nothing() {
        assert_eq!(blocks("garbage\n\n=\nframe=x\n"), []);
    }
}
