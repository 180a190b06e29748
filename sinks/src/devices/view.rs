//! A device as the API shows it.

use super::state::is_late;
use super::{DeviceState, Latest, Live};
use records::time::as_millis;
use records::{Device, Family, Flag, Name, Position, Quality, Severity, Timestamp};
use serde::Serialize;

/// A device with its state and latest values.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct DeviceView {
    /// Its identity.
    pub id: Name,
    /// What a person calls it.
    pub label: Name,
    /// What kind it is.
    pub family: Family,
    /// What it rolls up into.
    pub area: Name,
    /// Its place in the order of its area.
    pub rank: u32,
    /// Where it is: what it said itself, else what the registry says.
    pub position: Option<Position>,
    /// Whether the registry has it; false for one that only appeared in the data.
    pub is_registered: bool,
    /// Whether it may connect.
    pub is_enabled: bool,
    /// How it is.
    pub state: DeviceState,
    /// Silent for too long, whatever else it is.
    pub is_late: bool,
    /// Its worst active alert.
    pub severity: Option<Severity>,
    /// How many active alerts it has.
    pub alerts: u32,
    /// The newest event time, ms; none before it spoke.
    pub event_time: Option<i64>,
    /// The newest ingest time, ms.
    pub ingest_time: Option<i64>,
    /// The usual time between two observations, ms, once it is known.
    pub interval_ms: Option<i64>,
    /// What its last status said.
    pub firmware: Option<Name>,
    /// The newest value of each quantity, by name.
    pub latest: Vec<LatestView>,
}

/// The newest value of a quantity, with what is needed to show it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LatestView {
    /// The quantity.
    pub quantity: Name,
    /// Its value.
    pub value: f64,
    /// UCUM unit; empty when the quantity is not in the registry.
    pub unit: &'static str,
    /// Decimals worth showing.
    pub decimals: Option<u8>,
    /// QARTOD flag.
    pub flag: Flag,
    /// The quality tests that did not pass.
    pub tests: Vec<&'static str>,
    /// When it was so, event time.
    #[serde(with = "as_millis")]
    pub event_time: Timestamp,
    /// When we learnt of it.
    #[serde(with = "as_millis")]
    pub ingest_time: Timestamp,
    /// Length of the window it is over, when Sluice derived it.
    pub window_ms: Option<i64>,
}

impl DeviceView {
    /// The device as it is at `now`.
    pub fn of(
        id: &Name,
        device: Option<&Device>,
        live: &Live,
        worst: Option<(Severity, u32)>,
        now: Timestamp,
    ) -> DeviceView {
        let severity = worst.map(|(severity, _)| severity);
        let spoken = |at: Timestamp| live.has_spoken().then_some(at.millis());
        DeviceView {
            id: id.clone(),
            label: device.map(|device| device.label.clone()).unwrap_or_default(),
            family: device.map_or(Family::Other, |device| device.family),
            area: device.map(|device| device.area.clone()).unwrap_or_default(),
            rank: device.map_or(0, |device| device.rank),
            position: live.position.or(device.and_then(|device| device.position)),
            is_registered: device.is_some(),
            is_enabled: device.is_none_or(|device| device.is_enabled),
            state: DeviceState::of(live, severity, now),
            is_late: is_late(live, now),
            severity,
            alerts: worst.map_or(0, |(_, count)| count),
            event_time: spoken(live.event_time),
            ingest_time: spoken(live.ingest_time),
            interval_ms: live.usual_interval_ms().map(|interval| interval as i64),
            firmware: live.firmware.clone(),
            latest: live.latest.iter().map(LatestView::of).collect(),
        }
    }
}

impl LatestView {
    fn of(latest: &Latest) -> LatestView {
        let quantity = latest.quantity();
        let info = quantity.info();
        LatestView {
            quantity: latest.quantity.clone(),
            value: latest.value,
            unit: info.map_or("", |info| info.unit),
            decimals: info.map(|info| info.decimals),
            flag: latest.flag,
            tests: Quality { flag: latest.flag, tests: latest.tests }.test_names().collect(),
            event_time: latest.event_time,
            ingest_time: latest.ingest_time,
            window_ms: latest.window_ms,
        }
    }
}
