//! What a mirror counts. No device is ever a label.

use super::filter::Left;
use prometheus::{IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry};
use records::Topic;

/// The mirror's metrics; clones count together.
#[derive(Clone, Debug)]
pub struct Metrics {
    copied_records: IntCounterVec,
    copied_bytes: IntCounterVec,
    left: IntCounterVec,
    lost: IntCounterVec,
    lag_seconds: IntGaugeVec,
    pub(super) commits: IntCounter,
    outages: IntCounter,
    is_down: IntGauge,
}

impl Metrics {
    /// Metrics that `registry` will show; once per registry.
    ///
    /// # Errors
    /// The registry has metrics of these names already.
    pub fn register(registry: &Registry) -> Result<Metrics, prometheus::Error> {
        let by = |name: &str, help: &str, labels: &[&str]| {
            crate::metrics::register(registry, IntCounterVec::new(Opts::new(name, help), labels)?)
        };
        let counter =
            |name: &str, help: &str| crate::metrics::register(registry, IntCounter::new(name, help)?);
        let metrics = Metrics {
            copied_records: by(
                "sluice_mirror_copied_records_total",
                "Records that are visible at the target.",
                &["topic"],
            )?,
            copied_bytes: by(
                "sluice_mirror_copied_bytes_total",
                "The same in bytes of records.",
                &["topic"],
            )?,
            left: by(
                "sluice_mirror_left_records_total",
                "Records not copied, and why.",
                &["topic", "reason"],
            )?,
            lost: by(
                "sluice_mirror_lost_records_total",
                "Records that retention removed before they were read.",
                &["topic"],
            )?,
            lag_seconds: crate::metrics::register(
                registry,
                IntGaugeVec::new(
                    Opts::new(
                        "sluice_mirror_lag_seconds",
                        "Age of the oldest record of the last commit when it became visible.",
                    ),
                    &["topic"],
                )?,
            )?,
            commits: counter("sluice_mirror_commits_total", "Transactions at the target.")?,
            outages: counter("sluice_mirror_outages_total", "Times that the mirror had to begin again.")?,
            is_down: crate::metrics::register(
                registry,
                IntGauge::new("sluice_mirror_target_down", "1 while nothing can be copied.")?,
            )?,
        };
        for topic in Topic::ALL {
            Left::ALL.iter().for_each(|left| metrics.left_of(topic, *left).inc_by(0));
        }
        Ok(metrics)
    }

    /// The target, or the source, can't be used, and it is tried again.
    pub fn went_down(&self) {
        if self.is_down.get() == 0 {
            self.outages.inc();
        }
        self.is_down.set(1);
    }

    /// Copies go again.
    pub fn came_back(&self) {
        self.is_down.set(0);
    }

    pub(super) fn copied(&self, topic: Topic, records: usize, bytes: usize) {
        self.copied_records.with_label_values(&[topic.name()]).inc_by(records as u64);
        self.copied_bytes.with_label_values(&[topic.name()]).inc_by(bytes as u64);
    }

    pub(super) fn left(&self, topic: Topic, left: Left) {
        self.left_of(topic, left).inc();
    }

    fn left_of(&self, topic: Topic, left: Left) -> IntCounter {
        self.left.with_label_values(&[topic.name(), left.name()])
    }

    pub(super) fn lost(&self, topic: Topic, records: u64) {
        self.lost.with_label_values(&[topic.name()]).inc_by(records);
        if records > 0 {
            tracing::error!(%topic, records, "retention removed records before they were mirrored");
        }
    }

    pub(super) fn lag(&self, topic: Topic, age: std::time::Duration) {
        let seconds = i64::try_from(age.as_secs()).unwrap_or(i64::MAX);
        self.lag_seconds.with_label_values(&[topic.name()]).set(seconds);
    }
}
