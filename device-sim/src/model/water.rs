//! Water probes in a tidal river.

use super::{Moment, Values, round};
use crate::chance::Chance;
use firmware_protocol::quantities as q;

/// A water probe.
#[derive(Clone, Debug)]
pub struct Water {
    /// Its own noise.
    pub chance: Chance,
}

impl Water {
    /// What it measures.
    pub fn values(&self, at: &Moment) -> Values {
        let own = |name| self.chance.named(name).texture(at.time);
        let place = |name| self.chance.named(name).between(0, 0.85, 1.15);
        vec![
            (q::PH, round(7.25 + 0.15 * at.wave(15.0) + 0.05 * own("ph"), 2)),
            (q::WATER_TEMPERATURE, round(24.0 + 0.8 * at.wave(16.0) + 0.3 * own("temperature"), 1)),
            (q::DISSOLVED_OXYGEN, round(6.4 * place("do") + 0.9 * at.wave(15.0) + 0.2 * own("do"), 2)),
            (q::CONDUCTIVITY, round(340.0 * place("ec") + 60.0 * at.tide() + 8.0 * own("ec"), 0)),
            (q::TURBIDITY, round(16.0 * place("turbidity") * (0.25 * own("turbidity")).exp(), 1)),
            (q::COD_MN, round(3.1 * place("cod_mn") * (0.08 * own("cod_mn")).exp(), 1)),
            (q::NH3_N, round(0.42 * place("nh3_n") * (0.15 * own("nh3_n")).exp(), 2)),
            (q::TP, round(0.11 * place("tp") * (0.12 * own("tp")).exp(), 3)),
            (q::WATER_LEVEL, round(1.4 + 0.75 * at.tide() + 0.03 * own("level"), 2)),
        ]
    }
}
