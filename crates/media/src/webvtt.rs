//! WebVTT that is safe to serve: cue times, and text with no more than bold, italics and underlining.
//!
//! The words are a stranger's. Whatever else they hold (control characters, tags, cue settings, arrows that would begin a
//! cue of their own) is left out or written so that players show it as text.

use std::fmt::Write;

/// The file's beginning. The map says for HLS that time 0 of the cues is time 0 of the segments (RFC 8216, 3.5).
const HEADER: &str = "WEBVTT\nX-TIMESTAMP-MAP=LOCAL:00:00:00.000,MPEGTS:0\n";
/// The most cues in one track.
const CUES_MAX: u32 = 100_000;
/// The longest text of one cue, in characters.
const CUE_CHARS_MAX: usize = 2000;
/// The tags that are kept.
const TAGS: [&str; 6] = ["<b>", "</b>", "<i>", "</i>", "<u>", "</u>"];
/// The character references that stay what they are (WebVTT, 4.2.2).
const REFERENCES: [&str; 6] = ["&amp;", "&lt;", "&gt;", "&nbsp;", "&lrm;", "&rlm;"];

/// When a text is shown, in milliseconds, and the text.
#[derive(Debug, Default)]
struct Cue {
    start_ms: i64,
    end_ms: i64,
    text: String,
}

/// A file, and what is to be known of it.
#[derive(Debug)]
pub(crate) struct Rewritten {
    /// What it holds.
    pub(crate) text: String,
    /// How many cues.
    pub(crate) cues: u32,
    /// When the last of them ends, in milliseconds.
    pub(crate) end_ms: i64,
}

/// Rewrites a WebVTT file with times `base_ms` earlier, from 0 to `duration_ms`.
pub(crate) fn rewritten(source: &str, base_ms: i64, duration_ms: i64) -> Rewritten {
    let mut out = Rewritten {
        text: HEADER.to_owned(),
        cues: 0,
        end_ms: 0,
    };
    for cue in cues(source) {
        let (start, end) = (
            cue.start_ms.saturating_sub(base_ms).max(0),
            cue.end_ms.saturating_sub(base_ms).min(duration_ms),
        );
        let text = plain(&cue.text);
        if start < end && !text.is_empty() && out.cues < CUES_MAX {
            out.cues += 1;
            out.end_ms = out.end_ms.max(end);
            // Writing to a string never fails.
            let _ = write!(out.text, "\n{} --> {}\n{text}\n", clock(start), clock(end));
        }
    }
    out
}

/// The cues, in order. Blocks without a time belong to the cue before them: its text had an empty line.
fn cues(source: &str) -> Vec<Cue> {
    let mut cues: Vec<Cue> = Vec::new();
    for line in source.lines() {
        if let Some((start_ms, end_ms)) = times(line) {
            cues.push(Cue {
                start_ms,
                end_ms,
                text: String::new(),
            });
        } else if let Some(cue) = cues.last_mut() {
            cue.text.push_str(line);
            cue.text.push('\n');
        }
    }
    cues
}

/// The times of a line like `00:01.000 --> 01:00:02.000 align:left`.
fn times(line: &str) -> Option<(i64, i64)> {
    let (start, rest) = line.split_once(" --> ")?;
    Some((milliseconds(start)?, milliseconds(rest.split(' ').next()?)?))
}

fn milliseconds(text: &str) -> Option<i64> {
    let (whole, fraction) = text.split_once('.')?;
    let seconds = whole.split(':').try_fold(0_i64, |sum, part| {
        let part: u32 = part.parse().ok()?;
        sum.checked_mul(60)?.checked_add(part.into())
    })?;
    let fraction: u32 = Some(fraction).filter(|f| f.len() == 3)?.parse().ok()?;
    seconds.checked_mul(1000)?.checked_add(fraction.into())
}

fn clock(ms: i64) -> String {
    let (seconds, ms) = (ms / 1000, ms % 1000);
    format!(
        "{:02}:{:02}:{:02}.{ms:03}",
        seconds / 3600,
        seconds / 60 % 60,
        seconds % 60
    )
}

/// The text without empty lines and control characters; everything that could be more than text is escaped.
fn plain(text: &str) -> String {
    let shown: String = text
        .chars()
        .filter(|c| *c == '\n' || !is_hidden(*c))
        .take(CUE_CHARS_MAX)
        .collect();
    let lines = shown
        .lines()
        .map(|line| escaped(line.trim()))
        .filter(|line| !line.is_empty());
    lines.collect::<Vec<_>>().join("\n")
}

/// Control characters, and those that turn the direction of what follows them beyond the text.
fn is_hidden(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}' | '\u{FEFF}' | '\u{2028}' | '\u{2029}')
}

fn escaped(line: &str) -> String {
    let mut out = String::with_capacity(line.len());
    let mut rest = line;
    while let Some(c) = rest.chars().next() {
        let kept = TAGS.iter().chain(&REFERENCES).find(|kept| rest.starts_with(**kept));
        let taken = match (kept, c) {
            (Some(kept), _) => kept,
            (None, '&') => "&amp;",
            (None, '<') => "&lt;",
            (None, '>') => "&gt;",
            (None, _) => &rest[..c.len_utf8()],
        };
        out.push_str(taken);
        rest = &rest[kept.map_or(c.len_utf8(), |kept| kept.len())..];
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body(source: &str) -> String {
        let out = rewritten(source, 0, 10_000);
        out.text.strip_prefix(HEADER).unwrap().to_owned()
    }

    #[test]
    fn times_are_moved_and_cut_to_the_content() {
        let source = "WEBVTT\n\n00:01.000 --> 00:03.500\none\n\n00:00:03.000 --> 01:00:00.000 align:left\ntwo\n\n\
                      00:00.000 --> 00:01.900\nover\n";
        let out = rewritten(source, 2000, 10_000);
        assert_eq!(
            out.text.strip_prefix(HEADER).unwrap(),
            "\n00:00:00.000 --> 00:00:01.500\none\n\n00:00:01.000 --> 00:00:10.000\ntwo\n"
        );
        assert_eq!((out.cues, out.end_ms), (2, 10_000));
    }

    #[test]
    fn strange_words_are_only_words() {
        let source = "WEBVTT\n\n00:01.000 --> 00:02.000\n<b>bold</b> <script>alert(1)</script>\n\na & b &lt; c\x07\u{202E}\n\
                      1 -->2\nSTYLE\n\n";
        assert_eq!(
            body(source),
            "\n00:00:01.000 --> 00:00:02.000\n<b>bold</b> &lt;script&gt;alert(1)&lt;/script&gt;\na &amp; b &lt; c\n1 --&gt;2\n\
             STYLE\n"
        );
    }

    #[test]
    fn a_text_that_is_too_long_ends() {
        let source = format!("WEBVTT\n\n00:01.000 --> 00:02.000\n{}\n", "x".repeat(CUE_CHARS_MAX * 2));
        assert_eq!(body(&source).matches('x').count(), CUE_CHARS_MAX);
    }

    #[test]
    fn no_time_is_too_large() {
        let source = "WEBVTT\n\n99:4000000000:4000000000:00.000 --> 99:4000000000:4000000000:01.000\nx\n";
        assert_eq!(rewritten(source, i64::MIN, 10_000).cues, 0);
    }

    #[test]
    fn what_is_no_time_is_no_cue() {
        assert_eq!(body("WEBVTT\n\n99999999999:00.000 --> 00:02.000\nx\n"), "");
        assert_eq!(body("WEBVTT\n\n00:02.000 --> 00:01.000\nx\n"), "");
        assert_eq!(body(""), "");
    }
}
