//! The JSON twin: flat, the way a hobbyist writes it. Every member that is no reserved word is a reading.

mod values;

mod twins;

pub use twins::{ReplyTwin, StateTwin, TelemetryTwin};

use super::cbor::is_repeated;
use super::{DecodeError, FrameContent, FrameQuantity, FrameReading, ReplyFrame, StateFrame, TelemetryFrame};
use crate::quantity::is_name;
use crate::{MAX_PASSAGES, MAX_READINGS, MAX_TAG_READS, MAX_TEXT, Passage, Position, Quantity, TagRead};
use core::fmt;
use serde::de::{DeserializeSeed, Error, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use std::format;
use std::string::{String, ToString};
use std::vec::Vec;
use twins::{PassageTwin, TagTwin};
use values::{CountSeed, List, NumberSeed, Time, Wrapped};

pub fn telemetry(bytes: &[u8]) -> Result<TelemetryFrame, DecodeError> {
    read::<Wrapped<TelemetryFrame>>(bytes).map(|frame| frame.0)
}

pub fn state(bytes: &[u8]) -> Result<StateFrame, DecodeError> {
    let twin: StateTwin = read(bytes)?;
    for (place, words) in [("firmware", &twin.firmware), ("text", &twin.text)] {
        is_short(place, words)?;
    }
    Ok(StateFrame {
        firmware: twin.firmware,
        uptime_s: twin.uptime_s,
        battery_v: twin.battery_v.map(|single| single.0),
        text: twin.text,
    })
}

pub fn reply(bytes: &[u8]) -> Result<ReplyFrame, DecodeError> {
    let twin: ReplyTwin = read(bytes)?;
    is_short("text", &twin.text)?;
    Ok(ReplyFrame { id: twin.id, ok: twin.ok, text: twin.text })
}

pub fn write(twin: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(twin).expect("writing to memory can't fail, and every key is a string")
}

fn read<'de, T: Deserialize<'de>>(bytes: &'de [u8]) -> Result<T, DecodeError> {
    if bytes.trim_ascii().is_empty() {
        return Err(DecodeError::Empty);
    }
    serde_json::from_slice(bytes).map_err(|error| match error.classify() {
        serde_json::error::Category::Data => DecodeError::Invalid(error.to_string()),
        _ => DecodeError::Malformed(format!("not JSON: {error}")),
    })
}

fn is_short(place: &str, words: &Option<String>) -> Result<(), DecodeError> {
    match words {
        Some(words) if words.len() > MAX_TEXT => {
            Err(DecodeError::Invalid(format!("{place}: has more than {MAX_TEXT} bytes")))
        }
        _ => Ok(()),
    }
}

impl<'de> Deserialize<'de> for Wrapped<TelemetryFrame> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_map(TelemetryVisitor).map(Wrapped)
    }
}

struct TelemetryVisitor;

impl<'de> Visitor<'de> for TelemetryVisitor {
    type Value = TelemetryFrame;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a telemetry object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<TelemetryFrame, A::Error> {
        let mut members = Members::default();
        while let Some(member) = map.next_key_seed(MemberSeed)? {
            members.read(member, &mut map)?;
        }
        members.into_frame()
    }
}

#[derive(Default)]
struct Members {
    frame: TelemetryFrame,
    readings: Vec<FrameReading>,
    tags: Option<Vec<TagRead>>,
    passages: Option<Vec<Passage>>,
    known: u128,
    reserved: u8,
}

impl Members {
    fn read<'de, A: MapAccess<'de>>(&mut self, member: Member, map: &mut A) -> Result<(), A::Error> {
        let reserved = match member {
            Member::Reading(quantity) => return self.read_reading(quantity, map),
            Member::Reserved(word) => word,
        };
        let bit = 1 << reserved as u8;
        if self.reserved & bit != 0 {
            return Err(A::Error::custom(format_args!("{} occurs twice", reserved.name())));
        }
        self.reserved |= bit;
        match reserved {
            Reserved::Epoch => {
                let epoch = map.next_value_seed(CountSeed("epoch"))?.unwrap_or(0);
                self.frame.epoch =
                    u32::try_from(epoch).map_err(|_| A::Error::custom("epoch is beyond 32 bits"))?;
            }
            Reserved::Sequence => self.frame.sequence = map.next_value_seed(CountSeed("sequence"))?,
            Reserved::Time => self.frame.time = map.next_value::<Option<Time>>()?.map(|time| time.0),
            Reserved::Position => {
                self.frame.position =
                    map.next_value::<Option<Wrapped<Position>>>()?.map(|position| position.0);
            }
            Reserved::Tags => {
                let tags = map.next_value::<Option<List<TagTwin, MAX_TAG_READS>>>()?;
                self.tags = tags.map(|list| list.0.into_iter().map(TagRead::from).collect());
            }
            Reserved::Passages => {
                let passages = map.next_value::<Option<List<PassageTwin, MAX_PASSAGES>>>()?;
                self.passages = passages.map(|list| list.0.into_iter().map(Passage::from).collect());
            }
        }
        Ok(())
    }

    fn read_reading<'de, A: MapAccess<'de>>(
        &mut self,
        quantity: FrameQuantity,
        map: &mut A,
    ) -> Result<(), A::Error> {
        if is_repeated(&quantity, &mut self.known, &self.readings) {
            return Err(A::Error::custom(format_args!("{} occurs twice", quantity.name())));
        }
        if let Some(value) = map.next_value_seed(NumberSeed(quantity.name()))? {
            if self.readings.len() == MAX_READINGS {
                return Err(A::Error::custom(format_args!("more than {MAX_READINGS} readings")));
            }
            self.readings.push(FrameReading { quantity, value });
        }
        Ok(())
    }

    /// Two kinds in one frame would be two observations under one sequence number.
    fn into_frame<E: Error>(mut self) -> Result<TelemetryFrame, E> {
        self.frame.content = match (self.readings, self.tags, self.passages) {
            (readings, None, None) => FrameContent::Readings(readings),
            (readings, Some(tags), None) if readings.is_empty() => FrameContent::TagReads(tags),
            (readings, None, Some(passages)) if readings.is_empty() => FrameContent::Passages(passages),
            _ => return Err(E::custom("more than one of readings, tags and passages in one message")),
        };
        Ok(self.frame)
    }
}

enum Member {
    Reserved(Reserved),
    Reading(FrameQuantity),
}

#[derive(Clone, Copy)]
enum Reserved {
    Epoch,
    Sequence,
    Time,
    Position,
    Tags,
    Passages,
}

impl Reserved {
    const ALL: [Reserved; 6] = [
        Reserved::Epoch,
        Reserved::Sequence,
        Reserved::Time,
        Reserved::Position,
        Reserved::Tags,
        Reserved::Passages,
    ];

    const fn name(self) -> &'static str {
        match self {
            Reserved::Epoch => "epoch",
            Reserved::Sequence => "sequence",
            Reserved::Time => "time",
            Reserved::Position => "position",
            Reserved::Tags => "tags",
            Reserved::Passages => "passages",
        }
    }
}

struct MemberSeed;

impl<'de> DeserializeSeed<'de> for MemberSeed {
    type Value = Member;
    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<Member, D::Error> {
        from.deserialize_str(self)
    }
}

impl Visitor<'_> for MemberSeed {
    type Value = Member;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the name of a quantity or a reserved word")
    }

    fn visit_str<E: Error>(self, name: &str) -> Result<Member, E> {
        if let Some(quantity) = Quantity::from_name(name) {
            return Ok(Member::Reading(FrameQuantity::Code(quantity.code)));
        }
        if let Some(word) = Reserved::ALL.into_iter().find(|word| word.name() == name) {
            return Ok(Member::Reserved(word));
        }
        if is_name(name) {
            return Ok(Member::Reading(FrameQuantity::Name(name.into())));
        }
        Err(E::custom("a member's name is empty, too long or has control characters"))
    }
}
