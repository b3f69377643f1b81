//! Where a file that arrives can be cut so that its beginning is a file of its own: behind whole fragments of an MP4 (ISO/IEC 14496-12,
//! section 8.8) and in front of clusters of Matroska and WebM (RFC 9559, section 5.1.3).

use std::io;

use crate::layout::header;

/// The most elements that are walked: films in pieces of a tenth of a second have as many in a day.
const ELEMENTS_MAX: u32 = 2_000_000;
/// What the first bytes of Matroska are.
pub(crate) const EBML: [u8; 4] = [0x1A, 0x45, 0xDF, 0xA3];
const SEGMENT: u32 = 0x1853_8067;
const CLUSTER: u32 = 0x1F43_B675;

/// Reads the bytes of a file from an offset on.
type Read<'a> = dyn FnMut(u64, &mut [u8]) -> io::Result<()> + 'a;

/// The end of the last whole fragment that is there, from the box at `at` on; `None` if there is none.
pub(crate) fn fragments_end(read: &mut Read<'_>, mut at: u64, prefix: u64, size: u64) -> io::Result<Option<u64>> {
    let (mut is_open, mut end) = (false, None);
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
            b"mdat" if is_open => (is_open, end) = (false, Some(found.end)),
            _ => {}
        }
        at = found.end;
    }
    Ok(end)
}

/// The beginning of the last cluster that is there and is not the first; `None` if there is none, or the file is no Matroska.
pub(crate) fn clusters_end(read: &mut Read<'_>, prefix: u64) -> io::Result<Option<u64>> {
    let (mut at, mut clusters, mut last) = (0, 0, None);
    for _ in 0..ELEMENTS_MAX {
        let Some(element) = element(read, at, prefix)? else {
            break;
        };
        if element.id == CLUSTER {
            clusters += 1;
            last = (clusters > 1).then_some(at);
        }
        // What stands in the segment is walked through, and what stands in a cluster that doesn't tell its length.
        let is_entered = element.id == SEGMENT || (element.id == CLUSTER && element.end.is_none());
        at = match element.end {
            _ if is_entered => element.body,
            Some(end) if end <= prefix => end,
            _ => break,
        };
    }
    Ok(last)
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
}
