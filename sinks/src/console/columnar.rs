//! Curves as a Parquet file, sent row group by row group.

use super::body::Feeder;
use super::table::{Head, Row};
use parquet::basic::{Compression, ZstdLevel};
use parquet::data_type::{ByteArray, ByteArrayType, DoubleType, Int32Type, Int64Type};
use parquet::errors::Result as Parsed;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::parser::parse_message_type;
use std::io::{Error, ErrorKind, Write};
use std::sync::Arc;
use store::{put_column, put_optional_column};

/// So many rows are held before they are sent.
const GROUP_ROWS: usize = 50_000;

/// A file in the making.
pub struct Columnar<'a> {
    writer: SerializedFileWriter<Out<'a>>,
    names: Vec<(ByteArray, ByteArray)>,
    rows: Vec<Row>,
    head: Head,
}

/// What the file is written to.
struct Out<'a>(&'a mut Feeder);

impl Write for Out<'_> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        if self.0.feed_bytes(bytes) { Ok(bytes.len()) } else { Err(Error::from(ErrorKind::BrokenPipe)) }
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl<'a> Columnar<'a> {
    /// An empty file.
    ///
    /// # Errors
    /// Nobody listens any more, as with the next two.
    pub fn new(head: Head, out: &'a mut Feeder) -> Parsed<Columnar<'a>> {
        let schema = Arc::new(parse_message_type(&schema(&head))?);
        let properties = WriterProperties::builder().set_compression(Compression::ZSTD(ZstdLevel::default()));
        let writer = SerializedFileWriter::new(Out(out), schema, Arc::new(properties.build()))?;
        Ok(Columnar { writer, names: Vec::new(), rows: Vec::new(), head })
    }

    /// Adds a curve.
    pub fn curve(&mut self, name: &str, quantity: &str, rows: Vec<Row>) -> Parsed<()> {
        let names = (ByteArray::from(name), ByteArray::from(quantity));
        for row in rows {
            self.names.push(names.clone());
            self.rows.push(row);
            if self.rows.len() == GROUP_ROWS {
                self.group()?;
            }
        }
        Ok(())
    }

    /// Ends the file.
    pub fn end(mut self) -> Parsed<()> {
        if !self.rows.is_empty() {
            self.group()?;
        }
        self.writer.close().map(drop)
    }

    fn group(&mut self) -> Parsed<()> {
        let rows = &std::mem::take(&mut self.rows);
        let names = &std::mem::take(&mut self.names);
        let mut group = self.writer.next_row_group()?;
        let out = &mut group;
        put_column::<ByteArrayType, _>(out, names, |(series, _)| series.clone())?;
        put_column::<ByteArrayType, _>(out, names, |(_, quantity)| quantity.clone())?;
        put_column::<Int64Type, _>(out, rows, |row| row.start)?;
        let there = |value: f64| Some(value).filter(|value| value.is_finite());
        put_optional_column::<DoubleType, _>(out, rows, |row| there(row.mean))?;
        put_optional_column::<DoubleType, _>(out, rows, |row| there(row.min))?;
        put_optional_column::<DoubleType, _>(out, rows, |row| there(row.max))?;
        put_column::<Int64Type, _>(out, rows, |row| row.count.cast_signed())?;
        put_column::<DoubleType, _>(out, rows, Row::good_share)?;
        if self.head.has_revision {
            put_column::<Int32Type, _>(out, rows, |row| row.revision.unwrap_or(0).cast_signed())?;
        }
        for index in 0..self.head.more.len() {
            put_optional_column::<DoubleType, _>(out, rows, |row| there(row.more[index]))?;
        }
        group.close().map(drop)
    }
}

fn schema(head: &Head) -> String {
    let revision = if head.has_revision { "REQUIRED INT32 revision (INTEGER(32,false));" } else { "" };
    // A dot in a name would be taken for a path by readers.
    let names = head.more.iter().map(|name| name.replace('.', "_"));
    let more: String = names.map(|name| format!("OPTIONAL DOUBLE {name};")).collect();
    format!(
        "message curves {{
            REQUIRED BYTE_ARRAY series (STRING);
            REQUIRED BYTE_ARRAY quantity (STRING);
            REQUIRED INT64 time (TIMESTAMP(MILLIS,true));
            OPTIONAL DOUBLE mean;
            OPTIONAL DOUBLE min;
            OPTIONAL DOUBLE max;
            REQUIRED INT64 count;
            REQUIRED DOUBLE good;
            {revision}
            {more}
        }}"
    )
}
