//! Machines: vibration, bearing temperature, power.

use super::{Moment, Values, round};
use crate::chance::Chance;
use firmware_protocol::quantities as q;

/// A machine.
#[derive(Clone, Debug)]
pub struct Machine {
    /// Its own noise.
    pub chance: Chance,
    /// Bearings that wear out.
    pub worn: Vec<Worn>,
}

/// A bearing that wears out: vibration grows by a constant share up to its peak and stays there.
#[derive(Clone, Copy, Debug)]
pub struct Worn {
    /// When it begins.
    pub from: i64,
    /// When vibration reaches the peak.
    pub to: i64,
    /// mm/s.
    pub peak: f64,
    /// First millisecond after the repair.
    pub repaired: i64,
}

/// Vibration of a machine in good order, mm/s.
const GOOD: f64 = 1.5;

impl Machine {
    /// What it measures.
    pub fn values(&self, at: &Moment) -> Values {
        let own = |name| self.chance.named(name).texture(at.time);
        let wear = self.wear(at.time);
        let load = 0.55 + 0.35 * (at.bump(10.0, 2.5) + at.bump(15.5, 2.5)).min(1.0);
        let vibration = (GOOD + wear) * (0.06 * own("vibration")).exp();
        let bearing = 38.0 + 14.0 * load + 4.0 * wear + 1.2 * own("bearing") + 0.3 * at.temperature();
        let power = 45.0 * self.chance.between(0, 0.7, 1.3) * load * (0.04 * own("power")).exp() + 0.4 * wear;
        vec![
            (q::VIBRATION, round(vibration, 2)),
            (q::BEARING_TEMPERATURE, round(bearing, 1)),
            (q::POWER, round(power, 1)),
        ]
    }

    /// mm/s on top of a machine in good order.
    fn wear(&self, time: i64) -> f64 {
        let of = |worn: &Worn| {
            let is_worn = worn.from <= time && time < worn.repaired;
            let part = ((time - worn.from) as f64 / (worn.to - worn.from) as f64).min(1.0);
            is_worn.then(|| GOOD * (worn.peak / GOOD).powf(part) - GOOD)
        };
        self.worn.iter().filter_map(of).fold(0.0, f64::max)
    }
}
