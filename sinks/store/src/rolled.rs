//! The points of roll-ups, and their columns.

use crate::bucket::Summary;
use crate::columns::{Layout, put_column, put_optional_column};
use crate::point::Point;
use crate::reading::{Column, Group, ReadError, Stored};
use parquet::data_type::{DoubleType, Int32Type, Int64Type};
use parquet::errors::{ParquetError, Result as Parsed};
use parquet::file::writer::SerializedRowGroupWriter;
use std::cmp::Ordering;
use std::io::Write;

/// What the values of a series in one span amount to, or a part of that: points of the same span add up, and merging
/// files makes them one.
///
/// The exact sum is `sum + rest`. Where two doubles don't do for it, which takes values of very different size, more
/// points of the same span hold the others and count nothing.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct RollPoint {
    pub start: i64,
    pub width: i64,
    /// Values that are not missing; of these, the usable ones.
    pub count: u32,
    pub good: u32,
    /// NaN when a value was too large to be summed.
    pub sum: f64,
    pub rest: f64,
    pub min: f64,
    pub max: f64,
}

impl RollPoint {
    /// The points of a span: usually one.
    pub fn of(start: i64, width: i64, summary: &Summary) -> impl Iterator<Item = RollPoint> + use<> {
        let parts = if summary.is_beyond { vec![f64::NAN] } else { summary.sum.parts() };
        let number = |count: u64| u32::try_from(count).unwrap_or(u32::MAX);
        let first = RollPoint {
            start,
            width,
            count: number(summary.count),
            good: number(summary.good),
            sum: parts.first().copied().unwrap_or(0.0),
            rest: parts.get(1).copied().unwrap_or(0.0),
            min: summary.min,
            max: summary.max,
        };
        let more: Vec<RollPoint> = parts
            .get(2..)
            .unwrap_or_default()
            .chunks(2)
            .map(|parts| RollPoint {
                count: 0,
                good: 0,
                sum: parts[0],
                rest: parts.get(1).copied().unwrap_or(0.0),
                min: f64::INFINITY,
                max: f64::NEG_INFINITY,
                ..first
            })
            .collect();
        std::iter::once(first).chain(more)
    }

    pub fn add_to(&self, summary: &mut Summary) {
        summary.count += u64::from(self.count);
        summary.good += u64::from(self.good);
        summary.add_to_sum(self.sum);
        summary.add_to_sum(self.rest);
        summary.reach(self.min, self.max);
    }
}

impl Point for RollPoint {
    fn time(&self) -> i64 {
        self.start
    }

    fn length(&self) -> u64 {
        self.width.unsigned_abs()
    }

    fn order(&self, other: &RollPoint) -> Ordering {
        self.start.cmp(&other.start)
    }

    fn replaces(&self, _: &RollPoint) -> bool {
        false
    }

    /// Points of the same span become one.
    fn settle(points: &mut Vec<RollPoint>) {
        points.sort_by(RollPoint::order);
        if points.is_sorted_by(|a, b| a.start < b.start) {
            return;
        }
        let settled: Vec<RollPoint> = points
            .chunk_by(|a, b| a.start == b.start)
            .flat_map(|same| {
                let mut summary = Summary::default();
                same.iter().for_each(|point| point.add_to(&mut summary));
                RollPoint::of(same[0].start, same[0].width, &summary)
            })
            .collect();
        *points = settled;
    }
}

impl Layout for RollPoint {
    const SCHEMA: &'static str = "message rollup {
        REQUIRED BYTE_ARRAY subject (STRING);
        REQUIRED BYTE_ARRAY quantity (STRING);
        REQUIRED INT64 start (TIMESTAMP(MILLIS,true));
        REQUIRED INT32 width_s (INTEGER(32,false));
        REQUIRED INT32 count (INTEGER(32,false));
        REQUIRED INT32 good (INTEGER(32,false));
        OPTIONAL DOUBLE sum;
        OPTIONAL DOUBLE sum_rest;
        OPTIONAL DOUBLE min;
        OPTIONAL DOUBLE max;
    }";
    const STEADY: &'static [&'static str] = &["start"];

    fn write<W: Write + Send>(
        group: &mut SerializedRowGroupWriter<'_, W>,
        points: &[RollPoint],
    ) -> Parsed<()> {
        let there = |value: f64, is_there: bool| is_there.then_some(value);
        put_column::<Int64Type, _>(group, points, |point| point.start)?;
        put_column::<Int32Type, _>(group, points, |point| i32::try_from(point.width / 1000).unwrap_or(0))?;
        put_column::<Int32Type, _>(group, points, |point| point.count.cast_signed())?;
        put_column::<Int32Type, _>(group, points, |point| point.good.cast_signed())?;
        put_optional_column::<DoubleType, _>(group, points, |point| {
            there(point.sum, point.sum != 0.0 || point.good > 0)
        })?;
        put_optional_column::<DoubleType, _>(group, points, |point| there(point.rest, point.rest != 0.0))?;
        put_optional_column::<DoubleType, _>(group, points, |point| there(point.min, point.good > 0))?;
        put_optional_column::<DoubleType, _>(group, points, |point| there(point.max, point.good > 0))
    }
}

pub(crate) struct RollColumns {
    start: Column<Int64Type>,
    numbers: [Column<Int32Type>; 3],
    statistics: [Column<DoubleType>; 4],
}

impl Stored for RollPoint {
    type Columns = RollColumns;

    fn open(group: &Group<'_>) -> Result<RollColumns, ReadError> {
        Ok(RollColumns {
            start: group.column(2)?,
            numbers: [group.column(3)?, group.column(4)?, group.column(5)?],
            statistics: [group.column(6)?, group.column(7)?, group.column(8)?, group.column(9)?],
        })
    }

    fn skip(columns: &mut RollColumns, rows: usize) -> Parsed<()> {
        columns.start.skip(rows)?;
        columns.numbers.iter_mut().try_for_each(|column| column.skip(rows))?;
        columns.statistics.iter_mut().try_for_each(|column| column.skip(rows))
    }

    fn read(columns: &mut RollColumns, rows: usize, out: &mut Vec<RollPoint>) -> Parsed<()> {
        let start = columns.start.read(rows)?;
        let [width, count, good] = &mut columns.numbers;
        let (width, count, good) = (width.read(rows)?, count.read(rows)?, good.read(rows)?);
        if width.iter().any(|width| *width <= 0) {
            return Err(ParquetError::General("a span of no width".to_owned()));
        }
        let [sum, rest, min, max] = &mut columns.statistics;
        let (mut sum, mut rest) = (sum.read_optional(rows)?, rest.read_optional(rows)?);
        let (mut min, mut max) = (min.read_optional(rows)?, max.read_optional(rows)?);
        let next =
            |column: &mut dyn Iterator<Item = Option<f64>>, other| column.next().flatten().unwrap_or(other);
        out.extend((0..rows).map(|row| RollPoint {
            start: start[row],
            width: i64::from(width[row]) * 1000,
            count: count[row].cast_unsigned(),
            good: good[row].cast_unsigned(),
            sum: next(&mut sum, 0.0),
            rest: next(&mut rest, 0.0),
            min: next(&mut min, f64::INFINITY),
            max: next(&mut max, f64::NEG_INFINITY),
        }));
        Ok(())
    }
}
