//! The view of a source that is made of pieces: its beginning, or pieces of that. A worker that has looked at the source before reads
//! only what has come since.

use std::{
    fs::File,
    io,
    os::unix::fs::FileExt as _,
    path::{Path, PathBuf},
};

use reelway_blob::ArrivedBytes;
use reelway_domain::ReadyAt;
use reelway_media::{self as media, ByteRange};

use super::{SeenIndex, Sight, Unseen, View, seen, unreadable};

/// Where a view is made.
pub(super) struct Place {
    pub(super) path: PathBuf,
    /// So many of the upload's first bytes are there already.
    pub(super) kept_bytes: u64,
}

/// The first pieces of a file, all that are there; or those that tell of the whole file and those that a task was planned for, with
/// something in place of the others that readers pass over.
pub(super) fn of(
    bytes: &ArrivedBytes,
    end: u64,
    planned: Option<SeenIndex>,
    media: &[ByteRange],
    place: Place,
) -> Result<Sight, Unseen> {
    let seen = match planned {
        Some(planned) => {
            let seen = seen(bytes, planned.ranges.clone()).map_err(|error| Unseen::of_reading(&error))?;
            if planned != seen {
                return Ok(Sight::NotYet(ReadyAt::Complete));
            }
            seen
        }
        // What is durable stays as it is, so that its length tells one beginning from another.
        None => SeenIndex {
            ranges: vec![ByteRange { start: 0, end }],
            digest: format!("{end} bytes"),
        },
    };
    let failed = |error: io::Error| Unseen::Failed(unreadable(&error).into());
    let Place { path, mut kept_bytes } = place;
    if kept_bytes > end {
        kept_bytes = 0;
    }
    let file = open(&path, kept_bytes).map_err(failed)?;
    let mut mark = [0; 4];
    bytes
        .read_exact_at(0, &mut mark)
        .map_err(|error| Unseen::of_reading(&error))?;
    let mut ranges = [&seen.ranges[..], media].concat();
    ranges.sort_unstable_by_key(|range| range.start);
    let mut at = kept_bytes;
    for range in ranges.into_iter().filter(|range| range.end > 0) {
        let mut start = range.start.max(at);
        match media::passed_over(mark, start - at) {
            Some(header) => file.write_all_at(&header, at).map_err(failed)?,
            None => start = at,
        }
        if range.end > start {
            bytes.copy(&file, &path, start, range.end).map_err(Unseen::of_store)?;
            at = range.end;
        }
    }
    Ok(Sight::Ready(View {
        path,
        index: Some(seen),
        is_beginning: true,
        windows: None,
    }))
}

/// Opens a view to write what isn't there yet. What another reads too may be in the place of a new one.
pub(super) fn open(path: &Path, kept_bytes: u64) -> io::Result<File> {
    if kept_bytes > 0 {
        return File::options().write(true).open(path);
    }
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => File::create_new(path),
    }
}

/// Where ranges end that together are the first bytes of a file; `None` if something is left out.
pub(super) fn end_without_gap(ranges: &[ByteRange]) -> Option<u64> {
    let mut ranges = ranges.to_vec();
    ranges.sort_unstable_by_key(|range| range.start);
    let mut end = 0;
    for range in ranges {
        if range.start > end {
            return None;
        }
        end = end.max(range.end);
    }
    Some(end)
}

#[cfg(test)]
mod tests {
    use reelway_blob::{ArrivedRun, RunPlace};

    use super::*;

    /// So many first bytes of a view come from another one, as a mark in them shows; the rest is read.
    #[test]
    fn what_is_kept_of_a_beginning_is_not_read_again() {
        let dir = tempfile::tempdir().unwrap();
        let [upload, view] = ["upload", "view"].map(|name| dir.path().join(name));
        std::fs::write(&upload, b"........abcdef").unwrap();
        let run = ArrivedRun {
            place: RunPlace::File(upload),
            from: 0,
            to: 14,
            origin: 0,
        };
        let bytes = ArrivedBytes::open(vec![run]).unwrap();
        for (kept, end, seen) in [
            ("kept", 12, &b"kept....abcd"[..]),
            ("kept", 4, b"kept"),
            ("", 5, b"....."),
            ("more", 3, b"..."),
        ] {
            std::fs::write(&view, kept).unwrap();
            let place = Place {
                path: view.clone(),
                kept_bytes: kept.len() as u64,
            };
            let Ok(Sight::Ready(made)) = of(&bytes, end, None, &[], place) else {
                panic!("{kept}, {end}: there is no view")
            };
            assert!(made.is_beginning);
            assert_eq!(std::fs::read(&view).unwrap(), seen, "{kept}, {end}");
        }
    }

    #[test]
    fn first_bytes_leave_nothing_out() {
        let end = |ranges: &[(u64, u64)]| {
            let ranges = ranges.iter().map(|(start, end)| ByteRange {
                start: *start,
                end: *end,
            });
            end_without_gap(&ranges.collect::<Vec<_>>())
        };
        assert_eq!(end(&[(5, 9), (0, 5), (2, 3)]), Some(9));
        assert_eq!(end(&[(0, 5), (6, 9)]), None);
        assert_eq!(end(&[(1, 9)]), None);
    }
}
