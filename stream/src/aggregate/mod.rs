//! Statistics of the values of a window that don't depend on the order in which they come, and that merge.

mod accumulator;
mod circle;
mod function;
mod sketch;
mod spread;
mod standing;

pub use accumulator::{Accumulator, Wants};
pub use function::Function;
pub use sketch::Sketch;
pub use standing::{Held, Step, Steps};
