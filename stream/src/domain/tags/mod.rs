//! RFID: reads of a tag become sightings, and sightings along a line show which tag did not arrive.

mod merger;
mod route;

pub use merger::{Merger, Place};
pub use route::{Line, Missing, Route};
