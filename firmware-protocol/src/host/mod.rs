//! The host's side: frames that own what they hold, from bytes that anybody may have sent.

mod frame;

mod error;

mod cbor;

mod json;

mod rfc3339;

pub use error::DecodeError;
pub use frame::{FrameContent, FrameQuantity, FrameReading, ReplyFrame, StateFrame, TelemetryFrame};
pub use rfc3339::parse_rfc3339;
