//! Which packets programs read when they open a file, to find out what its headers don't tell: the first ones, in the order in which the
//! container gives them.

use crate::{ByteRange, Probe, outline::joined};

/// ffmpeg's `probesize`: with the packet that reaches it, no more is read.
const PROBE_BYTES: u64 = 5_000_000;
/// To decode the first picture of a high dynamic range, so many packets of video are read at most: as many as frames are decoded beside
/// one another, and as many as are shown in another order.
const DECODED_PACKETS: u32 = 48;

/// Gathers the places of these packets.
#[derive(Debug, Default)]
pub(crate) struct Opening {
    ranges: Vec<ByteRange>,
    bytes: u64,
    /// How many packets of video are still to come, at least.
    packets: u32,
}

impl Opening {
    pub(crate) fn of(probe: &Probe) -> Self {
        let is_decoded = probe.video.as_ref().is_some_and(|video| video.colour.is_hdr());
        Self {
            packets: if is_decoded { DECODED_PACKETS } else { 0 },
            ..Self::default()
        }
    }

    /// The next packet, which lies here.
    pub(crate) fn add(&mut self, place: ByteRange, is_video: bool) {
        if self.bytes >= PROBE_BYTES && self.packets == 0 {
            return;
        }
        self.bytes = self.bytes.saturating_add(place.end - place.start);
        self.packets -= u32::from(is_video && self.packets > 0);
        match self.ranges.last_mut() {
            Some(last) if last.end == place.start => last.end = place.end,
            _ => self.ranges.push(place),
        }
    }

    /// Where they lie.
    pub(crate) fn ranges(&mut self) -> Vec<ByteRange> {
        joined(std::mem::take(&mut self.ranges))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of_packets(packets: u32, bytes: u64, count: u64) -> Vec<ByteRange> {
        let mut opening = Opening {
            packets,
            ..Opening::default()
        };
        for start in (0..count).map(|n| n * bytes) {
            let end = start + bytes;
            opening.add(ByteRange { start, end }, true);
        }
        opening.ranges()
    }

    #[test]
    fn the_packet_that_reaches_the_limit_is_read_too() {
        assert_eq!(
            of_packets(0, 3_000_000, 9),
            [ByteRange {
                start: 0,
                end: 6_000_000
            }]
        );
        assert_eq!(of_packets(0, 7, 3), [ByteRange { start: 0, end: 21 }]);
        let decoded = u64::from(DECODED_PACKETS) * 3_000_000;
        assert_eq!(
            of_packets(DECODED_PACKETS, 3_000_000, 99),
            [ByteRange { start: 0, end: decoded }]
        );
    }
}
