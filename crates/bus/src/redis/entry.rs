//! What stands in an entry of a stream, and how Redis hands entries over.

use std::{fmt, str::FromStr};

use fred::types::Value;
use reelway_domain::{Hint, Notice, Sample};

use super::trouble::Trouble;

/// A hint as JSON.
const HINT: &str = "hint";
/// The trace that the hint belongs to: <https://www.w3.org/TR/trace-context/#traceparent-header>
const TRACEPARENT: &str = "traceparent";
/// Several samples as a JSON array.
const SAMPLES: &str = "samples";

/// What an entry is made of.
pub(super) type Fields = Vec<(&'static str, String)>;

/// An entry as it was read. It may hold anything: whoever can write to Redis can write to the stream.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) id: EntryId,
    /// Names and values in turn.
    fields: Vec<Vec<u8>>,
}

/// The place of an entry in its stream.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct EntryId {
    ms: u64,
    seq: u64,
}

/// The entry is none of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Malformed;

pub(super) fn of_notice(notice: &Notice) -> Fields {
    let mut fields = vec![(HINT, json(&notice.hint))];
    if let Some(trace) = &notice.trace {
        fields.push((TRACEPARENT, trace.to_string()));
    }
    fields
}

pub(super) fn of_samples(samples: &[Sample]) -> Fields {
    vec![(SAMPLES, json(&samples))]
}

fn json(value: &impl serde::Serialize) -> String {
    // Can't fail: hints and samples hold no maps, and a number that is none becomes null.
    serde_json::to_string(value).expect("hints and samples are JSON")
}

impl Entry {
    /// The hint with its trace. A trace that can't be read is left out.
    pub(super) fn notice(&self) -> Result<Notice, Malformed> {
        let hint: Hint = self.json(HINT)?;
        let trace = self.text(TRACEPARENT).ok().and_then(|text| text.parse().ok());
        Ok(Notice { hint, trace })
    }

    pub(super) fn samples(&self) -> Result<Vec<Sample>, Malformed> {
        self.json(SAMPLES)
    }

    fn json<T: serde::de::DeserializeOwned>(&self, name: &str) -> Result<T, Malformed> {
        serde_json::from_str(self.text(name)?).map_err(|_| Malformed)
    }

    fn text(&self, name: &str) -> Result<&str, Malformed> {
        let mut pairs = self.fields.chunks_exact(2);
        let pair = pairs.find(|pair| pair[0] == name.as_bytes()).ok_or(Malformed)?;
        str::from_utf8(&pair[1]).map_err(|_| Malformed)
    }
}

/// The entries of one stream in the answer to XREAD or XREADGROUP; none if it ended without.
pub(super) fn of_streams(answer: Value) -> Result<Vec<Entry>, Trouble> {
    let Some(stream) = array(answer)?.pop() else {
        return Ok(Vec::new());
    };
    let entries = array(stream)?.pop().ok_or(Trouble::Unreadable)?;
    of_list(entries)
}

/// The entries in the answer to XAUTOCLAIM, which also tells where to go on.
pub(super) fn of_claim(answer: Value) -> Result<Vec<Entry>, Trouble> {
    let entries = array(answer)?.into_iter().nth(1).ok_or(Trouble::Unreadable)?;
    of_list(entries)
}

/// The entries in the answer to XRANGE or XREVRANGE.
pub(super) fn of_list(answer: Value) -> Result<Vec<Entry>, Trouble> {
    // An entry that was deleted since it was delivered is nil before Redis 7.
    let entries = array(answer)?.into_iter().filter(|entry| !entry.is_null());
    entries.map(of_value).collect()
}

fn of_value(entry: Value) -> Result<Entry, Trouble> {
    let mut parts = array(entry)?.into_iter();
    let (Some(id), Some(fields)) = (parts.next(), parts.next()) else {
        return Err(Trouble::Unreadable);
    };
    let id = id.as_str().and_then(|id| id.parse().ok()).ok_or(Trouble::Unreadable)?;
    let fields = array(fields)?;
    let fields = fields.iter().map(|part| part.as_bytes().map(<[u8]>::to_vec));
    let fields = fields.collect::<Option<_>>().ok_or(Trouble::Unreadable)?;
    Ok(Entry { id, fields })
}

/// Nil is an array of nothing.
fn array(value: Value) -> Result<Vec<Value>, Trouble> {
    match value {
        Value::Array(values) => Ok(values),
        Value::Null => Ok(Vec::new()),
        _ => Err(Trouble::Unreadable),
    }
}

impl FromStr for EntryId {
    type Err = Malformed;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (ms, seq) = text.split_once('-').ok_or(Malformed)?;
        match (ms.parse(), seq.parse()) {
            (Ok(ms), Ok(seq)) => Ok(Self { ms, seq }),
            _ => Err(Malformed),
        }
    }
}

impl fmt::Display for EntryId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.ms, self.seq)
    }
}
