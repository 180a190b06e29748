//! What devices measure: functions of time, one file a family.
//!
//! Shapes of the day, noise and magnitudes are typical of the Pearl River Delta; they are plausible, not measured.

mod air;

mod machine;

mod reader;

mod traffic;

mod water;

mod weather;

pub use air::{Air, Plume};
pub use machine::{Machine, Worn};
pub use reader::{Blind, Line, Reader};
pub use traffic::{Detector, Jam, JamKind};
pub use water::Water;
pub use weather::{Storm, Weather};

use crate::chance::{Chance, HOUR};
use std::f64::consts::TAU;

/// A reading as (quantity code, value).
pub type Values = Vec<(u16, f64)>;

/// An instant as the models see it.
#[derive(Clone, Copy, Debug)]
pub struct Moment {
    /// Milliseconds since 1970, UTC.
    pub time: i64,
    /// Hour of the local day, 0…24.
    pub hour: f64,
    /// What all devices of the city share.
    pub city: Chance,
}

impl Moment {
    /// The daily wave: 1 at `peak` o'clock, −1 twelve hours off.
    fn wave(&self, peak: f64) -> f64 {
        ((self.hour - peak) / 24.0 * TAU).cos()
    }

    /// A daily bump: 1 at `peak` o'clock, half of it `width` hours off.
    fn bump(&self, peak: f64, width: f64) -> f64 {
        let off = (self.hour - peak).abs();
        let off = off.min(24.0 - off) / width;
        (-off * off * std::f64::consts::LN_2).exp()
    }

    /// Temperature over the city, °C.
    fn temperature(&self) -> f64 {
        23.0 + 3.5 * self.wave(14.5) + 1.5 * self.city.named("temperature").texture(self.time)
    }

    /// Relative humidity over the city, %.
    fn humidity(&self) -> f64 {
        72.0 - 13.0 * self.wave(14.5) + 4.0 * self.city.named("humidity").texture(self.time)
    }

    /// The tide's level, −1…1: two a lunar day.
    fn tide(&self) -> f64 {
        (self.time as f64 / (12.42 * HOUR as f64) * TAU).cos()
    }
}

/// How far `time` is through `[from, to)`, 0…1; `None` outside.
fn progress(time: i64, from: i64, to: i64) -> Option<f64> {
    (from <= time && time < to).then(|| (time - from) as f64 / (to - from) as f64)
}

/// `value` with so many decimals, as a display would show it.
fn round(value: f64, decimals: i32) -> f64 {
    let scale = 10_f64.powi(decimals);
    (value * scale).round() / scale
}
