//! The clips: made on the spot, so that every frame and every beep is known beforehand.

use std::path::{Path, PathBuf};

use super::{check::LIKENESS_MIN, run};

/// How many bits the bar code across the top of the picture has; the leftmost is worth 1.
pub(super) const CODE_BITS: usize = 12;
/// The sound: a beep of 0.1 s at each full second.
const BEEPS: &str = "aevalsrc=0.5*sin(2*PI*1000*t)*lt(mod(t\\,1)\\,0.1):s=48000";

/// What to make. The default is a usual clip that is long enough for four chunks.
pub(super) struct Clip {
    /// The file's name; its end says which container it is.
    pub(super) name: &'static str,
    /// Width and height, as shown.
    pub(super) size: (u32, u32),
    /// Frames a second, before `retimed`.
    pub(super) rate: &'static str,
    /// How long picture and sound are.
    pub(super) seconds: f64,
    /// Filters that move or drop frames after they were painted, or turn them; each begins with a comma.
    pub(super) retimed: &'static str,
    /// The video codec with its options; no picture if empty.
    pub(super) video: &'static str,
    /// The audio codec with its options; no sound if empty.
    pub(super) audio: &'static str,
    /// Filters for the sound; each begins with a comma.
    pub(super) sound: &'static str,
    /// Options of the container.
    pub(super) container: &'static str,
    /// A second run that makes the file of `first.mp4`.
    pub(super) copied: Option<&'static str>,
    /// What is done to the bytes of the file at the end.
    pub(super) patched: fn(&mut Vec<u8>),
    /// How many painted pictures in a row have the same number, because they become the fields of one frame.
    pub(super) fields: u32,
    /// How like its source each frame must be at least.
    pub(super) likeness_min: f64,
    /// Filters that a player applies to the source before it is looked at; each ends with a comma.
    pub(super) corrected: &'static str,
    /// Which picture of the file is shown, in ffmpeg's words.
    pub(super) shown: &'static str,
}

impl Default for Clip {
    fn default() -> Self {
        Self {
            name: "clip.mp4",
            size: (320, 180),
            rate: "30",
            seconds: 13.5,
            retimed: "",
            video: "-c:v libx264 -preset superfast -crf 14 -bf 3 -g 75 -pix_fmt yuv420p",
            audio: "-c:a aac",
            sound: "",
            container: "",
            copied: None,
            patched: |_| (),
            fields: 1,
            likeness_min: LIKENESS_MIN,
            corrected: "",
            shown: "v:0",
        }
    }
}

impl Clip {
    /// Makes the file in `dir`.
    pub(super) fn make(&self, dir: &Path) -> PathBuf {
        let (mut graph, mut outputs) = (Vec::new(), Vec::new());
        if !self.video.is_empty() {
            graph.push(self.picture());
            outputs.extend(["-map", "[v]", "-fps_mode", "passthrough"]);
            outputs.extend(self.video.split_whitespace());
        }
        if !self.audio.is_empty() {
            graph.push(format!("{BEEPS}:d={}{}[a]", self.seconds, self.sound));
            outputs.extend(["-map", "[a]"]);
            outputs.extend(self.audio.split_whitespace());
        }
        let graph = graph.join(";");
        let mut words = vec!["-nostdin", "-v", "error", "-filter_complex", &graph];
        words.extend(outputs);
        words.extend(self.container.split_whitespace());
        words.push(if self.copied.is_some() { "first.mp4" } else { self.name });
        run("ffmpeg", dir, &words);
        if let Some(copied) = self.copied {
            let mut words = vec!["-nostdin", "-v", "error"];
            words.extend(copied.split_whitespace());
            words.push(self.name);
            run("ffmpeg", dir, &words);
        }
        let file = dir.join(self.name);
        let mut bytes = std::fs::read(&file).unwrap();
        (self.patched)(&mut bytes);
        std::fs::write(&file, bytes).unwrap();
        file
    }

    /// Whether frames are found by an index of the container itself, so that no copy with another clock is made.
    pub(super) fn is_indexed(&self) -> bool {
        !self.name.ends_with(".ts")
    }

    /// How long a frame lasts, in seconds: at the rate, or twice as long if two make one.
    pub(super) fn frame_seconds(&self) -> f64 {
        let (frames, seconds) = self.rate.split_once('/').unwrap_or((self.rate, "1"));
        let painted = seconds.parse::<f64>().unwrap() / frames.parse::<f64>().unwrap();
        painted * f64::from(self.fields)
    }

    /// A test picture that moves fast enough for neighbours to differ everywhere, with the bar code across its top sixth and
    /// the box of the flash in its lower right corner.
    fn picture(&self) -> String {
        let ((width, height), rate, seconds, fields) = (self.size, self.rate, self.seconds, self.fields);
        let flash_box = "drawbox=x=iw*3/4:y=ih*3/4:w=iw/4:h=ih/4:t=fill";
        format!(
            "testsrc2=s={width}x{height}:r={rate}:d={seconds},scroll=horizontal=0.03,{flash_box}:c=black,\
             {flash_box}:c=white:enable='lt(mod(t+0.0005\\,1)\\,0.1)'[moving];\
             color=s={CODE_BITS}x2:r={rate}:d={seconds},format=gray,geq=lum='255*mod(floor(floor(N/{fields})/pow(2\\,X))\\,2)',\
             scale={width}:{}:flags=neighbor[code];\
             [moving][code]overlay=format=yuv444{}[v]",
            height / 6,
            self.retimed
        )
    }
}
