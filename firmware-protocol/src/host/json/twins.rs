//! Frames and their parts as JSON objects.

use super::values::{Hex, Single, Time, Wrapped};
use crate::host::{FrameContent, ReplyFrame, StateFrame, TelemetryFrame};
use crate::{Class, Passage, Position, TagRead};
use core::marker::PhantomData;
use serde::ser::{SerializeMap, SerializeSeq};
use serde::{Deserialize, Serialize, Serializer};
use std::string::String;

/// A tag read in JSON.
#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct TagTwin {
    epc: Hex,
    #[serde(skip_serializing_if = "Option::is_none")]
    rssi: Option<Single>,
    #[serde(default, skip_serializing_if = "is_zero")]
    antenna: u16,
    #[serde(default = "one", skip_serializing_if = "is_one")]
    count: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    first: Option<Time>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last: Option<Time>,
}

/// A passage in JSON.
#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct PassageTwin {
    time: Time,
    #[serde(default, skip_serializing_if = "is_zero")]
    lane: u8,
    #[serde(skip_serializing_if = "Option::is_none")]
    speed: Option<Single>,
    #[serde(default, skip_serializing_if = "is_unknown")]
    class: Wrapped<Class>,
}

/// A state frame in JSON.
#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct StateTwin {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub firmware: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub uptime_s: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub battery_v: Option<Single>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
}

/// A reply frame in JSON.
#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct ReplyTwin {
    pub id: u64,
    pub ok: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
}

fn one() -> u32 {
    1
}

fn is_one(count: &u32) -> bool {
    *count == 1
}

fn is_zero<T: Default + PartialEq>(number: &T) -> bool {
    *number == T::default()
}

fn is_unknown(class: &Wrapped<Class>) -> bool {
    class.0 == Class::Unknown
}

impl From<TagTwin> for TagRead {
    fn from(twin: TagTwin) -> TagRead {
        TagRead {
            epc: twin.epc.0,
            rssi: twin.rssi.map(|single| single.0),
            antenna: twin.antenna,
            count: twin.count,
            first: twin.first.map(|time| time.0),
            last: twin.last.map(|time| time.0),
        }
    }
}

impl From<&TagRead> for TagTwin {
    fn from(tag: &TagRead) -> TagTwin {
        TagTwin {
            epc: Hex(tag.epc),
            rssi: tag.rssi.map(Single),
            antenna: tag.antenna,
            count: tag.count,
            first: tag.first.map(Time),
            last: tag.last.map(Time),
        }
    }
}

impl From<PassageTwin> for Passage {
    fn from(twin: PassageTwin) -> Passage {
        let speed = twin.speed.map(|single| single.0);
        Passage { time: twin.time.0, lane: twin.lane, speed, class: twin.class.0 }
    }
}

impl From<&Passage> for PassageTwin {
    fn from(passage: &Passage) -> PassageTwin {
        let speed = passage.speed.map(Single);
        PassageTwin { time: Time(passage.time), lane: passage.lane, speed, class: Wrapped(passage.class) }
    }
}

impl From<StateFrame> for StateTwin {
    fn from(frame: StateFrame) -> StateTwin {
        let battery_v = frame.battery_v.map(Single);
        StateTwin { firmware: frame.firmware, uptime_s: frame.uptime_s, battery_v, text: frame.text }
    }
}

impl From<ReplyFrame> for ReplyTwin {
    fn from(frame: ReplyFrame) -> ReplyTwin {
        ReplyTwin { id: frame.id, ok: frame.ok, text: frame.text }
    }
}

/// Writes a telemetry frame.
pub struct TelemetryTwin<'a>(pub &'a TelemetryFrame);

impl Serialize for TelemetryTwin<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let TelemetryFrame { epoch, sequence, time, position, content } = self.0;
        let mut map = to.serialize_map(None)?;
        if *epoch != 0 {
            map.serialize_entry("epoch", epoch)?;
        }
        if let Some(sequence) = sequence {
            map.serialize_entry("sequence", sequence)?;
        }
        if let Some(time) = time {
            map.serialize_entry("time", time)?;
        }
        if let Some(Position { lon, lat }) = position {
            map.serialize_entry("position", &[lon, lat])?;
        }
        match content {
            FrameContent::Readings(readings) => {
                for reading in readings {
                    map.serialize_entry(reading.quantity.name(), &reading.value)?;
                }
            }
            FrameContent::TagReads(tags) => {
                map.serialize_entry("tags", &Twins::<_, TagTwin>(tags, PhantomData))?
            }
            FrameContent::Passages(passages) => {
                map.serialize_entry("passages", &Twins::<_, PassageTwin>(passages, PhantomData))?;
            }
        }
        map.end()
    }
}

/// A list, each item written as its twin.
struct Twins<'a, T, U>(&'a [T], PhantomData<U>);

impl<'a, T, U: Serialize + From<&'a T>> Serialize for Twins<'a, T, U> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let mut list = to.serialize_seq(Some(self.0.len()))?;
        for item in self.0 {
            list.serialize_element(&U::from(item))?;
        }
        list.end()
    }
}
