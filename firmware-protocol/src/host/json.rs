//! The JSON twin: flat, the way a hobbyist writes it. Every member that is no reserved word is a reading.

use super::cbor::is_repeated;
use super::{
    DecodeError, FrameContent, FrameQuantity, FrameReading, ReplyFrame, StateFrame, TelemetryFrame,
    parse_rfc3339,
};
use crate::quantity::is_name;
use crate::{
    Class, Epc, MAX_PASSAGES, MAX_READINGS, MAX_TAG_READS, MAX_TEXT, MAX_TIME, MIN_TIME, Passage, Position,
    Quantity, TagRead,
};
use core::fmt;
use core::marker::PhantomData;
use serde::de::{DeserializeSeed, Error, IgnoredAny, MapAccess, SeqAccess, Unexpected, Visitor};
use serde::ser::{SerializeMap, SerializeSeq};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::format;
use std::string::{String, ToString};
use std::vec::Vec;

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

/// A type of ours whose reading and writing is private to this file.
struct Wrapped<T>(T);

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

/// A number or null, with the place for the error.
struct NumberSeed<'a>(&'a str);

impl<'de> DeserializeSeed<'de> for NumberSeed<'_> {
    type Value = Option<f64>;
    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<Option<f64>, D::Error> {
        from.deserialize_any(self)
    }
}

impl Visitor<'_> for NumberSeed<'_> {
    type Value = Option<f64>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a finite number as {:?}", self.0)
    }
    fn visit_f64<E: Error>(self, value: f64) -> Result<Option<f64>, E> {
        if value.is_finite() {
            Ok(Some(value))
        } else {
            Err(E::invalid_value(Unexpected::Float(value), &self))
        }
    }
    fn visit_u64<E: Error>(self, value: u64) -> Result<Option<f64>, E> {
        Ok(Some(value as f64))
    }
    fn visit_i64<E: Error>(self, value: i64) -> Result<Option<f64>, E> {
        Ok(Some(value as f64))
    }
    fn visit_unit<E: Error>(self) -> Result<Option<f64>, E> {
        Ok(None)
    }
}

/// A count or null; 7.0 is 7, because some writers know only floats.
struct CountSeed(&'static str);

impl<'de> DeserializeSeed<'de> for CountSeed {
    type Value = Option<u64>;
    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<Option<u64>, D::Error> {
        from.deserialize_any(self)
    }
}

impl Visitor<'_> for CountSeed {
    type Value = Option<u64>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a whole number from 0 as {:?}", self.0)
    }
    fn visit_u64<E: Error>(self, value: u64) -> Result<Option<u64>, E> {
        Ok(Some(value))
    }
    fn visit_f64<E: Error>(self, value: f64) -> Result<Option<u64>, E> {
        let is_whole = value.fract() == 0.0 && (0.0..=MAX_EXACT).contains(&value);
        if is_whole { Ok(Some(value as u64)) } else { Err(E::invalid_value(Unexpected::Float(value), &self)) }
    }
    fn visit_unit<E: Error>(self) -> Result<Option<u64>, E> {
        Ok(None)
    }
}

/// Up to 2⁵³ a double holds every whole number.
const MAX_EXACT: f64 = 9_007_199_254_740_992.0;

/// Milliseconds since 1970 (a fraction is cut off), or an RFC 3339 date-time.
struct Time(i64);

impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Time, D::Error> {
        from.deserialize_any(TimeVisitor)
    }
}

struct TimeVisitor;

impl Visitor<'_> for TimeVisitor {
    type Value = Time;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a time: milliseconds since 1970 (UTC), or RFC 3339 with an offset, years 0 to 9999")
    }
    fn visit_i64<E: Error>(self, value: i64) -> Result<Time, E> {
        let is_valid = (MIN_TIME..=MAX_TIME).contains(&value);
        if is_valid { Ok(Time(value)) } else { Err(E::invalid_value(Unexpected::Signed(value), &self)) }
    }
    fn visit_u64<E: Error>(self, value: u64) -> Result<Time, E> {
        self.visit_i64(i64::try_from(value).unwrap_or(i64::MAX))
    }
    fn visit_f64<E: Error>(self, value: f64) -> Result<Time, E> {
        self.visit_i64(value.floor() as i64)
    }
    fn visit_str<E: Error>(self, text: &str) -> Result<Time, E> {
        parse_rfc3339(text).map(Time).ok_or_else(|| E::invalid_value(Unexpected::Str(text), &self))
    }
}

impl<'de> Deserialize<'de> for Wrapped<Position> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_seq(PositionVisitor).map(Wrapped)
    }
}

struct PositionVisitor;

impl<'de> Visitor<'de> for PositionVisitor {
    type Value = Position;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a position: [longitude, latitude] in degrees")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Position, A::Error> {
        let lon: Option<f64> = items.next_element()?;
        let lat: Option<f64> = items.next_element()?;
        let more: Option<IgnoredAny> = items.next_element()?;
        match (lon, lat, more) {
            (Some(lon), Some(lat), None) if (Position { lon, lat }).is_valid() => Ok(Position { lon, lat }),
            _ => Err(A::Error::custom(format_args!("expected {}", &self as &dyn serde::de::Expected))),
        }
    }
}

/// A list of at most `MOST`.
struct List<T, const MOST: usize>(Vec<T>);

impl<'de, T: Deserialize<'de>, const MOST: usize> Deserialize<'de> for List<T, MOST> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_seq(ListVisitor(PhantomData))
    }
}

struct ListVisitor<T, const MOST: usize>(PhantomData<T>);

impl<'de, T: Deserialize<'de>, const MOST: usize> Visitor<'de> for ListVisitor<T, MOST> {
    type Value = List<T, MOST>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a list of at most {MOST}")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<List<T, MOST>, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element()? {
            if list.len() == MOST {
                return Err(A::Error::invalid_length(MOST + 1, &self));
            }
            list.push(item);
        }
        Ok(List(list))
    }
}

/// A number that a single-precision float holds.
struct Single(f32);

impl<'de> Deserialize<'de> for Single {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Single, D::Error> {
        let value = f64::deserialize(from)?;
        let single = value as f32;
        if single.is_finite() { Ok(Single(single)) } else { Err(D::Error::custom("a number is too large")) }
    }
}

impl Serialize for Single {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_f32(self.0)
    }
}

/// An EPC as hex digits.
struct Hex(Epc);

impl<'de> Deserialize<'de> for Hex {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Hex, D::Error> {
        from.deserialize_str(HexVisitor)
    }
}

impl Serialize for Hex {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(&self.0)
    }
}

struct HexVisitor;

impl Visitor<'_> for HexVisitor {
    type Value = Hex;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an epc in hex digits")
    }
    fn visit_str<E: Error>(self, hex: &str) -> Result<Hex, E> {
        Epc::from_hex(hex).map(Hex).map_err(E::custom)
    }
}

/// A tag read in JSON.
#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct TagTwin {
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
struct PassageTwin {
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
    firmware: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    uptime_s: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    battery_v: Option<Single>,
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<String>,
}

/// A reply frame in JSON.
#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct ReplyTwin {
    id: u64,
    ok: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<String>,
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

impl Serialize for Time {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_i64(self.0)
    }
}

impl Default for Wrapped<Class> {
    fn default() -> Self {
        Wrapped(Class::Unknown)
    }
}

impl<'de> Deserialize<'de> for Wrapped<Class> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let name = String::deserialize(from)?;
        Class::from_name(&name)
            .map(Wrapped)
            .ok_or_else(|| D::Error::custom("class is none of unknown, car, truck, bus, two_wheeler"))
    }
}

impl Serialize for Wrapped<Class> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(self.0.name())
    }
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
