//! One partition of the area job's input: rows in order, and its areas.

use super::context::Context;
use super::merge::Merge;
use super::pipeline::Area;
use super::row::Row;
use crate::cbor::Plain;
use crate::counts::Fact;
use crate::outputs::Outputs;
use minicbor::decode::Error as DecodeError;
use minicbor::encode::{Error as EncodeError, Write};
use minicbor::{Decode, Decoder, Encode, Encoder};
use records::{Name, Record, Subject, Tick};
use std::collections::BTreeMap;
use std::time::Duration;

/// The state of one partition.
#[derive(Clone, Debug, Default, Encode, Decode)]
pub struct Partition {
    #[n(0)]
    merge: Merge,
    #[n(1)]
    areas: Areas,
}

#[derive(Clone, Debug, Default)]
struct Areas(BTreeMap<Name, Area>);

impl Partition {
    /// Takes the next record, written under `key`.
    pub fn run(&mut self, key: &[u8], record: Record, context: &Context, out: &mut Outputs) {
        match record {
            Record::Tick(tick) => {
                out.count(Fact::Tick);
                self.tick(&tick, context, out);
            }
            // Of areas: what this job writes, no input of it.
            Record::Aggregate(row) if matches!(row.subject, Subject::Area(_)) => out.count(Fact::Aggregate),
            // A statistic of a user-defined job: of windows of its own, that say nothing of how far the device has come.
            Record::Aggregate(row) if context.rules.is_selected(&row.quantity) => out.count(Fact::Aggregate),
            record => {
                out.count(fact_of(&record));
                let Ok(area) = std::str::from_utf8(key) else { return out.count(Fact::Misplaced) };
                self.add(Row::from_record(area, record), out);
            }
        }
    }

    fn add(&mut self, row: Option<Row>, out: &mut Outputs) {
        // A device that nobody has assigned to an area has no neighbours.
        let Some(row) = row.filter(|row| !row.area().is_empty()) else { return };
        if self.merge.add(row) {
            out.count(Fact::RowLate);
        }
    }

    /// Gives the areas what all sources have passed, in order.
    fn tick(&mut self, tick: &Tick, context: &Context, out: &mut Outputs) {
        let Some(aligned) = self.merge.tick(tick) else { return };
        while let Some(rows) = self.merge.release() {
            rows.into_iter().for_each(|row| self.areas.take(row, context, out));
        }
        for area in self.areas.0.values_mut() {
            area.advance(aligned + Duration::from_millis(1), context, out);
        }
    }
}

impl Areas {
    fn take(&mut self, row: Row, context: &Context, out: &mut Outputs) {
        // Only a device that is said to be there makes an area: rows of strangers change nothing.
        let name = row.area().clone();
        let area = match &row {
            Row::Device(..) | Row::Share(_) => {
                Some(self.0.entry(name.clone()).or_insert_with(|| Area::new(name)))
            }
            _ => self.0.get_mut(&name),
        };
        match (row, area) {
            (Row::Device(device, _), Some(area)) => area.device(&device, context, out),
            (Row::Aggregate(row), Some(area)) => area.window(&row, context, out),
            (Row::Share(share), Some(area)) => area.share(&share, context, out),
            (Row::Sighting(sighting), Some(area)) => area.sighting(&sighting, context, out),
            (Row::Action(action), Some(area)) => area.act(&action, context, out),
            (Row::Action(_), None) => out.count(Fact::ActionIgnored),
            (_, None) => {}
        }
    }
}

fn fact_of(record: &Record) -> Fact {
    match record {
        Record::Device(_) => Fact::Device,
        Record::Aggregate(_) => Fact::Aggregate,
        Record::Sighting(_) => Fact::Sighting,
        Record::Share(_) => Fact::Share,
        Record::Action(_) => Fact::Action,
        Record::Tick(_) => Fact::Tick,
        Record::Observation(_) | Record::Alert(_) | Record::Quarantined(_) | Record::Account(_) => {
            Fact::Misplaced
        }
    }
}

impl<C> Encode<C> for Areas {
    fn encode<W: Write>(&self, to: &mut Encoder<W>, with: &mut C) -> Result<(), EncodeError<W::Error>> {
        to.map(self.0.len() as u64)?;
        for (name, area) in &self.0 {
            name.put(to)?;
            area.encode(to, with)?;
        }
        Ok(())
    }
}

impl<'b, C> Decode<'b, C> for Areas {
    fn decode(from: &mut Decoder<'b>, with: &mut C) -> Result<Self, DecodeError> {
        let count = from.map()?.ok_or_else(|| DecodeError::message("map of unknown length"))?;
        (0..count)
            .map(|_| Ok((Name::take(from)?, Area::decode(from, with)?)))
            .collect::<Result<_, _>>()
            .map(Areas)
    }
}
