//! A telemetry frame as the device holds it: borrowed slices, nothing allocated.

use crate::{Epc, QuantityKey};

/// What a device says in one message on `up/{device}/telemetry`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Telemetry<'a> {
    /// Counts how often the device lost its sequence; 0 at first.
    pub epoch: u32,
    /// Number of the message within the epoch: starts anywhere, +1 a message, the same when sent again.
    pub sequence: Option<u64>,
    /// The device's clock, milliseconds since 1970-01-01T00:00:00Z; `None` without a clock.
    pub time: Option<i64>,
    /// Where the device is, when it knows (mobile devices).
    pub position: Option<Position>,
    /// What it saw: one kind a frame.
    pub content: Content<'a>,
}

/// The kinds of content.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Content<'a> {
    /// Values of quantities, each at most once. None at all says "I am alive".
    Readings(&'a [Reading<'a>]),
    /// RFID tags in the field. None at all says "the field is empty".
    TagReads(&'a [TagRead]),
    /// Vehicles that passed.
    Passages(&'a [Passage]),
}

/// A value of a quantity, in the quantity's unit.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Reading<'a> {
    /// Which quantity.
    pub quantity: QuantityKey<'a>,
    /// Finite.
    pub value: f64,
}

/// A place on Earth, WGS-84, degrees.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Position {
    /// Degrees east, −180…180.
    pub lon: f64,
    /// Degrees north, −90…90.
    pub lat: f64,
}

/// A tag in a reader's field.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TagRead {
    /// Its code.
    pub epc: Epc,
    /// Peak signal strength, dBm.
    pub rssi: Option<f32>,
    /// Antenna port, from 1; 0 when the reader has one or does not say.
    pub antenna: u16,
    /// How often it was seen.
    pub count: u32,
    /// First seen, the device's clock; the frame's time when absent.
    pub first: Option<i64>,
    /// Last seen, the device's clock; the frame's time when absent.
    pub last: Option<i64>,
}

/// A vehicle at a detector.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Passage {
    /// When its front arrived, the device's clock.
    pub time: i64,
    /// Lane from the kerb, from 1; 0 unknown.
    pub lane: u8,
    /// km/h.
    pub speed: Option<f32>,
    /// Length class.
    pub class: Class,
}

/// Length classes that a single detector can tell.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Class {
    /// Not told.
    #[default]
    Unknown = 0,
    /// Car or van.
    Car = 1,
    /// Truck.
    Truck = 2,
    /// Bus or coach.
    Bus = 3,
    /// Two wheels.
    TwoWheeler = 4,
}

impl<'a> Reading<'a> {
    /// A reading of a quantity of the table, by its code ([`crate::quantities`]).
    pub const fn of(code: u16, value: f64) -> Reading<'a> {
        Reading { quantity: QuantityKey::Code(code), value }
    }

    /// A reading of a quantity by name; names of the table are sent as their code.
    pub const fn named(name: &'a str, value: f64) -> Reading<'a> {
        Reading { quantity: QuantityKey::Name(name), value }
    }
}

impl TagRead {
    /// One sight of a tag, with nothing else known.
    pub const fn of(epc: Epc) -> TagRead {
        TagRead { epc, rssi: None, antenna: 0, count: 1, first: None, last: None }
    }
}

impl Position {
    /// Whether it is on Earth.
    pub fn is_valid(&self) -> bool {
        (-180.0..=180.0).contains(&self.lon) && (-90.0..=90.0).contains(&self.lat)
    }
}

impl Class {
    /// Every class, in the order of their codes.
    pub const ALL: [Class; 5] = [Class::Unknown, Class::Car, Class::Truck, Class::Bus, Class::TwoWheeler];

    /// Its name in the JSON twin.
    pub const fn name(self) -> &'static str {
        match self {
            Class::Unknown => "unknown",
            Class::Car => "car",
            Class::Truck => "truck",
            Class::Bus => "bus",
            Class::TwoWheeler => "two_wheeler",
        }
    }

    /// The class of that name.
    pub fn from_name(name: &str) -> Option<Class> {
        Class::ALL.into_iter().find(|class| class.name() == name)
    }

    /// The class of that code.
    pub fn from_code(code: u8) -> Option<Class> {
        Class::ALL.get(usize::from(code)).copied()
    }
}
