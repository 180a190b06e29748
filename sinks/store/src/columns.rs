//! The columns of observations and aggregates.

use crate::day::Kind;
use crate::memory::{Memory, Table};
use crate::point::{Point, RawPoint, WindowPoint};
use crate::reading::{Column, Group, ReadError, Stored};
use crate::{AggregateRow, RawRow};
use parquet::data_type::{BoolType, ByteArray, ByteArrayType, DataType, DoubleType, Int32Type, Int64Type};
use parquet::errors::{ParquetError, Result as Parsed};
use parquet::file::writer::SerializedRowGroupWriter;
use records::{Flag, Name, Quality};
use std::io::Write;

/// Points that have files of their own.
pub(crate) trait Layout: Point + Stored {
    /// In Parquet's words. The first two columns are the names; [`Layout::write`] writes the others.
    const SCHEMA: &'static str;
    /// Columns that are nearly a straight line: stored as differences, not in a dictionary.
    const STEADY: &'static [&'static str];
    fn write<W: Write + Send>(group: &mut SerializedRowGroupWriter<'_, W>, points: &[Self]) -> Parsed<()>;
}

/// Points that are in memory before they have a file.
pub(crate) trait Buffered: Layout {
    const KIND: Kind;
    fn table(memory: &Memory) -> &Table<Self>;
}

impl Layout for RawPoint {
    const SCHEMA: &'static str = "message observation {
        REQUIRED BYTE_ARRAY subject (STRING);
        REQUIRED BYTE_ARRAY quantity (STRING);
        REQUIRED INT64 event_time (TIMESTAMP(MILLIS,true));
        OPTIONAL INT64 device_time (TIMESTAMP(MILLIS,true));
        REQUIRED INT64 ingest_time (TIMESTAMP(MILLIS,true));
        REQUIRED DOUBLE value;
        REQUIRED INT32 flag (INTEGER(8,false));
        REQUIRED INT32 tests (INTEGER(16,false));
    }";
    const STEADY: &'static [&'static str] = &["event_time", "device_time", "ingest_time"];

    fn write<W: Write + Send>(
        group: &mut SerializedRowGroupWriter<'_, W>,
        points: &[RawPoint],
    ) -> Parsed<()> {
        put_column::<Int64Type, _>(group, points, |point| point.event_time)?;
        put_optional_column::<Int64Type, _>(group, points, |point| point.device_time)?;
        put_column::<Int64Type, _>(group, points, |point| point.ingest_time)?;
        put_column::<DoubleType, _>(group, points, |point| point.value)?;
        put_column::<Int32Type, _>(group, points, |point| point.quality.flag as i32)?;
        put_column::<Int32Type, _>(group, points, |point| i32::from(point.quality.tests))
    }
}

impl Buffered for RawPoint {
    const KIND: Kind = Kind::Observations;

    fn table(memory: &Memory) -> &Table<RawPoint> {
        &memory.raw
    }
}

pub(crate) struct RawColumns {
    event_time: Column<Int64Type>,
    device_time: Column<Int64Type>,
    ingest_time: Column<Int64Type>,
    value: Column<DoubleType>,
    flag: Column<Int32Type>,
    tests: Column<Int32Type>,
}

impl Stored for RawPoint {
    type Columns = RawColumns;

    fn open(group: &Group<'_>) -> Result<RawColumns, ReadError> {
        Ok(RawColumns {
            event_time: group.column(2)?,
            device_time: group.column(3)?,
            ingest_time: group.column(4)?,
            value: group.column(5)?,
            flag: group.column(6)?,
            tests: group.column(7)?,
        })
    }

    fn skip(columns: &mut RawColumns, rows: usize) -> Parsed<()> {
        columns.event_time.skip(rows)?;
        columns.device_time.skip(rows)?;
        columns.ingest_time.skip(rows)?;
        columns.value.skip(rows)?;
        columns.flag.skip(rows)?;
        columns.tests.skip(rows)
    }

    fn read(columns: &mut RawColumns, rows: usize, out: &mut Vec<RawPoint>) -> Parsed<()> {
        let event_times = columns.event_time.read(rows)?.iter();
        let times =
            event_times.zip(columns.device_time.read_optional(rows)?).zip(columns.ingest_time.read(rows)?);
        let flags = columns.flag.read(rows)?.iter().zip(columns.tests.read(rows)?);
        out.reserve(rows);
        for (((times, ingest_time), value), (flag, tests)) in times.zip(columns.value.read(rows)?).zip(flags)
        {
            let (&event_time, device_time) = times;
            let tests = u16::try_from(*tests).map_err(|_| unknown("tests"))?;
            let quality = Quality { flag: flag_of(*flag)?, tests };
            out.push(RawPoint { event_time, device_time, ingest_time: *ingest_time, value: *value, quality });
        }
        Ok(())
    }
}

/// The part of a raw value that curves and buckets need.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct ValuePoint {
    pub at: i64,
    pub value: f64,
    pub flag: Flag,
}

impl From<&RawPoint> for ValuePoint {
    fn from(point: &RawPoint) -> ValuePoint {
        ValuePoint { at: point.event_time, value: point.value, flag: point.quality.flag }
    }
}

pub(crate) struct ValueColumns {
    at: Column<Int64Type>,
    value: Column<DoubleType>,
    flag: Column<Int32Type>,
}

impl Stored for ValuePoint {
    type Columns = ValueColumns;

    fn open(group: &Group<'_>) -> Result<ValueColumns, ReadError> {
        Ok(ValueColumns { at: group.column(2)?, value: group.column(5)?, flag: group.column(6)? })
    }

    fn skip(columns: &mut ValueColumns, rows: usize) -> Parsed<()> {
        columns.at.skip(rows)?;
        columns.value.skip(rows)?;
        columns.flag.skip(rows)
    }

    fn read(columns: &mut ValueColumns, rows: usize, out: &mut Vec<ValuePoint>) -> Parsed<()> {
        let values = columns.at.read(rows)?.iter().zip(columns.value.read(rows)?);
        out.reserve(rows);
        for ((&at, &value), &flag) in values.zip(columns.flag.read(rows)?) {
            out.push(ValuePoint { at, value, flag: flag_of(flag)? });
        }
        Ok(())
    }
}

impl Layout for WindowPoint {
    const SCHEMA: &'static str = "message aggregate {
        REQUIRED BYTE_ARRAY subject (STRING);
        REQUIRED BYTE_ARRAY quantity (STRING);
        REQUIRED INT64 window_start (TIMESTAMP(MILLIS,true));
        REQUIRED INT64 window_end (TIMESTAMP(MILLIS,true));
        REQUIRED INT32 revision (INTEGER(32,false));
        REQUIRED INT32 count (INTEGER(32,false));
        REQUIRED INT32 good (INTEGER(32,false));
        OPTIONAL DOUBLE sum;
        OPTIONAL DOUBLE mean;
        OPTIONAL DOUBLE min;
        OPTIONAL DOUBLE max;
        REQUIRED INT64 as_of (TIMESTAMP(MILLIS,true));
        REQUIRED BOOLEAN is_backfill;
    }";
    const STEADY: &'static [&'static str] = &["window_start", "window_end", "as_of"];

    fn write<W: Write + Send>(
        group: &mut SerializedRowGroupWriter<'_, W>,
        points: &[WindowPoint],
    ) -> Parsed<()> {
        let statistic =
            |of: fn(&WindowPoint) -> f64| move |point: &WindowPoint| (point.good > 0).then(|| of(point));
        put_column::<Int64Type, _>(group, points, |point| point.start)?;
        put_column::<Int64Type, _>(group, points, |point| point.end)?;
        put_column::<Int32Type, _>(group, points, |point| point.revision.cast_signed())?;
        put_column::<Int32Type, _>(group, points, |point| point.count.cast_signed())?;
        put_column::<Int32Type, _>(group, points, |point| point.good.cast_signed())?;
        put_optional_column::<DoubleType, _>(group, points, statistic(|point| point.sum))?;
        put_optional_column::<DoubleType, _>(group, points, statistic(|point| point.mean))?;
        put_optional_column::<DoubleType, _>(group, points, statistic(|point| point.min))?;
        put_optional_column::<DoubleType, _>(group, points, statistic(|point| point.max))?;
        put_column::<Int64Type, _>(group, points, |point| point.as_of)?;
        put_column::<BoolType, _>(group, points, |point| point.is_backfill)
    }
}

impl Buffered for WindowPoint {
    const KIND: Kind = Kind::Aggregates;

    fn table(memory: &Memory) -> &Table<WindowPoint> {
        &memory.windows
    }
}

pub(crate) struct WindowColumns {
    times: [Column<Int64Type>; 3],
    counts: [Column<Int32Type>; 3],
    statistics: [Column<DoubleType>; 4],
    is_backfill: Column<BoolType>,
}

impl Stored for WindowPoint {
    type Columns = WindowColumns;

    fn open(group: &Group<'_>) -> Result<WindowColumns, ReadError> {
        Ok(WindowColumns {
            times: [group.column(2)?, group.column(3)?, group.column(11)?],
            counts: [group.column(4)?, group.column(5)?, group.column(6)?],
            statistics: [group.column(7)?, group.column(8)?, group.column(9)?, group.column(10)?],
            is_backfill: group.column(12)?,
        })
    }

    fn skip(columns: &mut WindowColumns, rows: usize) -> Parsed<()> {
        columns.times.iter_mut().try_for_each(|column| column.skip(rows))?;
        columns.counts.iter_mut().try_for_each(|column| column.skip(rows))?;
        columns.statistics.iter_mut().try_for_each(|column| column.skip(rows))?;
        columns.is_backfill.skip(rows)
    }

    fn read(columns: &mut WindowColumns, rows: usize, out: &mut Vec<WindowPoint>) -> Parsed<()> {
        let [start, end, as_of] = &mut columns.times;
        let (start, end, as_of) = (start.read(rows)?, end.read(rows)?, as_of.read(rows)?);
        let [revision, count, good] = &mut columns.counts;
        let (revision, count, good) = (revision.read(rows)?, count.read(rows)?, good.read(rows)?);
        let [sum, mean, min, max] = &mut columns.statistics;
        let (mut sum, mut mean) = (sum.read_optional(rows)?, mean.read_optional(rows)?);
        let (mut min, mut max) = (min.read_optional(rows)?, max.read_optional(rows)?);
        let is_backfill = columns.is_backfill.read(rows)?;
        let next = |column: &mut dyn Iterator<Item = Option<f64>>| column.next().flatten().unwrap_or(0.0);
        out.extend((0..rows).map(|row| WindowPoint {
            start: start[row],
            end: end[row],
            revision: revision[row].cast_unsigned(),
            count: count[row].cast_unsigned(),
            good: good[row].cast_unsigned(),
            sum: next(&mut sum),
            mean: next(&mut mean),
            min: next(&mut min),
            max: next(&mut max),
            as_of: as_of[row],
            is_backfill: is_backfill[row],
        }));
        Ok(())
    }
}

/// Writes the next column of a Parquet file; with `levels` (1 for a value, 0 for none) an optional one.
pub(crate) fn put_values<T: DataType>(
    group: &mut SerializedRowGroupWriter<'_, impl Write + Send>,
    values: &[T::T],
    levels: Option<&[i16]>,
) -> Parsed<()> {
    let missing = || ParquetError::General("the schema has fewer columns than are written".to_owned());
    let mut column = group.next_column()?.ok_or_else(missing)?;
    column.typed::<T>().write_batch(values, levels, None)?;
    column.close()
}

/// Writes the next column of a Parquet file, one that has a value in every row.
pub fn put_column<T: DataType, P>(
    group: &mut SerializedRowGroupWriter<'_, impl Write + Send>,
    points: &[P],
    value: impl Fn(&P) -> T::T,
) -> Parsed<()> {
    let values: Vec<T::T> = points.iter().map(value).collect();
    put_values::<T>(group, &values, None)
}

/// The same for a column that may be null.
pub fn put_optional_column<T: DataType, P>(
    group: &mut SerializedRowGroupWriter<'_, impl Write + Send>,
    points: &[P],
    value: impl Fn(&P) -> Option<T::T>,
) -> Parsed<()> {
    let values: Vec<T::T> = points.iter().filter_map(&value).collect();
    let levels: Vec<i16> = points.iter().map(|point| i16::from(value(point).is_some())).collect();
    put_values::<T>(group, &values, Some(&levels))
}

/// Rows as the columns of a Parquet file, which are those of the store's own files.
pub trait Tabular: Sized {
    /// In Parquet's words.
    const SCHEMA: &'static str;

    /// Writes all columns of a row group.
    ///
    /// # Errors
    /// The file can't be written, or a row is one that a store would refuse.
    fn put<W: Write + Send>(rows: &[Self], group: &mut SerializedRowGroupWriter<'_, W>) -> Parsed<()>;
}

impl Tabular for RawRow {
    const SCHEMA: &'static str = RawPoint::SCHEMA;

    fn put<W: Write + Send>(rows: &[RawRow], group: &mut SerializedRowGroupWriter<'_, W>) -> Parsed<()> {
        put_rows(rows, group, |row| [&row.subject, &row.quantity], RawPoint::new)
    }
}

impl Tabular for AggregateRow {
    const SCHEMA: &'static str = WindowPoint::SCHEMA;

    fn put<W: Write + Send>(
        rows: &[AggregateRow],
        group: &mut SerializedRowGroupWriter<'_, W>,
    ) -> Parsed<()> {
        put_rows(rows, group, |row| [&row.subject, &row.quantity], WindowPoint::new)
    }
}

fn put_rows<R, P: Layout, W: Write + Send>(
    rows: &[R],
    group: &mut SerializedRowGroupWriter<'_, W>,
    names: fn(&R) -> [&Name; 2],
    point: fn(&R) -> Option<P>,
) -> Parsed<()> {
    for which in 0..2 {
        put_column::<ByteArrayType, _>(group, rows, |row| ByteArray::from(names(row)[which].as_str()))?;
    }
    let points: Option<Vec<P>> = rows.iter().map(point).collect();
    let refused = || ParquetError::General("a row that a store would refuse".to_owned());
    P::write(group, &points.ok_or_else(refused)?)
}

fn flag_of(code: i32) -> Parsed<Flag> {
    u8::try_from(code).ok().and_then(Flag::from_code).ok_or_else(|| unknown("flag"))
}

fn unknown(what: &str) -> ParquetError {
    ParquetError::General(format!("unknown {what}"))
}
