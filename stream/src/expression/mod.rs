//! What users write in CEL: read by a library, checked for types, and compiled once into trees that can neither loop,
//! wait nor fail.
//!
//! What has no value (a quantity that is missing, a division by zero, a number that is not finite) makes what is
//! computed from it have none; as in CEL, `false && nothing` is false and `true || nothing` is true.

mod compile;
mod tree;

pub use compile::{Call, Fault, Names, Typed, compile};
pub use tree::{Arithmetic, Condition, Number, Order, Part, Scope, Shape, Text};

#[cfg(test)]
mod tests;
