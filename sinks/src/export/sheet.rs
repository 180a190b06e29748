//! One file in the making: the rows of many series, as text or as columns.

use super::{ExportError, ExportFormat};
use crate::csv::{cell, time};
use parquet::basic::{Compression, ZstdLevel};
use parquet::data_type::{BoolType, ByteArray, ByteArrayType, DoubleType, Int32Type, Int64Type};
use parquet::errors::Result as Parsed;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::{SerializedFileWriter, SerializedRowGroupWriter};
use parquet::schema::parser::parse_message_type;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::sync::Arc;
use store::{AggregateRow, RawRow, StoreError, put_column, put_optional_column};

/// So many rows are held at once as columns, beside those of one series.
const GROUP_ROWS: usize = 50_000;

/// A row of either kind.
pub trait Line: Sized {
    /// What stands above the rows.
    const HEAD: &'static str;
    /// In Parquet's words; the same names.
    const SCHEMA: &'static str;
    fn write(&self, out: &mut impl Write) -> std::io::Result<()>;
    fn put(rows: &[Self], group: &mut SerializedRowGroupWriter<'_, &File>) -> Parsed<()>;
}

/// Writes the rows of all `series` into `file`. Returns how many.
pub fn write<R: Line>(
    file: &File,
    format: ExportFormat,
    series: impl Iterator<Item = Result<Vec<R>, StoreError>>,
) -> Result<u64, ExportError> {
    match format {
        ExportFormat::Csv => write_csv(file, series),
        ExportFormat::Parquet => write_columns(file, series),
    }
}

fn write_csv<R: Line>(
    file: &File,
    series: impl Iterator<Item = Result<Vec<R>, StoreError>>,
) -> Result<u64, ExportError> {
    let (mut out, mut count) = (BufWriter::new(file), 0);
    out.write_all(R::HEAD.as_bytes())?;
    for rows in series {
        for row in rows? {
            row.write(&mut out)?;
            count += 1;
        }
    }
    out.flush()?;
    Ok(count)
}

fn write_columns<R: Line>(
    file: &File,
    series: impl Iterator<Item = Result<Vec<R>, StoreError>>,
) -> Result<u64, ExportError> {
    let schema = Arc::new(parse_message_type(R::SCHEMA)?);
    let properties = WriterProperties::builder().set_compression(Compression::ZSTD(ZstdLevel::default()));
    let mut writer = SerializedFileWriter::new(file, schema, Arc::new(properties.build()))?;
    let (mut held, mut count) = (Vec::new(), 0);
    let mut group = |held: &mut Vec<R>| -> Parsed<()> {
        let mut group = writer.next_row_group()?;
        R::put(held, &mut group)?;
        held.clear();
        group.close().map(drop)
    };
    for rows in series {
        for row in rows? {
            held.push(row);
            count += 1;
            if held.len() == GROUP_ROWS {
                group(&mut held)?;
            }
        }
    }
    if !held.is_empty() {
        group(&mut held)?;
    }
    writer.close()?;
    Ok(count)
}

impl Line for RawRow {
    const HEAD: &'static str = "subject,quantity,event_time,device_time,ingest_time,value,flag,tests\r\n";
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

    fn write(&self, out: &mut impl Write) -> std::io::Result<()> {
        let device_time = self.device_time.map(time).unwrap_or_default();
        let (event, ingest) = (time(self.event_time), time(self.ingest_time));
        let (subject, quantity, flag) = (cell(&self.subject), cell(&self.quantity), self.quality.flag as u8);
        let (value, tests) = (self.value, self.quality.tests);
        write!(out, "{subject},{quantity},{event},{device_time},{ingest},{value},{flag},{tests}\r\n")
    }

    fn put(rows: &[RawRow], group: &mut SerializedRowGroupWriter<'_, &File>) -> Parsed<()> {
        put_column::<ByteArrayType, _>(group, rows, |row| ByteArray::from(row.subject.as_str()))?;
        put_column::<ByteArrayType, _>(group, rows, |row| ByteArray::from(row.quantity.as_str()))?;
        put_column::<Int64Type, _>(group, rows, |row| row.event_time.millis())?;
        put_optional_column::<Int64Type, _>(group, rows, |row| row.device_time.map(|at| at.millis()))?;
        put_column::<Int64Type, _>(group, rows, |row| row.ingest_time.millis())?;
        put_column::<DoubleType, _>(group, rows, |row| row.value)?;
        put_column::<Int32Type, _>(group, rows, |row| row.quality.flag as i32)?;
        put_column::<Int32Type, _>(group, rows, |row| i32::from(row.quality.tests))
    }
}

impl Line for AggregateRow {
    const HEAD: &'static str =
        "subject,quantity,window_start,window_end,revision,count,good,sum,mean,min,max,as_of,is_backfill\r\n";
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

    /// Statistics stay empty when there was nothing usable in the window.
    fn write(&self, out: &mut impl Write) -> std::io::Result<()> {
        let [start, end, as_of] = [self.window.start, self.window.end, self.as_of].map(time);
        write!(out, "{},{},{start},{end},", cell(&self.subject), cell(&self.quantity))?;
        write!(out, "{},{},{},", self.revision, self.count, self.good)?;
        for value in [self.sum, self.mean, self.min, self.max] {
            if self.good > 0 {
                write!(out, "{value}")?;
            }
            out.write_all(b",")?;
        }
        write!(out, "{as_of},{}\r\n", self.is_backfill)
    }

    fn put(rows: &[AggregateRow], group: &mut SerializedRowGroupWriter<'_, &File>) -> Parsed<()> {
        let statistic =
            |of: fn(&AggregateRow) -> f64| move |row: &AggregateRow| (row.good > 0).then(|| of(row));
        put_column::<ByteArrayType, _>(group, rows, |row| ByteArray::from(row.subject.as_str()))?;
        put_column::<ByteArrayType, _>(group, rows, |row| ByteArray::from(row.quantity.as_str()))?;
        put_column::<Int64Type, _>(group, rows, |row| row.window.start.millis())?;
        put_column::<Int64Type, _>(group, rows, |row| row.window.end.millis())?;
        put_column::<Int32Type, _>(group, rows, |row| row.revision.cast_signed())?;
        put_column::<Int32Type, _>(group, rows, |row| row.count.cast_signed())?;
        put_column::<Int32Type, _>(group, rows, |row| row.good.cast_signed())?;
        put_optional_column::<DoubleType, _>(group, rows, statistic(|row| row.sum))?;
        put_optional_column::<DoubleType, _>(group, rows, statistic(|row| row.mean))?;
        put_optional_column::<DoubleType, _>(group, rows, statistic(|row| row.min))?;
        put_optional_column::<DoubleType, _>(group, rows, statistic(|row| row.max))?;
        put_column::<Int64Type, _>(group, rows, |row| row.as_of.millis())?;
        put_column::<BoolType, _>(group, rows, |row| row.is_backfill)
    }
}
