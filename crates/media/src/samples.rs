//! How long an MP4 or MOV file is at least, by its boxes and the tables of its samples (ISO/IEC 14496-12, section 8.7): where the index
//! is in front, that is known before the file's own length is.

use std::io;

use crate::layout::{Arrived, BOXES_MAX, Header, INDEX_BOXES_MAX, header};

/// How many entries of a table are in memory at once.
const BLOCK_ENTRIES: usize = 16 << 10;
/// Where the tables stand in a track.
const PATH_OF_TABLES: [&[u8; 4]; 3] = [b"mdia", b"minf", b"stbl"];

/// Reads the bytes of a file from an offset on.
type Read<'a> = dyn FnMut(u64, &mut [u8]) -> io::Result<()> + 'a;

/// How many bytes a file has at least whose index and first media data [`crate::layout()`] has found; `there.size` is the most that it
/// can have. `None` if the index can't be understood. `read` fills a buffer with the file's bytes from an offset on.
///
/// # Errors
/// Those of `read`.
pub fn bytes_min(there: &Arrived, mut read: impl FnMut(u64, &mut [u8]) -> io::Result<()>) -> io::Result<Option<u64>> {
    let (mut at, mut bytes, mut samples, mut has_media) = (0, 0, None, false);
    for _ in 0..BOXES_MAX {
        if let (Some(end), true) = (samples, has_media) {
            return Ok(Some(bytes.max(end)).filter(|bytes| *bytes <= there.size));
        }
        let Some(found) = header(&mut read, at, there.size)? else {
            break;
        };
        match &found.kind {
            b"moov" => samples = Some(samples_end(&mut read, &found)?),
            b"mdat" => has_media = true,
            _ => {}
        }
        // What has no length of its own ends with the file.
        if found.end < there.size {
            bytes = found.end;
        }
        at = found.end;
    }
    Ok(None)
}

/// Behind the last sample of all tracks.
fn samples_end(read: &mut Read<'_>, index: &Header) -> io::Result<u64> {
    let (mut at, mut last) = (index.body, 0);
    for _ in 0..INDEX_BOXES_MAX {
        let Some(found) = header(&mut *read, at, index.end)? else {
            break;
        };
        at = found.end;
        if &found.kind == b"trak"
            && let Some(tables) = Tables::of(read, found)?
        {
            last = last.max(tables.end(read)?);
        }
    }
    Ok(last)
}

/// The tables that tell where the samples of a track lie: which chunks hold how many, how long each is, and where each chunk begins.
struct Tables {
    runs: Table,
    sizes: Sizes,
    chunks: Table,
}

impl Tables {
    /// Those of a track; `None` if it has none.
    fn of(read: &mut Read<'_>, track: Header) -> io::Result<Option<Self>> {
        let mut outer = track;
        for kind in PATH_OF_TABLES {
            match inside(read, &outer, kind)? {
                Some(found) => outer = found,
                None => return Ok(None),
            }
        }
        let (short, long) = (inside(read, &outer, b"stco")?, inside(read, &outer, b"co64")?);
        let chunks = match (short, long) {
            (Some(found), _) => Table::of(read, &found, 8, 4)?,
            (None, Some(found)) => Table::of(read, &found, 8, 8)?,
            (None, None) => return Ok(None),
        };
        let Some(runs) = inside(read, &outer, b"stsc")? else {
            return Ok(None);
        };
        let runs = Table::of(read, &runs, 8, 12)?;
        let sizes = match inside(read, &outer, b"stsz")? {
            Some(found) => Sizes::of(read, &found)?,
            None => return Ok(None),
        };
        Ok(Some(Self { runs, sizes, chunks }))
    }

    /// Behind the last sample.
    fn end(mut self, read: &mut Read<'_>) -> io::Result<u64> {
        let (mut samples, mut next) = (0, self.next_run(read)?);
        let (mut chunk, mut end) = (0, 0);
        while let Some(entry) = self.chunks.next(read)? {
            let start = number(entry);
            chunk += 1;
            while let Some((_, many)) = next.filter(|(first, _)| *first <= chunk) {
                samples = many;
                next = self.next_run(read)?;
            }
            end = end.max(start.saturating_add(self.sizes.sum(read, samples)?));
        }
        Ok(end)
    }

    /// The next run of chunks: the number of its first one, and how many samples each has.
    fn next_run(&mut self, read: &mut Read<'_>) -> io::Result<Option<(u64, u64)>> {
        let entry = self.runs.next(read)?;
        Ok(entry.map(|entry| (number(&entry[..4]), number(&entry[4..8]))))
    }
}

/// How long samples are, one after the other.
enum Sizes {
    Alike { bytes: u64, left: u64 },
    Each(Table),
}

impl Sizes {
    fn of(read: &mut Read<'_>, found: &Header) -> io::Result<Self> {
        let table = Table::of(read, found, 12, 4)?;
        Ok(match word(read, found, 4)? {
            0 => Self::Each(table),
            bytes => Self::Alike {
                bytes,
                left: word(read, found, 8)?,
            },
        })
    }

    /// The length of the next ones together.
    fn sum(&mut self, read: &mut Read<'_>, samples: u64) -> io::Result<u64> {
        match self {
            Self::Alike { bytes, left } => {
                let now = samples.min(*left);
                *left -= now;
                Ok(now.saturating_mul(*bytes))
            }
            Self::Each(table) => {
                let mut sum = 0;
                for _ in 0..samples {
                    let Some(entry) = table.next(read)? else { break };
                    sum += number(entry);
                }
                Ok(sum)
            }
        }
    }
}

/// The entries of a table, all of one length, of which a block is in memory.
struct Table {
    at: u64,
    left: u64,
    entry_bytes: usize,
    block: Vec<u8>,
    /// How much of the block was given already.
    given: usize,
}

impl Table {
    /// Those of a box in which the entries come behind so many bytes, the last of which say how many there are.
    fn of(read: &mut Read<'_>, found: &Header, header_bytes: u64, entry_bytes: usize) -> io::Result<Self> {
        let at = found.body + header_bytes;
        let room = found.end.saturating_sub(at) / entry_bytes as u64;
        Ok(Self {
            at,
            left: word(read, found, header_bytes - 4)?.min(room),
            entry_bytes,
            block: Vec::new(),
            given: 0,
        })
    }

    fn next(&mut self, read: &mut Read<'_>) -> io::Result<Option<&[u8]>> {
        if self.given == self.block.len() && self.left > 0 {
            let entries = usize::try_from(self.left).unwrap_or(usize::MAX).min(BLOCK_ENTRIES);
            self.block.resize(entries * self.entry_bytes, 0);
            read(self.at, &mut self.block)?;
            self.at += self.block.len() as u64;
            self.left -= entries as u64;
            self.given = 0;
        }
        let entry = self.block.get(self.given..self.given + self.entry_bytes);
        self.given += entry.map_or(0, <[u8]>::len);
        Ok(entry)
    }
}

/// The first box of a kind within another one.
fn inside(read: &mut Read<'_>, outer: &Header, kind: &[u8; 4]) -> io::Result<Option<Header>> {
    let mut at = outer.body;
    for _ in 0..INDEX_BOXES_MAX {
        match header(&mut *read, at, outer.end)? {
            Some(found) if &found.kind == kind => return Ok(Some(found)),
            Some(found) => at = found.end,
            None => break,
        }
    }
    Ok(None)
}

/// The number in four bytes of a box's body; 0 if the box is too short.
fn word(read: &mut Read<'_>, found: &Header, offset: u64) -> io::Result<u64> {
    let (at, mut bytes) = (found.body + offset, [0; 4]);
    if at + 4 <= found.end {
        read(at, &mut bytes)?;
    }
    Ok(number(&bytes))
}

fn number(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0, |number, byte| number << 8 | u64::from(*byte))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testbench::Bench;

    const CLIP: &str =
        "-f lavfi -i testsrc2=s=64x64:r=10:d=9 -f lavfi -i sine=d=9 -movflags +faststart -c:v libx264 -g 20";
    const SIZE_MAX: u64 = 5 << 40;

    fn boxed(kind: &[u8; 4], body: &[u8]) -> Vec<u8> {
        let size = u32::try_from(8 + body.len()).unwrap();
        [&size.to_be_bytes()[..], kind, body].concat()
    }

    fn words(words: &[u32]) -> Vec<u8> {
        words.iter().flat_map(|word| word.to_be_bytes()).collect()
    }

    /// An index with one track of these tables.
    fn index(tables: &[(&[u8; 4], &[u32])]) -> Vec<u8> {
        let tables = tables.iter().flat_map(|(kind, body)| boxed(kind, &words(body)));
        let track = PATH_OF_TABLES
            .iter()
            .rev()
            .fold(tables.collect(), |inner: Vec<u8>, kind| boxed(kind, &inner));
        boxed(b"moov", &boxed(b"trak", &track))
    }

    /// What is told by the bytes up to one of them, which are all that is read.
    fn told(file: &[u8], prefix: usize) -> Option<u64> {
        let there = Arrived {
            prefix: prefix as u64,
            tail: SIZE_MAX,
            size: SIZE_MAX,
        };
        bytes_min(&there, |at, buffer| {
            let at = usize::try_from(at).unwrap();
            buffer.copy_from_slice(&file[..prefix][at..at + buffer.len()]);
            Ok(())
        })
        .unwrap()
    }

    #[tokio::test]
    async fn an_index_in_front_tells_how_long_its_file_is() {
        let bench = Bench::new().await;
        for (codec, name) in [("aac", "f.mp4"), ("aac", "f.mov"), ("pcm_s16le", "pcm.mov")] {
            let file = std::fs::read(bench.ffmpeg(&format!("{CLIP} -c:a {codec}"), name)).unwrap();
            let media = file.windows(4).position(|kind| kind == b"mdat").unwrap() - 4;
            let size = file.len() as u64;
            assert_eq!(told(&file, media + 16), Some(size), "{name}");
            let mut open = file.clone();
            open[media..media + 4].fill(0);
            assert_eq!(told(&open, media + 16), Some(size), "{name}: the samples tell");
        }
    }

    #[test]
    fn the_chunk_that_ends_last_counts() {
        let open = [&[0; 4], &b"mdat"[..], &[0; 8]].concat();
        let of = |tables: &[(&[u8; 4], &[u32])]| {
            let file = [index(tables), open.clone()].concat();
            told(&file, file.len())
        };
        let runs: &[u32] = &[0, 2, 1, 2, 1, 3, 1, 1];
        let each: &[u32] = &[0, 0, 5, 10, 20, 30, 40, 50];
        let chunks: &[u32] = &[0, 3, 1000, 5000, 2000];
        assert_eq!(of(&[(b"stsc", runs), (b"stsz", each), (b"stco", chunks)]), Some(5070));
        let alike: &[u32] = &[0, 7, 5];
        assert_eq!(of(&[(b"stsc", runs), (b"stsz", alike), (b"stco", chunks)]), Some(5014));
        let far: &[u32] = &[0, 2, 0, 1000, 1, 0];
        let far = of(&[(b"stsc", runs), (b"stsz", each), (b"co64", far)]);
        assert_eq!(far, Some((1 << 32) + 70));
        let few: &[u32] = &[0, 0, 900, 10, 20];
        assert_eq!(
            of(&[(b"stsc", runs), (b"stsz", few), (b"stco", chunks)]),
            Some(5000),
            "tables that lie"
        );
    }

    #[test]
    fn what_can_not_be_is_not_told() {
        let media = boxed(b"mdat", &[0; 100]);
        let far: &[(&[u8; 4], &[u32])] = &[
            (b"stsc", &[0, 1, 1, 1, 1]),
            (b"stsz", &[0, 1, 1]),
            (b"co64", &[0, 1, u32::MAX, u32::MAX]),
        ];
        for (name, file) in [
            ("no index", media.clone()),
            ("a place that no file has", [index(far), media.clone()].concat()),
            (
                "media that no file has",
                [index(&[]), words(&[1]), b"mdat".to_vec(), vec![0xFF; 8]].concat(),
            ),
        ] {
            let file = [file, vec![0; 32]].concat();
            assert_eq!(told(&file, file.len()), None, "{name}");
        }
        let bare = [index(&[(b"stsc", &[]), (b"stsz", &[]), (b"stco", &[])]), media].concat();
        assert_eq!(told(&bare, bare.len()), Some(bare.len() as u64), "no sample at all");
    }
}
