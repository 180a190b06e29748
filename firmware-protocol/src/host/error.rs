//! Why bytes are not a frame.

use std::fmt;
use std::string::String;

/// Why bytes are not a frame; each with what and where, for a person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DecodeError {
    /// No byte, or only white space.
    Empty,
    /// Neither JSON nor CBOR, cut short, or with bytes behind its end.
    Malformed(String),
    /// Well-formed, but not what the specification allows.
    Invalid(String),
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            DecodeError::Empty => f.write_str("empty payload"),
            DecodeError::Malformed(what) | DecodeError::Invalid(what) => f.write_str(what),
        }
    }
}

impl std::error::Error for DecodeError {}
