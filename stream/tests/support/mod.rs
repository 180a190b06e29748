//! What the tests of the stream stage share.

#![allow(dead_code, reason = "each test binary uses its part")]

pub mod both;
pub mod fleet;
pub mod script;
