//! Parts of an object, as somebody asks for them who doesn't know how long it is.

use object_store::GetRange;

/// Which bytes of an object are wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ByteSpan {
    /// All of them.
    Whole,
    /// From the first offset up to the second; fewer if the object ends before.
    Between(u64, u64),
    /// From this offset on.
    From(u64),
    /// So many at the end; all if there are fewer.
    Last(u64),
}

impl ByteSpan {
    /// From where up to where those are in an object of `size` bytes; `None` if it has none of them.
    #[must_use]
    pub fn within(self, size: u64) -> Option<(u64, u64)> {
        let (from, to) = match self {
            Self::Whole => return Some((0, size)),
            Self::Between(from, to) => (from, to.min(size)),
            Self::From(from) => (from, size),
            Self::Last(bytes) => (size.saturating_sub(bytes), size),
        };
        (from < to).then_some((from, to))
    }

    /// As a store is asked for them; `None`: for the whole object.
    pub(super) fn range(self) -> Option<GetRange> {
        match self {
            Self::Whole => None,
            Self::Between(from, to) => Some(GetRange::Bounded(from..to)),
            Self::From(from) => Some(GetRange::Offset(from)),
            Self::Last(bytes) => Some(GetRange::Suffix(bytes)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_ends_with_its_object() {
        for (span, found) in [
            (ByteSpan::Whole, Some((0, 10))),
            (ByteSpan::Between(2, 5), Some((2, 5))),
            (ByteSpan::Between(8, 99), Some((8, 10))),
            (ByteSpan::Between(10, 11), None),
            (ByteSpan::Between(3, 3), None),
            (ByteSpan::From(9), Some((9, 10))),
            (ByteSpan::From(10), None),
            (ByteSpan::Last(3), Some((7, 10))),
            (ByteSpan::Last(30), Some((0, 10))),
            (ByteSpan::Last(0), None),
        ] {
            assert_eq!(span.within(10), found, "{span:?}");
        }
        assert_eq!(ByteSpan::Whole.within(0), Some((0, 0)), "an empty object is there");
        assert_eq!(ByteSpan::Last(1).within(0), None);
    }
}
