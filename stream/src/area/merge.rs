//! Rows of several sources in one order, whatever the order in which they come.

use super::row::Row;
use crate::cbor::Plain;
use minicbor::decode::Error as DecodeError;
use minicbor::encode::Error as EncodeError;
use minicbor::encode::Write;
use minicbor::{Decode, Decoder, Encode, Encoder};
use records::{Name, Record, Tick, Timestamp};
use std::collections::BTreeMap;
use std::time::Duration;

/// Most sources that are believed in.
const MAX_SOURCES: u32 = 4096;

/// Holds rows back until every source has passed their `as_of`.
#[derive(Clone, Debug, Encode, Decode)]
pub struct Merge {
    /// How far each source has come; [`Timestamp::MIN`] for those that were never heard.
    #[cbor(n(0), with = "crate::cbor")]
    sources: Vec<Timestamp>,
    /// Rows up to here have been released.
    #[cbor(n(1), with = "crate::cbor")]
    released_to: Timestamp,
    #[n(2)]
    waiting: Waiting,
}

#[derive(Clone, Debug, Default)]
struct Waiting(BTreeMap<Timestamp, Vec<Row>>);

impl Default for Merge {
    fn default() -> Self {
        Merge { sources: Vec::new(), released_to: Timestamp::MIN, waiting: Waiting::default() }
    }
}

impl Merge {
    /// Takes a row. Returns whether its place had passed already; it then gets the next one.
    pub fn add(&mut self, mut row: Row) -> bool {
        let is_late = row.as_of() <= self.released_to;
        if is_late {
            row.set_as_of(self.released_to + Duration::from_millis(1));
        }
        self.waiting.0.entry(row.as_of()).or_default().push(row);
        is_late
    }

    /// A source has come further. Returns how far all of them have, when that is news.
    pub fn tick(&mut self, tick: &Tick) -> Option<Timestamp> {
        if tick.source >= tick.sources || tick.sources > MAX_SOURCES {
            return None;
        }
        self.sources.resize(tick.sources as usize, Timestamp::MIN);
        let source = &mut self.sources[tick.source as usize];
        *source = tick.at.max(*source);
        let aligned = self.sources.iter().min().copied()?;
        if aligned <= self.released_to {
            return None;
        }
        self.released_to = aligned;
        Some(aligned)
    }

    /// The next row that every source has passed.
    pub fn release(&mut self) -> Option<Vec<Row>> {
        let next = self.waiting.0.first_entry()?;
        if *next.key() > self.released_to {
            return None;
        }
        let mut rows = next.remove();
        rows.sort_by(Row::order);
        Some(rows)
    }
}

impl<C> Encode<C> for Waiting {
    fn encode<W: Write>(&self, to: &mut Encoder<W>, _: &mut C) -> Result<(), EncodeError<W::Error>> {
        to.array(self.0.values().map(Vec::len).sum::<usize>() as u64)?;
        for row in self.0.values().flatten() {
            let (area, record) = row.clone().into_record();
            to.array(2)?;
            area.put(to)?;
            record.put(to)?;
        }
        Ok(())
    }
}

impl<'b, C> Decode<'b, C> for Waiting {
    fn decode(from: &mut Decoder<'b>, _: &mut C) -> Result<Self, DecodeError> {
        let mut waiting = Waiting::default();
        let count = from.array()?.ok_or_else(|| DecodeError::message("array of unknown length"))?;
        for _ in 0..count {
            from.array()?;
            let (area, record) = (Name::take(from)?, Record::take(from)?);
            let row = Row::from_record(&area, record).ok_or_else(|| DecodeError::message("not a row"))?;
            waiting.0.entry(row.as_of()).or_default().push(row);
        }
        Ok(waiting)
    }
}
