//! Records as bytes, back to back.

use crate::{Mirrored, Origin};

/// In the first length of a record: it was forwarded, and its origin follows the lengths.
const IS_FORWARDED: u32 = 1 << 31;
/// The same: it came from another deployment, and whence follows the origin.
const IS_MIRRORED: u32 = 1 << 30;
const FLAGS: u32 = IS_FORWARDED | IS_MIRRORED;
/// No key is longer: what is above is for flags, more of which may come.
const MAX_KEY: usize = (1 << 28) - 1;

/// Records as bytes, back to back: `u32 key length, u32 value length, key, value`, little endian.
///
/// A forwarded record has bit 31 of its key length set and its origin before the key: `u64 spool, u64 offset, u8
/// length, gateway`; a mirrored one has bit 30 set, and then `u32 partition, u64 offset, u8 length, trail`. One
/// allocation for many records; the embedded log stores these bytes as they are.
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
    /// Of one that came from another deployment: by which way.
    pub mirrored: Option<Mirrored<'a>>,
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

    /// Adds a record with what is known of where it came from.
    pub fn push_entry(&mut self, entry: Entry<'_>) {
        let flags = entry.origin.map_or(0, |_| IS_FORWARDED) | entry.mirrored.map_or(0, |_| IS_MIRRORED);
        self.bytes.reserve(entry.len());
        self.bytes.extend_from_slice(&(key_length(entry.key) | flags).to_le_bytes());
        self.bytes.extend_from_slice(&length(entry.value.len()).to_le_bytes());
        if let Some(origin) = entry.origin {
            self.bytes.extend_from_slice(&origin.spool.to_le_bytes());
            self.bytes.extend_from_slice(&origin.offset.to_le_bytes());
            push_name(&mut self.bytes, origin.gateway);
        }
        if let Some(mirrored) = entry.mirrored {
            self.bytes.extend_from_slice(&mirrored.partition.to_le_bytes());
            self.bytes.extend_from_slice(&mirrored.offset.to_le_bytes());
            push_name(&mut self.bytes, mirrored.trail);
        }
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
        let mirrored = self.mirrored.map_or(0, |mirrored| 13 + mirrored.trail.len());
        8 + origin + mirrored + self.key.len() + self.value.len()
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
    let (mirrored, rest) = match key_len & IS_MIRRORED {
        0 => (None, rest),
        _ => split_mirrored(rest).map(|(mirrored, rest)| (Some(mirrored), rest))?,
    };
    let (key, rest) = rest.split_at_checked((key_len & !FLAGS) as usize)?;
    let (value, rest) = rest.split_at_checked(value_len)?;
    Some((Entry { key, value, origin, mirrored }, rest))
}

fn split_origin(bytes: &[u8]) -> Option<(Origin<'_>, &[u8])> {
    let (spool, rest) = bytes.split_first_chunk::<8>()?;
    let (offset, rest) = rest.split_first_chunk::<8>()?;
    let (gateway, rest) = split_name(rest)?;
    let origin = Origin { gateway, spool: u64::from_le_bytes(*spool), offset: u64::from_le_bytes(*offset) };
    Some((origin, rest))
}

fn split_mirrored(bytes: &[u8]) -> Option<(Mirrored<'_>, &[u8])> {
    let (partition, rest) = bytes.split_first_chunk::<4>()?;
    let (offset, rest) = rest.split_first_chunk::<8>()?;
    let (trail, rest) = split_name(rest)?;
    let (partition, offset) = (u32::from_le_bytes(*partition), u64::from_le_bytes(*offset));
    Some((Mirrored { trail, partition, offset }, rest))
}

fn split_name(bytes: &[u8]) -> Option<(&str, &[u8])> {
    let (len, rest) = bytes.split_first()?;
    let (name, rest) = rest.split_at_checked(usize::from(*len))?;
    Some((std::str::from_utf8(name).ok()?, rest))
}

fn push_name(bytes: &mut Vec<u8>, name: &str) {
    bytes.push(u8::try_from(name.len()).expect("names of gateways and trails are at most 255 bytes"));
    bytes.extend_from_slice(name.as_bytes());
}

fn key_length(key: &[u8]) -> u32 {
    assert!(key.len() <= MAX_KEY, "a key is far below 1 GiB: gateways bound names");
    length(key.len())
}

fn length(len: usize) -> u32 {
    u32::try_from(len).expect("a record is far below 4 GiB: gateways bound payloads")
}
