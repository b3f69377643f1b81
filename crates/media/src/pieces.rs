//! Where a file that arrives can be cut so that its beginning is a file of its own: behind whole fragments of an MP4 (ISO/IEC 14496-12,
//! section 8.8) and in front of clusters of Matroska and WebM (RFC 9559, section 5.1.3).

use std::{fs::File, io, os::unix::fs::FileExt as _, path::Path};

use crate::{
    ByteRange,
    layout::{FIRST_MEDIA_BYTES, header},
};

/// The most elements that are walked: films in pieces of a tenth of a second have as many in a day.
const ELEMENTS_MAX: u32 = 2_000_000;
/// What the first bytes of Matroska are.
pub(crate) const EBML: [u8; 4] = [0x1A, 0x45, 0xDF, 0xA3];
const SEGMENT: u32 = 0x1853_8067;
const CLUSTER: u32 = 0x1F43_B675;
const VOID: u8 = 0xEC;

/// Reads the bytes of a file from an offset on.
type Read<'a> = dyn FnMut(u64, &mut [u8]) -> io::Result<()> + 'a;

/// The pieces of the beginning of a file.
#[derive(Debug)]
pub(crate) struct Pieces {
    /// Where they end, ascending; the first one begins with the file.
    ends: Vec<u64>,
}

impl Pieces {
    /// Those of a file that is such a beginning. Blocks on the file.
    pub(crate) fn of(file: &Path) -> io::Result<Self> {
        let file = File::open(file)?;
        let size = file.metadata()?.len();
        let mut read = |at: u64, buffer: &mut [u8]| file.read_exact_at(buffer, at);
        let mut ends = Vec::new();
        let mut mark = [0; 4];
        read(0, &mut mark)?;
        if mark == EBML {
            each_cluster(&mut read, size, |start| ends.push(start))?;
            // What stands before the first one goes with it.
            ends.splice(..ends.len().min(1), []);
        } else {
            each_fragment(&mut read, 0, size, size, |end| ends.push(end))?;
        }
        ends.retain(|end| *end < size);
        ends.push(size);
        Ok(Self { ends })
    }

    /// The first ones: what tells of the whole file what a probe looks at.
    pub(crate) fn opening(&self) -> ByteRange {
        self.around(ByteRange {
            start: 0,
            end: FIRST_MEDIA_BYTES,
        })
    }

    /// All of them.
    pub(crate) fn all(&self) -> ByteRange {
        self.around(ByteRange {
            start: 0,
            end: u64::MAX,
        })
    }

    /// Those that hold any of these bytes.
    pub(crate) fn around(&self, bytes: ByteRange) -> ByteRange {
        let first = self.ends.partition_point(|end| *end <= bytes.start);
        let last = self.ends.partition_point(|end| *end < bytes.end);
        let end = |place: usize| self.ends.get(place).or(self.ends.last()).copied().unwrap_or(0);
        ByteRange {
            start: first.checked_sub(1).map_or(0, end),
            end: end(last),
        }
    }
}

/// What is to be written where pieces of a file are left out, so many bytes of which the first ones are `mark`: the header of a box or
/// an element that readers pass over. `None`: too few bytes for it, or none at all.
#[must_use]
pub fn passed_over(mark: [u8; 4], bytes: u64) -> Option<Vec<u8>> {
    if mark == EBML {
        // Void (RFC 8794, section 11.3.2), its length in eight bytes.
        let length = bytes.checked_sub(9).filter(|length| length >> 56 == 0)?;
        let [_, rest @ ..] = length.to_be_bytes();
        return Some([&[VOID, 1], &rest[..]].concat());
    }
    // ISO/IEC 14496-12, section 8.1.2, with a size of 64 bits.
    (bytes >= 16).then(|| [&1_u32.to_be_bytes()[..], b"free", &bytes.to_be_bytes()].concat())
}

/// The end of the last whole fragment that is there, from the box at `at` on; `None` if there is none.
pub(crate) fn fragments_end(read: &mut Read<'_>, at: u64, prefix: u64, size: u64) -> io::Result<Option<u64>> {
    let mut last = None;
    each_fragment(read, at, prefix, size, |end| last = Some(end))?;
    Ok(last)
}

/// The beginning of the last cluster that is there and is not the first; `None` if there is none, or the file is no Matroska.
pub(crate) fn clusters_end(read: &mut Read<'_>, prefix: u64) -> io::Result<Option<u64>> {
    let (mut clusters, mut last) = (0, None);
    each_cluster(read, prefix, |start| {
        clusters += 1;
        last = (clusters > 1).then_some(start);
    })?;
    Ok(last)
}

/// Tells where each whole fragment ends.
fn each_fragment(
    read: &mut Read<'_>,
    mut at: u64,
    prefix: u64,
    size: u64,
    mut tell: impl FnMut(u64),
) -> io::Result<()> {
    let mut is_open = false;
    for _ in 0..ELEMENTS_MAX {
        if at.saturating_add(16) > prefix {
            break;
        }
        let Some(found) = header(&mut *read, at, size)? else {
            break;
        };
        if found.end > prefix {
            break;
        }
        match &found.kind {
            b"moof" => is_open = true,
            b"mdat" if is_open => {
                is_open = false;
                tell(found.end);
            }
            _ => {}
        }
        at = found.end;
    }
    Ok(())
}

/// Tells where each cluster begins.
fn each_cluster(read: &mut Read<'_>, prefix: u64, mut tell: impl FnMut(u64)) -> io::Result<()> {
    let mut at = 0;
    for _ in 0..ELEMENTS_MAX {
        let Some(element) = element(read, at, prefix)? else {
            break;
        };
        if element.id == CLUSTER {
            tell(at);
        }
        // What stands in the segment is walked through, and what stands in a cluster that doesn't tell its length.
        let is_entered = element.id == SEGMENT || (element.id == CLUSTER && element.end.is_none());
        at = match element.end {
            _ if is_entered => element.body,
            Some(end) if end <= prefix => end,
            _ => break,
        };
    }
    Ok(())
}

/// An element's place; without `end` it doesn't tell its length.
struct Element {
    id: u32,
    body: u64,
    end: Option<u64>,
}

/// The element at an offset (RFC 8794, sections 4 to 6); `None` if its header is not there, or is none.
fn element(read: &mut Read<'_>, at: u64, prefix: u64) -> io::Result<Option<Element>> {
    let mut bytes = [0; 12];
    let there = usize::try_from(prefix.saturating_sub(at))
        .unwrap_or(usize::MAX)
        .min(bytes.len());
    read(at, &mut bytes[..there])?;
    let length = |first: u8, max: u32| {
        let length = first.leading_zeros() + 1;
        (first != 0 && length <= max).then_some(length as usize)
    };
    let Some(id_bytes) = length(bytes[0], 4).filter(|id_bytes| *id_bytes < there) else {
        return Ok(None);
    };
    let id = bytes[..id_bytes].iter().fold(0, |id, byte| id << 8 | u32::from(*byte));
    let Some(size_bytes) = length(bytes[id_bytes], 8).filter(|size_bytes| id_bytes + size_bytes <= there) else {
        return Ok(None);
    };
    let coded = &bytes[id_bytes..id_bytes + size_bytes];
    let marked = coded.iter().fold(0, |size, byte| size << 8 | u64::from(*byte));
    let unknown = (1 << (7 * size_bytes)) - 1;
    let size = marked & unknown;
    let body = at + (id_bytes + size_bytes) as u64;
    Ok(Some(Element {
        id,
        body,
        end: (size != unknown).then(|| body.saturating_add(size)),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testbench::Bench;

    const CLIP: &str = "-f lavfi -i testsrc2=s=64x64:r=10:d=20 -f lavfi -i sine=d=20 -c:a aac -c:v libx264 -g 20";

    /// Every cut that is found while a file arrives: each must be where a piece ends.
    fn cuts(file: &[u8], find: impl Fn(&mut Read<'_>, u64) -> io::Result<Option<u64>>) -> Vec<u64> {
        let mut cuts = Vec::new();
        for prefix in (0..=file.len() as u64).step_by(997).chain([file.len() as u64]) {
            let mut read = |at: u64, buffer: &mut [u8]| {
                let end = at + buffer.len() as u64;
                assert!(end <= prefix, "{at}..{end} is not there");
                buffer.copy_from_slice(&file[usize::try_from(at).unwrap()..usize::try_from(end).unwrap()]);
                Ok(())
            };
            cuts.extend(find(&mut read, prefix).unwrap());
        }
        cuts.dedup();
        assert!(cuts.is_sorted());
        cuts
    }

    #[tokio::test]
    async fn fragments_are_cut_behind_their_media() {
        let bench = Bench::new().await;
        let file = std::fs::read(bench.ffmpeg(&format!("{CLIP} -movflags frag_keyframe+empty_moov"), "f.mp4")).unwrap();
        let size = file.len() as u64;
        let cuts = cuts(&file, |read, prefix| fragments_end(read, 0, prefix, size));
        assert!(cuts.len() >= 9, "{cuts:?}");
        let next = |cut: u64| file.get(usize::try_from(cut).unwrap() + 4..usize::try_from(cut).unwrap() + 8);
        assert!(cuts[..cuts.len() - 1].iter().all(|cut| next(*cut) == Some(b"moof")));
    }

    #[tokio::test]
    async fn matroska_is_cut_in_front_of_clusters() {
        let bench = Bench::new().await;
        for (options, name) in [("", "whole.mkv"), ("-live 1", "live.mkv")] {
            let file = bench.ffmpeg(&format!("{CLIP} {options} -cluster_time_limit 2000"), name);
            let file = std::fs::read(file).unwrap();
            let cuts = cuts(&file, clusters_end);
            assert!(cuts.len() >= 5, "{name}: {cuts:?}");
            assert!(
                cuts.iter()
                    .all(|cut| file[usize::try_from(*cut).unwrap()..].starts_with(&CLUSTER.to_be_bytes())),
                "{name}"
            );
        }
    }

    #[test]
    fn what_is_no_such_file_has_no_place_to_cut() {
        let file = b"this is a letter, not a film".repeat(9);
        assert!(cuts(&file, clusters_end).is_empty());
        assert!(cuts(&file, |read, prefix| fragments_end(read, 0, prefix, 252)).is_empty());
    }

    #[tokio::test]
    async fn pieces_are_found_and_passed_over() {
        let bench = Bench::new().await;
        for (options, name) in [
            ("-movflags frag_keyframe+empty_moov", "f.mp4"),
            ("-cluster_time_limit 2000", "f.mkv"),
            ("-live 1 -cluster_time_limit 2000", "live.mkv"),
        ] {
            let path = bench.ffmpeg(&format!("{CLIP} {options}"), name);
            let pieces = Pieces::of(&path).unwrap();
            let file = std::fs::read(&path).unwrap();
            assert_eq!(
                pieces.all(),
                ByteRange {
                    start: 0,
                    end: file.len() as u64
                },
                "{name}"
            );
            let [first, .., fifth, _] = pieces.ends[..6] else {
                panic!("{name}: {pieces:?}")
            };
            let around = ByteRange {
                start: first + 1,
                end: fifth,
            };
            assert_eq!(
                pieces.around(around),
                ByteRange {
                    start: first,
                    end: fifth
                },
                "{name}"
            );
            let (from, to) = (usize::try_from(first).unwrap(), usize::try_from(fifth).unwrap());
            let mark = file[..4].try_into().unwrap();
            let mut left_out = file.clone();
            let header = passed_over(mark, fifth - first).unwrap();
            left_out[from..to].fill(0);
            left_out[from..from + header.len()].copy_from_slice(&header);
            let left = bench.file(&format!("left-{name}"), &left_out);
            let times = |path: &Path| {
                let mut ffprobe = std::process::Command::new("ffprobe");
                ffprobe.args([
                    "-v",
                    "error",
                    "-select_streams",
                    "v",
                    "-show_entries",
                    "packet=pts,pos",
                    "-of",
                    "csv",
                ]);
                let out = ffprobe.arg(path).output().unwrap().stdout;
                String::from_utf8(out)
                    .unwrap()
                    .lines()
                    .map(str::to_owned)
                    .collect::<Vec<_>>()
            };
            let (whole, rest) = (times(&path), times(&left));
            assert!(
                rest.len() < whole.len() && !rest.is_empty(),
                "{name}: {} of {}",
                rest.len(),
                whole.len()
            );
            assert_eq!(rest.last(), whole.last(), "{name}");
            assert!(rest.iter().all(|packet| whole.contains(packet)), "{name}: {rest:?}");
        }
        assert_eq!(passed_over(EBML, 8), None);
        assert_eq!(passed_over(*b"\0\0\0\x18", 15), None);
    }
}
