//! What a packet of a transport stream, and the PES packet that begins in it, say of themselves.

/// What every packet begins with.
pub(super) const SYNC: u8 = 0x47;
/// How long a packet is; some files have more between two of them.
pub(super) const BYTES: usize = 188;
/// PES packets that carry no pictures, sound or data of this kind, and so have no flags (2.4.3.7): maps, padding, a private kind,
/// and messages to receivers.
const WITHOUT_FLAGS: [u8; 8] = [0xBC, 0xBE, 0xBF, 0xF0, 0xF1, 0xF2, 0xF8, 0xFF];

/// A packet (ISO/IEC 13818-1, 2.4.3.2) that carries something.
pub(super) struct Packet<'a> {
    /// Which stream or table it is of.
    pub(super) id: u16,
    /// A PES packet or a section of a table begins in it.
    pub(super) begins: bool,
    pub(super) is_scrambled: bool,
    pub(super) payload: &'a [u8],
}

/// The header of a PES packet (2.4.3.6).
pub(super) struct PesHeader {
    pub(super) stream_id: u8,
    pub(super) is_scrambled: bool,
}

impl<'a> Packet<'a> {
    /// `None` if it carries nothing, or says that it was damaged on its way: then no flag of it means anything.
    pub(super) fn read(bytes: &'a [u8]) -> Option<Self> {
        let bytes = bytes.get(..BYTES).unwrap_or(bytes);
        let [SYNC, high, low, control, ..] = *bytes else {
            return None;
        };
        let (is_damaged, has_payload, has_field) = (high & 0x80 != 0, control & 0x10 != 0, control & 0x20 != 0);
        if is_damaged || !has_payload {
            return None;
        }
        let field_bytes = if has_field { 1 + usize::from(*bytes.get(4)?) } else { 0 };
        Some(Self {
            id: u16::from_be_bytes([high, low]) & 0x1FFF,
            begins: high & 0x40 != 0,
            is_scrambled: control & 0xC0 != 0,
            payload: bytes.get(4 + field_bytes..)?,
        })
    }

    /// The header of the PES packet that begins here, if one does that has flags and can be read.
    pub(super) fn pes(&self) -> Option<PesHeader> {
        let [0, 0, 1, stream_id, _, _, flags, ..] = *self.payload else {
            return None;
        };
        let has_flags = !WITHOUT_FLAGS.contains(&stream_id) && flags & 0xC0 == 0x80;
        (self.begins && !self.is_scrambled && has_flags).then_some(PesHeader {
            stream_id,
            is_scrambled: flags & 0x30 != 0,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_payload_lies_behind_the_adaptation_field() {
        let read = |bytes: &[u8]| Packet::read(bytes).map(|packet| (packet.id, packet.begins, packet.payload.to_vec()));
        let packet = |header: [u8; 5]| [&header[..], &[9; 183]].concat();
        assert_eq!(
            read(&packet([SYNC, 0x41, 0x02, 0x30, 181])),
            Some((0x102, true, vec![9; 2]))
        );
        assert_eq!(
            read(&packet([SYNC, 0x01, 0x02, 0x30, 184])),
            None,
            "longer than the packet"
        );
        assert_eq!(
            read(&packet([SYNC, 0x01, 0x02, 0x20, 9])),
            None,
            "nothing but the field"
        );
        assert_eq!(read(&packet([SYNC, 0x81, 0x02, 0x10, 9])), None, "damaged");
        let long = [packet([SYNC, 0x01, 0x02, 0x10, 9]), vec![8; 16]].concat();
        assert_eq!(
            read(&long),
            Some((0x102, false, vec![9; 184])),
            "a checksum is behind it"
        );
        assert_eq!(read(&[SYNC, 0x01, 0x02, 0x30]), None);
    }

    #[test]
    fn only_headers_with_flags_say_that_they_are_scrambled() {
        let seen = |control: u8, stream_id: u8, flags: u8| {
            let bytes = [SYNC, 0x41, 0, control, 0, 0, 1, stream_id, 0, 0, flags, 0, 0];
            Packet::read(&bytes)?.pes().map(|header| header.is_scrambled)
        };
        assert_eq!(
            (seen(0x10, 0xE0, 0x80), seen(0x10, 0xE0, 0xB0)),
            (Some(false), Some(true))
        );
        assert_eq!(seen(0x90, 0xE0, 0xB0), None, "nothing can be read of what is scrambled");
        assert_eq!(seen(0x10, 0xE0, 0x30), None, "no header of ISO/IEC 13818");
        assert!(WITHOUT_FLAGS.iter().all(|id| seen(0x10, *id, 0xB0).is_none()));
    }
}
