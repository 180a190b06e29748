//! One partition of the area job's input: rows in order, and its areas.

use super::context::Context;
use super::merge::Merge;
use super::pipeline::Area;
use super::row::Row;
use crate::cbor::Plain;
use crate::counts::Fact;
use crate::outputs::Outputs;
use crate::rule::{Heard, Reign, Ruleset};
use minicbor::decode::Error as DecodeError;
use minicbor::encode::{Error as EncodeError, Write};
use minicbor::{Decode, Decoder, Encode, Encoder};
use records::{Name, Record, Rules, Subject, Tick};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// The state of one partition.
#[derive(Clone, Debug, Encode, Decode)]
pub struct Partition {
    /// Those that the job reads from the log.
    #[n(2)]
    reign: Reign,
    #[n(0)]
    merge: Merge,
    #[n(1)]
    areas: Areas,
}

#[derive(Clone, Debug, Default)]
struct Areas(BTreeMap<Name, Area>);

impl Partition {
    /// A partition of which nothing is known.
    pub fn new(rules: &Ruleset) -> Partition {
        Partition { reign: Reign::new(&rules.text), merge: Merge::default(), areas: Areas::default() }
    }

    /// The rules that hold.
    pub fn reign(&self) -> &Reign {
        &self.reign
    }

    /// Takes the next record, written under `key`.
    pub fn run(&mut self, key: &[u8], record: Record, context: &mut Arc<Context>, out: &mut Outputs) {
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
        let is_of_none = |row: &Row| row.area().is_some_and(|area| area.is_empty());
        let Some(row) = row.filter(|row| !is_of_none(row)) else { return };
        if self.merge.add(row) {
            out.count(Fact::RowLate);
        }
    }

    /// Gives the areas what all sources have passed, in order.
    fn tick(&mut self, tick: &Tick, context: &mut Arc<Context>, out: &mut Outputs) {
        let Some(aligned) = self.merge.tick(tick) else { return };
        while let Some(rows) = self.merge.release() {
            for row in rows {
                match row {
                    Row::Rules(rules) => self.succeed(rules, context, out),
                    row => self.areas.take(row, context, out),
                }
            }
        }
        for area in self.areas.0.values_mut() {
            area.advance(aligned + Duration::from_millis(1), context, out);
        }
    }
}

impl Partition {
    /// Other rules hold. Every partition of the device job says so, and the first that does counts.
    fn succeed(&mut self, rules: Rules, context: &mut Arc<Context>, out: &mut Outputs) {
        let at = rules.at;
        match self.reign.hear(rules) {
            Heard::Known => return,
            Heard::Invalid => return out.count(Fact::Undecodable),
            Heard::News => {}
        }
        let Some((set, _)) = self.reign.succeed(at) else { return };
        out.count(Fact::RulesChanged);
        let after = context.with(&set.text);
        let change = context.change(&after);
        self.areas.0.values_mut().for_each(|area| area.succeed(&change, at, out));
        *context = after;
    }
}

impl Areas {
    fn take(&mut self, row: Row, context: &Context, out: &mut Outputs) {
        // Only a device that is said to be there makes an area: rows of strangers change nothing.
        let Some(name) = row.area().cloned() else { return };
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
            (_, None) | (Row::Rules(_), _) => {}
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
        Record::Rules(_) => Fact::Rules,
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
