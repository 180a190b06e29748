//! Air stations: six pollutants and the air's state.

use super::{Moment, Values, progress, round};
use crate::chance::Chance;
use firmware_protocol::quantities as q;

/// An air station.
#[derive(Clone, Debug)]
pub struct Air {
    /// Its own noise.
    pub chance: Chance,
    /// Episodes that reach it.
    pub plumes: Vec<Plume>,
}

/// PM2.5 on top of the background: rises over a sixth of its time, stays, falls over a sixth.
#[derive(Clone, Copy, Debug)]
pub struct Plume {
    /// First millisecond.
    pub from: i64,
    /// First millisecond after.
    pub to: i64,
    /// µg/m³ at its height.
    pub peak: f64,
}

impl Air {
    /// What it measures.
    pub fn values(&self, at: &Moment) -> Values {
        let own = |name| self.chance.named(name).texture(at.time);
        let shared = |name| at.city.named(name).texture(at.time);
        let rush = at.bump(8.0, 1.5) + at.bump(20.5, 2.5);
        let dust = (0.22 * shared("pm2_5") + 0.08 * own("pm2_5")).exp();
        let fine = 22.0 * (1.0 + 0.2 * rush) * dust + self.plume(at.time);
        let coarse = fine * (1.6 + 0.08 * own("pm10"));
        let sun = (0.2 * shared("o3") + 0.05 * own("o3")).exp() * at.bump(15.0, 3.5);
        let nitrogen = (18.0 + 22.0 * (at.bump(8.0, 1.5) + at.bump(19.0, 2.0))) * (0.15 * own("no2")).exp();
        vec![
            (q::PM2_5, round(fine.max(1.0), 1)),
            (q::PM10, round(coarse.max(2.0), 1)),
            (q::NO2, round(nitrogen, 1)),
            (q::O3, round(22.0 + 85.0 * sun, 1)),
            (q::SO2, round((6.5 + 1.0 * own("so2")).max(1.0), 1)),
            (q::CO, round((0.65 + 0.12 * rush + 0.06 * own("co")).max(0.1), 2)),
            (q::TEMPERATURE, round(at.temperature() + 0.4 * own("temperature"), 1)),
            (q::HUMIDITY, round((at.humidity() + 1.5 * own("humidity")).clamp(20.0, 100.0), 1)),
        ]
    }

    fn plume(&self, time: i64) -> f64 {
        let height = |plume: &Plume| {
            let part = progress(time, plume.from, plume.to)?;
            Some(plume.peak * (part * 6.0).min((1.0 - part) * 6.0).min(1.0))
        };
        self.plumes.iter().filter_map(height).sum()
    }
}
