//! One message of a device, in our words. One message stays one observation.

use crate::{Name, Position, Quality, Quantity, StatedPosition, Timestamp};

/// What a device said in one message.
///
/// On `telemetry` it is as the gateway understood it: qualities not evaluated, event time = device time where
/// there is one, else ingest time. On `observations` it is cleaned: no duplicates, event time after the clock
/// model, qualities set.
#[derive(Clone, Debug, PartialEq)]
pub struct Observation {
    /// Who said it; the key.
    pub device: Name,
    /// Counts the device's restarts of its sequence; 0 when the device has none.
    pub epoch: u32,
    /// Number of the message within the epoch, when the device counts.
    pub sequence: Option<u64>,
    /// What the device's clock said.
    pub device_time: Option<Timestamp>,
    /// When it happened, as far as we know.
    pub event_time: Timestamp,
    /// The gateway's clock at arrival.
    pub ingest_time: Timestamp,
    /// Where, when the device says so itself (mobile devices).
    pub position: Option<Position>,
    /// The same as the device said it, when it did not say it in WGS-84.
    pub stated: Option<StatedPosition>,
    /// Came behind the watermark of its device and beyond the allowed lateness.
    pub is_late: bool,
    /// The readings, reads, passages or state.
    pub body: Body,
}

/// The kinds of content.
#[derive(Clone, Debug, PartialEq)]
pub enum Body {
    /// Values of quantities.
    Readings(Vec<Reading>),
    /// RFID tags that a reader saw.
    TagReads(Vec<TagRead>),
    /// Vehicles that passed.
    Passages(Vec<Passage>),
    /// The device about itself.
    Status(Status),
}

/// A value of a quantity, in the quantity's unit ([`Quantity::info`]).
#[derive(Clone, Debug, PartialEq)]
pub struct Reading {
    /// Which quantity.
    pub quantity: Quantity,
    /// Finite, in the unit of the quantity. A device's NaN or infinity never gets this far.
    pub value: f64,
    /// What the tests said.
    pub quality: Quality,
}

/// A tag in a reader's field.
#[derive(Clone, Debug, PartialEq)]
pub struct TagRead {
    /// EPC in upper-case hex, as the reader gave it.
    pub epc: Name,
    /// Antenna port, from 1; 0 when the reader has only one or does not say.
    pub antenna: u16,
    /// Peak signal strength, dBm.
    pub rssi: Option<f32>,
    /// How often it was seen.
    pub count: u32,
    /// First seen, device time; the observation's event time when absent.
    pub first_seen: Option<Timestamp>,
    /// Last seen, device time; the observation's event time when absent.
    pub last_seen: Option<Timestamp>,
}

/// A vehicle at a detector.
#[derive(Clone, Debug, PartialEq)]
pub struct Passage {
    /// When its front arrived, device time.
    pub at: Timestamp,
    /// Lane from the kerb, from 1; 0 unknown.
    pub lane: u8,
    /// km/h.
    pub speed: Option<f32>,
    /// Length class.
    pub class: VehicleClass,
}

/// Length classes that a single detector can tell.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(u8)]
pub enum VehicleClass {
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

impl VehicleClass {
    /// Every class.
    pub const ALL: [VehicleClass; 5] = [
        VehicleClass::Unknown,
        VehicleClass::Car,
        VehicleClass::Truck,
        VehicleClass::Bus,
        VehicleClass::TwoWheeler,
    ];

    /// The class of that code on the log.
    pub fn from_code(code: u8) -> Option<VehicleClass> {
        VehicleClass::ALL.into_iter().find(|class| *class as u8 == code)
    }
}

/// What a device says about itself on `up/{device}/state`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Status {
    /// Firmware version.
    pub firmware: Option<Name>,
    /// Seconds since its last start.
    pub uptime_s: Option<u64>,
    /// Supply voltage, volts.
    pub battery_v: Option<f32>,
    /// Free text.
    pub text: Option<Name>,
}
