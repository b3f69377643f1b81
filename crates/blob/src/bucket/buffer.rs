//! The bytes of an upload that are in memory, each with the room that it takes.

use bytes::Bytes;
use object_store::PutPayload;

use super::budget::Room;

/// A run of an upload's bytes.
#[derive(Debug)]
pub(super) struct Buffer {
    /// Where it begins in the upload.
    from: u64,
    /// Where it ends.
    to: u64,
    pieces: Vec<Bytes>,
    rooms: Vec<Room>,
}

impl Buffer {
    /// Nothing, at this place.
    pub(super) fn at(from: u64) -> Self {
        Self {
            from,
            to: from,
            pieces: Vec::new(),
            rooms: Vec::new(),
        }
    }

    pub(super) fn from(&self) -> u64 {
        self.from
    }

    pub(super) fn to(&self) -> u64 {
        self.to
    }

    /// Adds bytes at the end.
    pub(super) fn push(&mut self, bytes: Bytes, room: Room) {
        self.to += bytes.len() as u64;
        self.pieces.push(bytes);
        self.rooms.push(room);
    }

    /// Goes on at `to` when there is nothing in it: others brought what lies before.
    pub(super) fn skip_to(&mut self, to: u64) {
        debug_assert_eq!(self.from, self.to, "nothing is left out");
        (self.from, self.to) = (to, to);
    }

    /// Takes everything, with the room that it takes; what is left begins where this ended.
    pub(super) fn take(&mut self) -> (Vec<Bytes>, Vec<Room>) {
        let rest = Self::at(self.to);
        let all = std::mem::replace(self, rest);
        (all.pieces, all.rooms)
    }

    /// The bytes from `from` on; they stay in the buffer.
    pub(super) fn since(&self, from: u64) -> Vec<Bytes> {
        let mut at = self.from;
        let mut since = Vec::new();
        for piece in &self.pieces {
            let end = at + piece.len() as u64;
            if end > from {
                let skipped = usize::try_from(from.saturating_sub(at)).unwrap_or(usize::MAX);
                since.push(piece.slice(skipped.min(piece.len())..));
            }
            at = end;
        }
        since
    }
}

/// One body made of pieces, without copying them.
pub(super) fn payload(pieces: Vec<Bytes>) -> PutPayload {
    pieces.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::{super::budget::Budget, *};

    #[test]
    fn a_run_is_read_from_any_place() {
        let budget = Budget::new(1 << 20);
        let mut buffer = Buffer::at(10);
        for piece in ["abc", "def", "g"] {
            buffer.push(Bytes::from(piece), budget.try_take(4096).unwrap());
        }
        let since = |buffer: &Buffer, from| buffer.since(from).concat();
        assert_eq!(since(&buffer, 10), b"abcdefg");
        assert_eq!(since(&buffer, 14), b"efg");
        assert_eq!(since(&buffer, 17), b"");
        let (pieces, rooms) = buffer.take();
        assert_eq!((pieces.concat(), rooms.len()), (b"abcdefg".to_vec(), 3));
        assert_eq!((buffer.from(), buffer.to()), (17, 17));
    }
}
