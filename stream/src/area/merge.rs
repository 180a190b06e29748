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
        let place = self.place(row.as_of());
        let is_late = place != row.as_of();
        if is_late {
            row.set_as_of(place);
        }
        self.waiting.0.entry(place).or_default().push(row);
        is_late
    }

    /// Where a row of that `as_of` that comes now can be.
    pub fn place(&self, as_of: Timestamp) -> Timestamp {
        if as_of > self.released_to { as_of } else { self.released_to + Duration::from_millis(1) }
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

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use records::{Aggregate, Quantity, Sighting, Subject, Window};

    fn window(device: &str, quantity: &str, end: i64, revision: u32, as_of: i64) -> Row {
        Row::Aggregate(Aggregate {
            subject: Subject::Device(device.into()),
            area: "road".into(),
            quantity: Quantity::from_name(quantity),
            window: Window { start: Timestamp(end - 1), end: Timestamp(end) },
            revision,
            count: 1,
            good: 1,
            sum: 1.0,
            mean: 1.0,
            min: 1.0,
            max: 1.0,
            as_of: Timestamp(as_of),
            is_backfill: false,
        })
    }

    fn sighting(device: &str, epc: &str, last_seen: i64, as_of: i64) -> Row {
        let (first_seen, last_seen, as_of) = (Timestamp(0), Timestamp(last_seen), Timestamp(as_of));
        let (area, device, epc) = ("road".into(), device.into(), epc.into());
        Row::Sighting(Sighting { area, device, epc, first_seen, last_seen, count: 1, as_of })
    }

    fn rows() -> Vec<Row> {
        let mut rows = Vec::new();
        for as_of in 1..4 {
            for device in ["a", "b"] {
                rows.push(sighting(device, "E1", 1, as_of));
                rows.push(sighting(device, "E2", 1, as_of));
                for end in 1..3 {
                    rows.push(window(device, "speed", end, 0, as_of));
                    rows.push(window(device, "occupancy", end, 0, as_of));
                    rows.push(window(device, "speed", end, 1, as_of));
                }
            }
        }
        rows
    }

    fn tick(at: i64, source: u32) -> Tick {
        Tick { at: Timestamp(at), source, sources: 2 }
    }

    fn released(merge: &mut Merge) -> Vec<String> {
        std::iter::from_fn(|| merge.release()).flatten().map(|row| format!("{row:?}")).collect()
    }

    proptest! {
        #[test]
        fn the_order_of_arrival_does_not_show(shuffled in Just(rows()).prop_shuffle(), stops in 1..4i64) {
            let mut found = Vec::new();
            let mut merge = Merge::default();
            for row in shuffled {
                prop_assert!(!merge.add(row));
            }
            merge = minicbor::decode(&minicbor::to_vec(&merge).unwrap()).unwrap();
            merge.tick(&tick(9, 0));
            for at in [stops, 9] {
                merge.tick(&tick(at, 1));
                found.extend(released(&mut merge));
            }
            let mut merge = Merge::default();
            rows().into_iter().for_each(|row| { merge.add(row); });
            (0..2).for_each(|source| { merge.tick(&tick(9, source)); });
            prop_assert_eq!(found, released(&mut merge));
        }
    }

    #[test]
    fn waits_for_every_source() {
        let mut merge = Merge::default();
        merge.add(window("a", "speed", 1, 0, 5));
        assert_eq!(merge.tick(&tick(9, 0)), None);
        assert_eq!(released(&mut merge).len(), 0);
        assert_eq!(merge.tick(&tick(4, 1)), Some(Timestamp(4)));
        assert_eq!(released(&mut merge).len(), 0);
        assert_eq!(merge.tick(&tick(3, 1)), None);
        assert_eq!(merge.tick(&tick(5, 1)), Some(Timestamp(5)));
        assert_eq!(released(&mut merge).len(), 1);
        // Its place has passed: it gets the next one.
        assert!(merge.add(window("a", "speed", 1, 0, 5)));
        assert_eq!(merge.tick(&tick(6, 1)), Some(Timestamp(6)));
        assert_eq!(released(&mut merge).len(), 1);
    }

    #[test]
    fn nonsense_is_no_source() {
        let mut merge = Merge::default();
        for (source, sources) in [(2, 2), (0, 0), (0, u32::MAX)] {
            assert_eq!(merge.tick(&Tick { at: Timestamp(1), source, sources }), None);
        }
    }
}
