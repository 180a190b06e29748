//! Aggregate: the window's start is absolute, the other times are differences.

use super::action::{read_subject, write_subject};
use super::kind::{Kind, write_head};
use super::map::MapReader;
use super::value::{Value, after, at, read_array, write_array};
use super::{DecodeError, malformed};
use crate::{Aggregate, Window};
use minicbor::Decoder;

impl Aggregate {
    /// Appends the bytes that [`crate::Record::encode`] would.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let mut map = write_head(Kind::Aggregate, out);
        write_subject(&self.subject, [1, 2], &mut map);
        map.field(3, &self.area);
        map.field(4, &self.quantity);
        map.field(5, &self.window.start);
        map.field(6, &after(self.window.start, self.window.end));
        map.field(7, &after(self.window.end, self.as_of));
        map.unless(8, &self.revision, &0);
        map.field(9, &self.count);
        map.field(10, &self.good);
        map.unless(11, &Statistics::of(self), &Statistics::default());
        map.unless(12, &self.is_backfill, &false);
    }
}

pub(super) fn read(map: &mut MapReader<'_, '_>) -> Result<Aggregate, DecodeError> {
    let subject = read_subject([1, 2], map)?;
    let area = map.field(3)?;
    let quantity = map.field(4)?;
    let start = map.field(5)?;
    let end = at(start, map.field(6)?);
    let as_of = at(end, map.field(7)?);
    let revision = map.or(8, 0)?;
    let (count, good) = (map.field(9)?, map.field(10)?);
    let Statistics([sum, mean, min, max]) = map.or(11, Statistics::default())?;
    let is_backfill = map.or(12, false)?;
    let window = Window { start, end };
    Ok(Aggregate {
        subject,
        area,
        quantity,
        window,
        revision,
        count,
        good,
        sum,
        mean,
        min,
        max,
        as_of,
        is_backfill,
    })
}

/// Sum, mean, min, max; left out when there is nothing they are of.
#[derive(Default)]
struct Statistics([f64; 4]);

impl Statistics {
    fn of(aggregate: &Aggregate) -> Statistics {
        Statistics([aggregate.sum, aggregate.mean, aggregate.min, aggregate.max])
    }
}

impl PartialEq for Statistics {
    /// By bits: −0 is kept.
    fn eq(&self, other: &Statistics) -> bool {
        self.0.map(f64::to_bits) == other.0.map(f64::to_bits)
    }
}

impl Value for Statistics {
    fn write(&self, out: &mut Vec<u8>) {
        write_array(self.0.len(), out);
        for number in self.0 {
            number.write(out);
        }
    }

    fn read(decoder: &mut Decoder<'_>) -> Result<Statistics, DecodeError> {
        let mut statistics = Statistics::default();
        if read_array(decoder)? != statistics.0.len() {
            return Err(malformed("statistics are four numbers"));
        }
        for number in &mut statistics.0 {
            *number = f64::read(decoder)?;
        }
        Ok(statistics)
    }
}
