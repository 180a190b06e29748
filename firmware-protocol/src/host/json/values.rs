//! Single values in JSON, each refused with what was expected in its place.

use crate::host::parse_rfc3339;
use crate::{Class, Epc, MAX_TIME, MIN_TIME, Position};
use core::fmt;
use core::marker::PhantomData;
use serde::de::{DeserializeSeed, Error, IgnoredAny, SeqAccess, Unexpected, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::string::String;
use std::vec::Vec;

/// A type of ours whose reading and writing is private to this folder.
pub struct Wrapped<T>(pub T);

/// A number or null, with the place for the error.
pub struct NumberSeed<'a>(pub &'a str);

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
pub struct CountSeed(pub &'static str);

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
pub struct Time(pub i64);

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
pub struct List<T, const MOST: usize>(pub Vec<T>);

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
pub struct Single(pub f32);

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
pub struct Hex(pub Epc);

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
