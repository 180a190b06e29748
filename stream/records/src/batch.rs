//! Records as bytes, back to back.

use crate::Origin;

/// In the first length of a record: it was forwarded, and its origin follows the lengths.
const IS_FORWARDED: u32 = 1 << 31;
/// No key is longer: what is above is for flags.
const MAX_KEY: usize = (1 << 30) - 1;

/// Records as bytes, back to back: `u32 key length, u32 value length, key, value`, little endian.
///
/// A forwarded record has bit 31 of its key length set and its origin before the key: `u64 spool, u64 offset, u8
/// length, gateway`. One allocation for many records; the embedded log stores these bytes as they are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Batch {
    bytes: Vec<u8>,
    count: u32,
}

/// A record within a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry<'a> {
    /// Decides the partition; may be empty.
    pub key: &'a [u8],
    /// What [`Record::decode`](crate::Record::decode) reads.
    pub value: &'a [u8],
    /// Of a forwarded record: whence it came.
    pub origin: Option<Origin<'a>>,
}

impl Batch {
    /// An empty batch.
    pub fn new() -> Batch {
        Batch::default()
    }

    /// An empty batch with room for so many bytes.
    pub fn with_capacity(bytes: usize) -> Batch {
        Batch { bytes: Vec::with_capacity(bytes), count: 0 }
    }

    /// Adds a record whose value `write` appends to the buffer it is given.
    pub fn push_with(&mut self, key: &[u8], write: impl FnOnce(&mut Vec<u8>)) {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(&key_length(key).to_le_bytes());
        self.bytes.extend_from_slice(&[0; 4]);
        self.bytes.extend_from_slice(key);
        let value_start = self.bytes.len();
        write(&mut self.bytes);
        let value = length(self.bytes.len() - value_start).to_le_bytes();
        self.bytes[start + 4..start + 8].copy_from_slice(&value);
        self.count += 1;
    }

    /// Adds a record.
    pub fn push(&mut self, key: &[u8], value: &[u8]) {
        self.push_with(key, |bytes| bytes.extend_from_slice(value));
    }

    /// Adds a record with its origin, if it has one.
    pub fn push_entry(&mut self, entry: Entry<'_>) {
        let Some(origin) = entry.origin else { return self.push(entry.key, entry.value) };
        let gateway = u8::try_from(origin.gateway.len()).expect("a gateway's id is at most 255 bytes");
        self.bytes.reserve(entry.len());
        self.bytes.extend_from_slice(&(key_length(entry.key) | IS_FORWARDED).to_le_bytes());
        self.bytes.extend_from_slice(&length(entry.value.len()).to_le_bytes());
        self.bytes.extend_from_slice(&origin.spool.to_le_bytes());
        self.bytes.extend_from_slice(&origin.offset.to_le_bytes());
        self.bytes.push(gateway);
        self.bytes.extend_from_slice(origin.gateway.as_bytes());
        self.bytes.extend_from_slice(entry.key);
        self.bytes.extend_from_slice(entry.value);
        self.count += 1;
    }

    /// Moves all records of `other` behind ours.
    pub fn append(&mut self, other: &Batch) {
        self.bytes.extend_from_slice(&other.bytes);
        self.count += other.count;
    }

    /// Forgets the records and keeps the buffer.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.count = 0;
    }

    /// How many records.
    pub fn len(&self) -> usize {
        self.count as usize
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The bytes, for a log that stores them.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// A batch from stored bytes; `None` when they are not whole records.
    pub fn from_bytes(bytes: Vec<u8>) -> Option<Batch> {
        let mut count = 0;
        let mut rest = bytes.as_slice();
        while !rest.is_empty() {
            (_, rest) = split_entry(rest)?;
            count += 1;
        }
        Some(Batch { bytes, count })
    }

    /// The records as (key, value), in order.
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.entries().map(|entry| (entry.key, entry.value))
    }

    /// The records with their origins, in order.
    pub fn entries(&self) -> impl Iterator<Item = Entry<'_>> {
        let mut rest = self.bytes.as_slice();
        std::iter::from_fn(move || {
            let (entry, behind) = split_entry(rest)?;
            rest = behind;
            Some(entry)
        })
    }
}

impl<'a> FromIterator<Entry<'a>> for Batch {
    fn from_iter<I: IntoIterator<Item = Entry<'a>>>(entries: I) -> Batch {
        let mut batch = Batch::new();
        entries.into_iter().for_each(|entry| batch.push_entry(entry));
        batch
    }
}

impl Entry<'_> {
    /// How many bytes of a batch it takes.
    #[allow(clippy::len_without_is_empty, reason = "no record takes no bytes")]
    pub fn len(&self) -> usize {
        let origin = self.origin.map_or(0, |origin| 17 + origin.gateway.len());
        8 + origin + self.key.len() + self.value.len()
    }
}

fn split_entry(bytes: &[u8]) -> Option<(Entry<'_>, &[u8])> {
    let (key_len, rest) = bytes.split_first_chunk::<4>()?;
    let (value_len, rest) = rest.split_first_chunk::<4>()?;
    let (key_len, value_len) = (u32::from_le_bytes(*key_len), u32::from_le_bytes(*value_len) as usize);
    let (origin, rest) = match key_len & IS_FORWARDED {
        0 => (None, rest),
        _ => split_origin(rest).map(|(origin, rest)| (Some(origin), rest))?,
    };
    let (key, rest) = rest.split_at_checked((key_len & !IS_FORWARDED) as usize)?;
    let (value, rest) = rest.split_at_checked(value_len)?;
    Some((Entry { key, value, origin }, rest))
}

fn split_origin(bytes: &[u8]) -> Option<(Origin<'_>, &[u8])> {
    let (spool, rest) = bytes.split_first_chunk::<8>()?;
    let (offset, rest) = rest.split_first_chunk::<8>()?;
    let (len, rest) = rest.split_first()?;
    let (gateway, rest) = rest.split_at_checked(usize::from(*len))?;
    let gateway = std::str::from_utf8(gateway).ok()?;
    let origin = Origin { gateway, spool: u64::from_le_bytes(*spool), offset: u64::from_le_bytes(*offset) };
    Some((origin, rest))
}

fn key_length(key: &[u8]) -> u32 {
    assert!(key.len() <= MAX_KEY, "a key is far below 1 GiB: gateways bound names");
    length(key.len())
}

fn length(len: usize) -> u32 {
    u32::try_from(len).expect("a record is far below 4 GiB: gateways bound payloads")
}
