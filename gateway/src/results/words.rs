//! Results as JSON: times are milliseconds since 1970, what is unknown is left out or null.

use records::{
    Aggregate, Body, Name, Observation, Passage, Position, Quantity, Reading, Record, Status, TagRead,
    VehicleClass,
};
use serde::Serialize;

/// An aggregate or an observation; `None` for anything else.
pub(super) fn of(record: &Record) -> Option<Vec<u8>> {
    let json = match record {
        Record::Aggregate(aggregate) => serde_json::to_vec(&AggregateWords::of(aggregate)),
        Record::Observation(observation) => serde_json::to_vec(&ObservationWords::of(observation)),
        _ => return None,
    };
    Some(json.expect("nothing in it can't be JSON"))
}

#[derive(Serialize)]
struct AggregateWords<'a> {
    subject: &'a records::Subject,
    area: &'a str,
    #[serde(flatten)]
    quantity: QuantityWords<'a>,
    start: i64,
    end: i64,
    revision: u32,
    count: u32,
    good: u32,
    sum: f64,
    mean: Option<f64>,
    min: Option<f64>,
    max: Option<f64>,
    as_of: i64,
    is_backfill: bool,
}

impl<'a> AggregateWords<'a> {
    fn of(it: &'a Aggregate) -> AggregateWords<'a> {
        // Of nothing there is no mean.
        let some = |value| (it.good > 0).then_some(value);
        AggregateWords {
            subject: &it.subject,
            area: &it.area,
            quantity: QuantityWords::of(&it.quantity),
            start: it.window.start.millis(),
            end: it.window.end.millis(),
            revision: it.revision,
            count: it.count,
            good: it.good,
            sum: it.sum,
            mean: some(it.mean),
            min: some(it.min),
            max: some(it.max),
            as_of: it.as_of.millis(),
            is_backfill: it.is_backfill,
        }
    }
}

#[derive(Serialize)]
struct QuantityWords<'a> {
    quantity: &'a str,
    /// Of the quantity registry; of other quantities nobody knows it.
    #[serde(skip_serializing_if = "Option::is_none")]
    unit: Option<&'a str>,
}

impl<'a> QuantityWords<'a> {
    fn of(quantity: &'a Quantity) -> QuantityWords<'a> {
        QuantityWords { quantity: quantity.name(), unit: quantity.info().map(|info| info.unit) }
    }
}

#[derive(Serialize)]
struct ObservationWords<'a> {
    device: &'a str,
    epoch: u32,
    sequence: Option<u64>,
    event_time: i64,
    device_time: Option<i64>,
    ingest_time: i64,
    position: Option<Position>,
    is_late: bool,
    #[serde(flatten)]
    body: BodyWords<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "snake_case")]
enum BodyWords<'a> {
    Readings(Vec<ReadingWords<'a>>),
    TagReads(Vec<TagReadWords<'a>>),
    Passages(Vec<PassageWords>),
    Status(StatusWords<'a>),
}

impl<'a> ObservationWords<'a> {
    fn of(it: &'a Observation) -> ObservationWords<'a> {
        ObservationWords {
            device: &it.device,
            epoch: it.epoch,
            sequence: it.sequence,
            event_time: it.event_time.millis(),
            device_time: it.device_time.map(|at| at.millis()),
            ingest_time: it.ingest_time.millis(),
            position: it.position,
            is_late: it.is_late,
            body: match &it.body {
                Body::Readings(readings) => BodyWords::Readings(readings.iter().map(reading).collect()),
                Body::TagReads(reads) => BodyWords::TagReads(reads.iter().map(tag_read).collect()),
                Body::Passages(passages) => BodyWords::Passages(passages.iter().map(passage).collect()),
                Body::Status(said) => BodyWords::Status(status(said)),
            },
        }
    }
}

#[derive(Serialize)]
struct ReadingWords<'a> {
    #[serde(flatten)]
    quantity: QuantityWords<'a>,
    value: f64,
    quality: records::Flag,
    failed: Vec<&'static str>,
}

fn reading(it: &Reading) -> ReadingWords<'_> {
    ReadingWords {
        quantity: QuantityWords::of(&it.quantity),
        value: it.value,
        quality: it.quality.flag,
        failed: it.quality.test_names().collect(),
    }
}

#[derive(Serialize)]
struct TagReadWords<'a> {
    epc: &'a str,
    antenna: u16,
    rssi: Option<f32>,
    count: u32,
    first_seen: Option<i64>,
    last_seen: Option<i64>,
}

fn tag_read(it: &TagRead) -> TagReadWords<'_> {
    TagReadWords {
        epc: &it.epc,
        antenna: it.antenna,
        rssi: it.rssi,
        count: it.count,
        first_seen: it.first_seen.map(|at| at.millis()),
        last_seen: it.last_seen.map(|at| at.millis()),
    }
}

#[derive(Serialize)]
struct PassageWords {
    at: i64,
    lane: u8,
    speed: Option<f32>,
    class: &'static str,
}

fn passage(it: &Passage) -> PassageWords {
    let class = match it.class {
        VehicleClass::Unknown => "unknown",
        VehicleClass::Car => "car",
        VehicleClass::Truck => "truck",
        VehicleClass::Bus => "bus",
        VehicleClass::TwoWheeler => "two_wheeler",
    };
    PassageWords { at: it.at.millis(), lane: it.lane, speed: it.speed, class }
}

#[derive(Serialize)]
struct StatusWords<'a> {
    firmware: Option<&'a str>,
    uptime_s: Option<u64>,
    battery_v: Option<f32>,
    text: Option<&'a str>,
}

fn status(it: &Status) -> StatusWords<'_> {
    StatusWords {
        firmware: it.firmware.as_ref().map(Name::as_str),
        uptime_s: it.uptime_s,
        battery_v: it.battery_v,
        text: it.text.as_ref().map(Name::as_str),
    }
}
