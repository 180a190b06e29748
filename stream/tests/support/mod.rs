//! What the tests of the stream stage share.

pub mod script;
