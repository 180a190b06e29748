//! What forwarding counts. No device is ever a label.

use super::load::Freight;
use prometheus::{IntCounter, IntCounterVec, IntGauge, Opts, Registry};

/// The forwarder's metrics; clones count together.
#[derive(Clone, Debug)]
pub struct Metrics {
    pub(super) live: Lane,
    pub(super) backlog: Lane,
    pub(super) retries: IntCounter,
    pub(super) outages: IntCounter,
    pub(super) is_down: IntGauge,
    pub(super) lag_records: IntGauge,
    pub(super) lag_bytes: IntGauge,
    pub(super) lag_seconds: IntGauge,
    pub(super) devices_behind: IntGauge,
}

/// What went through a lane.
#[derive(Clone, Debug)]
pub(super) struct Lane {
    records: IntCounter,
    bytes: IntCounter,
}

impl Metrics {
    /// Metrics that `registry` will show; once per registry.
    ///
    /// # Errors
    /// The registry has metrics of these names already.
    pub fn register(registry: &Registry) -> Result<Metrics, prometheus::Error> {
        let counter =
            |name: &str, help: &str| crate::metrics::register(registry, IntCounter::new(name, help)?);
        let gauge = |name: &str, help: &str| crate::metrics::register(registry, IntGauge::new(name, help)?);
        let by_lane = |name: &str, help: &str| {
            crate::metrics::register(registry, IntCounterVec::new(Opts::new(name, help), &["lane"])?)
        };
        let records = by_lane(
            "sluice_gateway_forwarded_records_total",
            "Records of the spool that the target has acknowledged, by lane.",
        )?;
        let bytes = by_lane("sluice_gateway_forwarded_bytes_total", "The same in bytes of records.")?;
        let lane = |name: &str| Lane {
            records: records.with_label_values(&[name]),
            bytes: bytes.with_label_values(&[name]),
        };
        Ok(Metrics {
            live: lane("live"),
            backlog: lane("backlog"),
            retries: counter("sluice_gateway_forward_retries_total", "Appends that the target refused.")?,
            outages: counter(
                "sluice_gateway_forward_outages_total",
                "Times that the target stopped taking records.",
            )?,
            is_down: gauge("sluice_gateway_forward_target_down", "1 while the target takes nothing.")?,
            lag_records: gauge(
                "sluice_gateway_forward_lag_records",
                "Records on the spool from the oldest one on that is not acknowledged.",
            )?,
            lag_bytes: gauge(
                "sluice_gateway_forward_lag_bytes",
                "Bytes of records that wait to be acknowledged.",
            )?,
            lag_seconds: gauge(
                "sluice_gateway_forward_lag_seconds",
                "Age of the oldest message that waits to be acknowledged.",
            )?,
            devices_behind: gauge(
                "sluice_gateway_forward_devices_behind",
                "Devices whose newer records wait for their backlog.",
            )?,
        })
    }
}

impl Lane {
    pub(super) fn count(&self, freight: Freight) {
        self.records.inc_by(freight.records as u64);
        self.bytes.inc_by(freight.bytes as u64);
    }
}
