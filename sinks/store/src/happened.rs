//! Tag sightings, tag reads and vehicle passages: what happens once, at one reader or detector, and has no curve.

use crate::columns::{Buffered, Layout, put_column, put_optional_column};
use crate::day::Kind;
use crate::memory::{Memory, Table};
use crate::point::{Point, is_representable};
use crate::reading::{Column, Group, ReadError, Stored};
use parquet::data_type::{ByteArray, ByteArrayType, FloatType, Int32Type, Int64Type};
use parquet::errors::{ParquetError, Result as Parsed};
use parquet::file::writer::SerializedRowGroupWriter;
use records::{Name, Timestamp};
use std::cmp::Ordering;
use std::io::Write;

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Happening {
    /// Reads of one tag at one reader, merged: the tag was there from `at` to `until`.
    Sighting,
    /// A tag in one message of a reader.
    TagRead,
    /// A vehicle at a detector.
    Passage,
}

impl Happening {
    /// All of them.
    pub const ALL: [Happening; 3] = [Happening::Sighting, Happening::TagRead, Happening::Passage];

    /// As it stands in files and questions.
    pub const fn name(self) -> &'static str {
        match self {
            Happening::Sighting => "sighting",
            Happening::TagRead => "tag_read",
            Happening::Passage => "passage",
        }
    }

    /// The one of that name.
    pub fn from_name(name: &str) -> Option<Happening> {
        Happening::ALL.into_iter().find(|happening| happening.name() == name)
    }
}

/// Something that happened. Of two with the same kind, device, tag, `at` and `place` the later written counts.
#[derive(Clone, Debug, PartialEq)]
pub struct HappeningRow {
    /// What.
    pub kind: Happening,
    /// The reader or detector.
    pub device: Name,
    /// When it began, event time; stored and found by it.
    pub at: Timestamp,
    /// When it ended.
    pub until: Timestamp,
    /// The gateway's clock at arrival; of a sighting, ingest time of what ended it.
    pub ingest_time: Timestamp,
    /// EPC in upper-case hex.
    pub tag: Option<Name>,
    /// The reader's area, of a sighting.
    pub area: Option<Name>,
    /// Reads of a tag; 1 for a vehicle.
    pub count: u32,
    /// Antenna of a tag read, lane of a vehicle, from 1; 0 unknown.
    pub place: u16,
    /// Peak signal strength of a tag read, dBm.
    pub rssi: Option<f32>,
    /// Speed of a vehicle, km/h.
    pub speed: Option<f32>,
    /// Class of a vehicle, as it stands on the log; 0 unknown.
    pub class: u8,
}

/// The same without kind and device, which are its series.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct HappeningPoint {
    pub at: i64,
    until: i64,
    ingest_time: i64,
    pub tag: Option<Name>,
    pub area: Option<Name>,
    count: u32,
    place: u16,
    rssi: Option<f32>,
    speed: Option<f32>,
    class: u8,
}

impl HappeningPoint {
    /// `None` when it can't be stored.
    pub fn new(row: &HappeningRow) -> Option<HappeningPoint> {
        let is_storable = [row.at, row.until, row.ingest_time].into_iter().all(is_representable);
        is_storable.then(|| HappeningPoint {
            at: row.at.millis(),
            until: row.until.millis(),
            ingest_time: row.ingest_time.millis(),
            tag: row.tag.clone(),
            area: row.area.clone(),
            count: row.count,
            place: row.place,
            rssi: row.rssi,
            speed: row.speed,
            class: row.class,
        })
    }

    /// The row again.
    pub fn into_row(self, kind: Happening, device: Name) -> HappeningRow {
        let HappeningPoint { at, until, ingest_time, tag, area, count, place, rssi, speed, class } = self;
        let [at, until, ingest_time] = [at, until, ingest_time].map(Timestamp);
        HappeningRow { kind, device, at, until, ingest_time, tag, area, count, place, rssi, speed, class }
    }
}

/// Bytes that a name holds elsewhere: short ones stand in their place, the others behind two counters.
fn outside(name: &Name) -> usize {
    if name.is_heap_allocated() { name.len() + 2 * size_of::<usize>() } else { 0 }
}

impl Point for HappeningPoint {
    fn outside(&self) -> usize {
        [&self.tag, &self.area].into_iter().flatten().map(outside).sum()
    }

    fn time(&self) -> i64 {
        self.at
    }

    fn length(&self) -> u64 {
        0
    }

    fn order(&self, other: &HappeningPoint) -> Ordering {
        (self.at, &self.tag, self.place).cmp(&(other.at, &other.tag, other.place))
    }

    fn replaces(&self, other: &HappeningPoint) -> bool {
        self.order(other).is_eq() && self.tag.is_some()
    }
}

impl Layout for HappeningPoint {
    const SCHEMA: &'static str = "message happening {
        REQUIRED BYTE_ARRAY device (STRING);
        REQUIRED BYTE_ARRAY kind (STRING);
        REQUIRED INT64 at (TIMESTAMP(MILLIS,true));
        REQUIRED INT64 until (TIMESTAMP(MILLIS,true));
        REQUIRED INT64 ingest_time (TIMESTAMP(MILLIS,true));
        OPTIONAL BYTE_ARRAY tag (STRING);
        OPTIONAL BYTE_ARRAY area (STRING);
        REQUIRED INT32 count (INTEGER(32,false));
        REQUIRED INT32 place (INTEGER(16,false));
        OPTIONAL FLOAT rssi;
        OPTIONAL FLOAT speed;
        REQUIRED INT32 class (INTEGER(8,false));
    }";
    const STEADY: &'static [&'static str] = &["at", "until", "ingest_time"];

    fn write<W: Write + Send>(
        group: &mut SerializedRowGroupWriter<'_, W>,
        points: &[HappeningPoint],
    ) -> Parsed<()> {
        let text = |name: &Option<Name>| name.as_ref().map(|name| ByteArray::from(name.as_str()));
        put_column::<Int64Type, _>(group, points, |point| point.at)?;
        put_column::<Int64Type, _>(group, points, |point| point.until)?;
        put_column::<Int64Type, _>(group, points, |point| point.ingest_time)?;
        put_optional_column::<ByteArrayType, _>(group, points, |point| text(&point.tag))?;
        put_optional_column::<ByteArrayType, _>(group, points, |point| text(&point.area))?;
        put_column::<Int32Type, _>(group, points, |point| point.count.cast_signed())?;
        put_column::<Int32Type, _>(group, points, |point| point.place.into())?;
        put_optional_column::<FloatType, _>(group, points, |point| point.rssi)?;
        put_optional_column::<FloatType, _>(group, points, |point| point.speed)?;
        put_column::<Int32Type, _>(group, points, |point| point.class.into())
    }
}

impl Buffered for HappeningPoint {
    const KIND: Kind = Kind::Happenings;

    fn table(memory: &Memory) -> &Table<HappeningPoint> {
        &memory.happenings
    }
}

pub(crate) struct HappeningColumns {
    times: [Column<Int64Type>; 3],
    names: [Column<ByteArrayType>; 2],
    numbers: [Column<Int32Type>; 3],
    measured: [Column<FloatType>; 2],
}

impl Stored for HappeningPoint {
    type Columns = HappeningColumns;

    fn open(group: &Group<'_>) -> Result<HappeningColumns, ReadError> {
        Ok(HappeningColumns {
            times: [group.column(2)?, group.column(3)?, group.column(4)?],
            names: [group.column(5)?, group.column(6)?],
            numbers: [group.column(7)?, group.column(8)?, group.column(11)?],
            measured: [group.column(9)?, group.column(10)?],
        })
    }

    fn skip(columns: &mut HappeningColumns, rows: usize) -> Parsed<()> {
        columns.times.iter_mut().try_for_each(|column| column.skip(rows))?;
        columns.names.iter_mut().try_for_each(|column| column.skip(rows))?;
        columns.numbers.iter_mut().try_for_each(|column| column.skip(rows))?;
        columns.measured.iter_mut().try_for_each(|column| column.skip(rows))
    }

    fn read(columns: &mut HappeningColumns, rows: usize, out: &mut Vec<HappeningPoint>) -> Parsed<()> {
        let [at, until, ingest_time] = &mut columns.times;
        let (at, until, ingest_time) = (at.read(rows)?, until.read(rows)?, ingest_time.read(rows)?);
        let [tag, area] = &mut columns.names;
        let (mut tag, mut area) = (tag.read_optional(rows)?, area.read_optional(rows)?);
        let [count, place, class] = &mut columns.numbers;
        let (count, place, class) = (count.read(rows)?, place.read(rows)?, class.read(rows)?);
        let [rssi, speed] = &mut columns.measured;
        let (mut rssi, mut speed) = (rssi.read_optional(rows)?, speed.read_optional(rows)?);
        for row in 0..rows {
            out.push(HappeningPoint {
                at: at[row],
                until: until[row],
                ingest_time: ingest_time[row],
                tag: name(tag.next().flatten())?,
                area: name(area.next().flatten())?,
                count: count[row].cast_unsigned(),
                place: small(place[row])?,
                rssi: rssi.next().flatten(),
                speed: speed.next().flatten(),
                class: small(class[row])?,
            });
        }
        Ok(())
    }
}

fn name(bytes: Option<ByteArray>) -> Parsed<Option<Name>> {
    let Some(bytes) = bytes else { return Ok(None) };
    let text = std::str::from_utf8(bytes.data()).map_err(|error| ParquetError::General(error.to_string()))?;
    Ok(Some(Name::from(text)))
}

fn small<T: TryFrom<i32>>(number: i32) -> Parsed<T> {
    T::try_from(number).map_err(|_| ParquetError::General(format!("{number} is out of range")))
}
