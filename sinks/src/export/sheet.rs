//! One file in the making: the rows of many series, as text or as columns.

use super::{ExportError, ExportFormat};
use crate::csv::{cell, time};
use parquet::basic::{Compression, ZstdLevel};
use parquet::errors::Result as Parsed;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::parser::parse_message_type;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::sync::Arc;
use store::{AggregateRow, RawRow, StoreError, Tabular};

/// So many rows are held at once as columns, beside those of one series.
const GROUP_ROWS: usize = 50_000;

/// A row of either kind.
pub trait Line: Tabular {
    /// What stands above the rows: the names of the columns.
    const HEAD: &'static str;
    fn write(&self, out: &mut impl Write) -> std::io::Result<()>;
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

    fn write(&self, out: &mut impl Write) -> std::io::Result<()> {
        let device_time = self.device_time.map(time).unwrap_or_default();
        let (event, ingest) = (time(self.event_time), time(self.ingest_time));
        let (subject, quantity, flag) = (cell(&self.subject), cell(&self.quantity), self.quality.flag as u8);
        let (value, tests) = (self.value, self.quality.tests);
        write!(out, "{subject},{quantity},{event},{device_time},{ingest},{value},{flag},{tests}\r\n")
    }
}

impl Line for AggregateRow {
    const HEAD: &'static str =
        "subject,quantity,window_start,window_end,revision,count,good,sum,mean,min,max,as_of,is_backfill\r\n";

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
}
