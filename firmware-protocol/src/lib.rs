//! What a Sluice device says on the wire: topic names and frames.
//!
//! One crate for both ends, so that firmware and gateway can't disagree. The README is the specification; its
//! examples are tests. Absent on purpose: I/O, MQTT, a clock, and allocation outside the feature `std`.
//!
//! A device encodes with [`encode_telemetry`] into a buffer of its own. A host (feature `std`) reads what came
//! with `TelemetryFrame::from_bytes`, CBOR or its JSON twin alike.

#![no_std]

#[cfg(any(feature = "std", test))]
extern crate std;

mod topic;

mod telemetry;

mod quantity;

mod epc;

mod status;

mod encode;

#[cfg(feature = "std")]
mod host;

pub use encode::{EncodeError, encode_reply, encode_state, encode_telemetry};
pub use epc::{Epc, EpcError};
#[cfg(feature = "std")]
pub use host::{
    DecodeError, FrameContent, FrameQuantity, FrameReading, ReplyFrame, StateFrame, TelemetryFrame,
    parse_rfc3339,
};
pub use quantity::{QUANTITIES, Quantity, QuantityKey, quantities};
pub use status::{Reply, State};
pub use telemetry::{Class, Content, Passage, Position, Reading, TagRead, Telemetry};
pub use topic::{MAX_TOPIC, Topic, TopicError, UpKind, is_device_id};

/// Most readings in one frame.
pub const MAX_READINGS: usize = 256;
/// Most tag reads in one frame.
pub const MAX_TAG_READS: usize = 1_000;
/// Most passages in one frame.
pub const MAX_PASSAGES: usize = 1_000;
/// Most bytes of a quantity's name that the table doesn't have.
pub const MAX_NAME: usize = 64;
/// Most bytes of a text in a state or reply frame.
pub const MAX_TEXT: usize = 1_024;
/// Least time a frame may carry: 0000-01-01T00:00:00Z, milliseconds since 1970.
pub const MIN_TIME: i64 = -62_167_219_200_000;
/// Greatest time a frame may carry: 9999-12-31T23:59:59.999Z.
pub const MAX_TIME: i64 = 253_402_300_799_999;

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
