//! Frames that own what they hold.

use super::{DecodeError, cbor, json};
use crate::{
    Content, EncodeError, Passage, Position, Quantity, QuantityKey, Reading, Reply, State, TagRead,
    Telemetry, encode_reply, encode_state, encode_telemetry,
};
use std::boxed::Box;
use std::format;
use std::string::String;
use std::vec;
use std::vec::Vec;

/// A telemetry frame; see [`Telemetry`] for what the fields mean.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TelemetryFrame {
    /// Counts how often the device lost its sequence; 0 when the frame has none.
    pub epoch: u32,
    /// Number of the message within the epoch.
    pub sequence: Option<u64>,
    /// The device's clock, milliseconds since 1970 (UTC), within [`crate::MIN_TIME`]…[`crate::MAX_TIME`].
    pub time: Option<i64>,
    /// Where the device says it is; on Earth.
    pub position: Option<Position>,
    /// What it saw.
    pub content: FrameContent,
}

/// What a telemetry frame holds: one kind.
#[derive(Clone, Debug, PartialEq)]
pub enum FrameContent {
    /// Values of quantities, at most 256, each quantity once, every value finite.
    Readings(Vec<FrameReading>),
    /// Tags in the field, at most 1,000.
    TagReads(Vec<TagRead>),
    /// Vehicles that passed, at most 1,000.
    Passages(Vec<Passage>),
}

/// A value of a quantity, in the quantity's unit.
#[derive(Clone, Debug, PartialEq)]
pub struct FrameReading {
    /// Which quantity.
    pub quantity: FrameQuantity,
    /// Finite.
    pub value: f64,
}

/// Which quantity a reading is of.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum FrameQuantity {
    /// A row of the table ([`crate::QUANTITIES`]): always one that exists.
    Code(u16),
    /// One that the table doesn't have.
    Name(Box<str>),
}

/// A state frame; see [`State`].
#[derive(Clone, Debug, Default, PartialEq)]
pub struct StateFrame {
    /// Firmware version.
    pub firmware: Option<String>,
    /// Seconds since its last start.
    pub uptime_s: Option<u64>,
    /// Supply voltage, volts; finite.
    pub battery_v: Option<f32>,
    /// Free text.
    pub text: Option<String>,
}

/// A reply frame; see [`Reply`].
#[derive(Clone, Debug, PartialEq)]
pub struct ReplyFrame {
    /// The command's id.
    pub id: u64,
    /// Whether it was done.
    pub ok: bool,
    /// Why not, or what came of it.
    pub text: Option<String>,
}

impl TelemetryFrame {
    /// Reads a frame in either form: JSON when it starts with `{`, CBOR otherwise.
    pub fn from_bytes(bytes: &[u8]) -> Result<TelemetryFrame, DecodeError> {
        if is_json(bytes)? { json::telemetry(bytes) } else { cbor::telemetry(bytes) }
    }

    /// Reads a frame in CBOR; every byte must belong to it.
    pub fn from_cbor(bytes: &[u8]) -> Result<TelemetryFrame, DecodeError> {
        cbor::telemetry(bytes)
    }

    /// Reads a frame in JSON; every byte must belong to it.
    pub fn from_json(bytes: &[u8]) -> Result<TelemetryFrame, DecodeError> {
        json::telemetry(bytes)
    }

    /// The frame in CBOR, the same bytes that a device would write.
    pub fn to_cbor(&self) -> Result<Vec<u8>, EncodeError> {
        let readings: Vec<Reading<'_>> = match &self.content {
            FrameContent::Readings(readings) => readings.iter().map(FrameReading::borrowed).collect(),
            _ => Vec::new(),
        };
        let content = match &self.content {
            FrameContent::Readings(_) => Content::Readings(&readings),
            FrameContent::TagReads(tags) => Content::TagReads(tags),
            FrameContent::Passages(passages) => Content::Passages(passages),
        };
        let TelemetryFrame { epoch, sequence, time, position, .. } = *self;
        let frame = Telemetry { epoch, sequence, time, position, content };
        grown(|buffer| encode_telemetry(&frame, buffer))
    }

    /// The frame in JSON, times as milliseconds.
    pub fn to_json(&self) -> Vec<u8> {
        json::write(&json::TelemetryTwin(self))
    }
}

impl StateFrame {
    /// Reads a frame in either form: JSON when it starts with `{`, CBOR otherwise.
    pub fn from_bytes(bytes: &[u8]) -> Result<StateFrame, DecodeError> {
        if is_json(bytes)? { json::state(bytes) } else { cbor::state(bytes) }
    }

    /// The frame in CBOR.
    pub fn to_cbor(&self) -> Result<Vec<u8>, EncodeError> {
        let (firmware, text) = (self.firmware.as_deref(), self.text.as_deref());
        let state = State { firmware, uptime_s: self.uptime_s, battery_v: self.battery_v, text };
        grown(|buffer| encode_state(&state, buffer))
    }

    /// The frame in JSON.
    pub fn to_json(&self) -> Vec<u8> {
        json::write(&json::StateTwin::from(self.clone()))
    }
}

impl ReplyFrame {
    /// Reads a frame in either form: JSON when it starts with `{`, CBOR otherwise.
    pub fn from_bytes(bytes: &[u8]) -> Result<ReplyFrame, DecodeError> {
        if is_json(bytes)? { json::reply(bytes) } else { cbor::reply(bytes) }
    }

    /// The frame in CBOR.
    pub fn to_cbor(&self) -> Result<Vec<u8>, EncodeError> {
        let reply = Reply { id: self.id, ok: self.ok, text: self.text.as_deref() };
        grown(|buffer| encode_reply(&reply, buffer))
    }

    /// The frame in JSON.
    pub fn to_json(&self) -> Vec<u8> {
        json::write(&json::ReplyTwin::from(self.clone()))
    }
}

impl FrameQuantity {
    /// The quantity of that name: by its code when the table has it.
    pub fn from_name(name: &str) -> FrameQuantity {
        match Quantity::from_name(name) {
            Some(quantity) => FrameQuantity::Code(quantity.code),
            None => FrameQuantity::Name(name.into()),
        }
    }

    /// Its name; empty for a code that the table doesn't have, which no decoded frame holds.
    pub fn name(&self) -> &str {
        match self {
            FrameQuantity::Code(code) => Quantity::from_code(*code).map_or("", |quantity| quantity.name),
            FrameQuantity::Name(name) => name,
        }
    }
}

impl FrameReading {
    fn borrowed(&self) -> Reading<'_> {
        let quantity = match &self.quantity {
            FrameQuantity::Code(code) => QuantityKey::Code(*code),
            FrameQuantity::Name(name) => QuantityKey::Name(name),
        };
        Reading { quantity, value: self.value }
    }
}

impl Default for FrameContent {
    fn default() -> FrameContent {
        FrameContent::Readings(Vec::new())
    }
}

/// A CBOR map starts with a byte of 0xa0…0xbf, a JSON object with white space or `{`: they can't be confused.
fn is_json(bytes: &[u8]) -> Result<bool, DecodeError> {
    match bytes.iter().find(|byte| !byte.is_ascii_whitespace()) {
        None => Err(DecodeError::Empty),
        Some(b'{') => Ok(true),
        Some(0xa0..=0xbf) => Ok(false),
        Some(byte) => Err(DecodeError::Malformed(format!(
            "neither a JSON object nor a CBOR map: starts with byte 0x{byte:02x}"
        ))),
    }
}

/// Runs `encode` on larger and larger buffers until the frame fits; the bounds on frames bound it.
fn grown(encode: impl Fn(&mut [u8]) -> Result<usize, EncodeError>) -> Result<Vec<u8>, EncodeError> {
    let mut buffer = vec![0; 256];
    loop {
        match encode(&mut buffer) {
            Err(EncodeError::BufferFull) => buffer.resize(buffer.len() * 4, 0),
            Err(error) => return Err(error),
            Ok(length) => {
                buffer.truncate(length);
                return Ok(buffer);
            }
        }
    }
}
