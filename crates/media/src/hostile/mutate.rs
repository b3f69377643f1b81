//! Changes to a file, made from a number.

/// Numbers that look like chance and are always the same (SplitMix64, by Steele, Lea and Flood).
pub(crate) struct Random(u64);

impl Random {
    /// Always the same numbers for the same seed.
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// A number below `end`; 0 if that is 0.
    pub(crate) fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % (end.max(1) as u64)).expect("it is below a usize")
    }
}

/// Numbers that programs trip over.
const AWKWARD: [u32; 8] = [0, 1, 7, 8, 0x7FFF_FFFF, 0x8000_0000, 0xFFFF_FFFE, 0xFFFF_FFFF];
/// The most changes to one file.
const CHANGES_MAX: usize = 6;
/// Most changes are made here, where the headers of most containers are.
const HEAD_BYTES: usize = 1500;

/// The same, in words.
const AWKWARD_WORDS: [&str; 16] = [
    "-1",
    "0",
    "0.000000",
    "-0.5",
    "nan",
    "-inf",
    "1e308",
    "N/A",
    "4294967295",
    "4294967296",
    "-2147483648",
    "9223372036854775807",
    "-9223372036854775808",
    "9223372036854775",
    "18446744073709551616",
    "",
];
/// One number of so many is exchanged.
const NUMBERS_PER_CHANGE: usize = 40;

/// The text with some of its numbers exchanged, and at times some of its bytes too.
pub(super) fn mutate_words(text: &str, random: &mut Random) -> String {
    let is_numeric = |c: char| c.is_ascii_digit() || matches!(c, '-' | '.');
    let mut changed = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find(|c: char| c.is_ascii_digit() || c == '-') {
        let length = rest[start..].find(|c| !is_numeric(c)).unwrap_or(rest.len() - start);
        let (number, behind) = rest[start..].split_at(length);
        changed.push_str(&rest[..start]);
        let is_kept = random.below(NUMBERS_PER_CHANGE) > 0;
        changed.push_str(if is_kept {
            number
        } else {
            AWKWARD_WORDS[random.below(AWKWARD_WORDS.len())]
        });
        rest = behind;
    }
    changed.push_str(rest);
    if random.below(4) > 0 || changed.is_empty() {
        return changed;
    }
    String::from_utf8_lossy(&mutate(changed.as_bytes(), random)).into_owned()
}

/// The bytes with some of them changed.
pub(super) fn mutate(bytes: &[u8], random: &mut Random) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    for _ in 0..=random.below(CHANGES_MAX) {
        change(&mut bytes, random);
    }
    bytes
}

fn change(bytes: &mut Vec<u8>, random: &mut Random) {
    let near = if random.below(4) > 0 { HEAD_BYTES } else { usize::MAX };
    let at = random.below(bytes.len().min(near));
    let length = 1 + random.below(64);
    let end = bytes.len().min(at + length);
    match random.below(8) {
        // One bit, one byte, one large number: what checks miss.
        0 | 1 if at < bytes.len() => bytes[at] ^= 1 << random.below(8),
        2 if at < bytes.len() => bytes[at] = random.next().to_le_bytes()[0],
        3 | 4 => {
            let number = AWKWARD[random.below(AWKWARD.len())].to_be_bytes();
            for (byte, new) in bytes.iter_mut().skip(at).zip(number) {
                *byte = new;
            }
        }
        // A part that is gone, twice there, elsewhere, or of zeros.
        5 => drop(bytes.drain(at..end)),
        6 => {
            let part = bytes[at..end].to_vec();
            let to = random.below(bytes.len());
            bytes.splice(to..to, part);
        }
        _ => bytes[at..end].fill(0),
    }
    if random.below(12) == 0 {
        bytes.truncate(random.below(bytes.len()));
    }
}
