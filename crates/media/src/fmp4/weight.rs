//! How many bytes the frames of a file take.

use std::{fs::File, path::Path};

use super::{Fmp4Error, reader::FragmentReader};

/// The coded frames of a fragmented file, without its boxes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Weight {
    /// The bytes of the first frame, which is a keyframe.
    pub(crate) keyframe_bytes: u64,
    /// The bytes of all other frames.
    pub(crate) other_bytes: u64,
    /// How many frames there are.
    pub(crate) frames: u64,
}

/// Adds up the frames of a file. Blocks on it, and reads only its tables.
///
/// # Errors
/// If the input is not a fragmented file of one track, or can't be read.
pub(crate) fn weigh(input: &Path) -> Result<Weight, Fmp4Error> {
    let mut reader = FragmentReader::open(File::open(input)?)?;
    let mut weight = Weight::default();
    while let Some(fragment) = reader.next_fragment()? {
        for sample in fragment {
            if weight.frames == 0 {
                weight.keyframe_bytes = u64::from(sample.size);
            } else {
                weight.other_bytes += u64::from(sample.size);
            }
            weight.frames += 1;
        }
    }
    Ok(weight)
}
