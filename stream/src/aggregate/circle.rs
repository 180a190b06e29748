//! Directions as unit vectors, whose exact sum has a direction of its own (Mardia and Jupp, *Directional Statistics*,
//! 2.2).

use minicbor::{Decode, Encode};
use records::ExactSum;

/// Vectors that cancel to less than this part of their number have no direction.
const LEAST: f64 = 1e-9;

/// The sum of unit vectors. Sine and cosine are those of `libm`, the same on every machine.
#[derive(Clone, Debug, Default, PartialEq, Encode, Decode)]
pub(super) struct Circle {
    #[n(0)]
    north: ExactSum,
    #[n(1)]
    east: ExactSum,
}

impl Circle {
    pub(super) fn add(&mut self, degrees: f64) {
        let angle = (degrees % 360.0).to_radians();
        self.north.add(libm::cos(angle));
        self.east.add(libm::sin(angle));
    }

    pub(super) fn merge(&mut self, other: &Circle) {
        self.north.merge(&other.north);
        self.east.merge(&other.east);
    }

    /// Degrees in [0, 360).
    pub(super) fn mean(&self, count: u32) -> Option<f64> {
        let (north, east) = (self.north.round(), self.east.round());
        if north.abs().max(east.abs()) < LEAST * f64::from(count) {
            return None;
        }
        let degrees = libm::atan2(east, north).to_degrees();
        let degrees = if degrees < 0.0 { degrees + 360.0 } else { degrees };
        Some(if degrees >= 360.0 { 0.0 } else { degrees })
    }
}
