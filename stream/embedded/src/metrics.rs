//! What the log counts. No device, no reader in a label.

use prometheus::{
    Histogram, HistogramOpts, IntCounter, IntCounterVec, IntGauge, Opts, Registry, exponential_buckets,
};
use records::Topic;

/// Counters of one log; clones count together.
#[derive(Clone, Debug)]
pub struct Metrics {
    pub(crate) appended_records: PerTopic,
    pub(crate) appended_bytes: PerTopic,
    pub(crate) removed_records: PerTopic,
    pub(crate) lost_records: PerTopic,
    pub(crate) commits: IntCounter,
    pub(crate) failed_commits: IntCounter,
    pub(crate) refused_appends: IntCounter,
    pub(crate) commit_seconds: Histogram,
    pub(crate) queue_bytes: IntGauge,
    pub(crate) damaged_partitions: IntGauge,
}

/// A counter with its topics looked up beforehand.
#[derive(Clone, Debug)]
pub(crate) struct PerTopic([IntCounter; Topic::ALL.len()]);

impl Metrics {
    /// Registers the counters as `sluice_log_…`.
    ///
    /// # Errors
    /// They are registered there already.
    pub fn register(registry: &Registry) -> Result<Metrics, prometheus::Error> {
        let seconds = HistogramOpts::new(
            "sluice_log_commit_seconds",
            "Time of a transaction with its fsync, shared by all who waited for it",
        );
        let seconds = seconds.buckets(exponential_buckets(0.000_1, 2.0, 16)?);
        let metrics = Metrics {
            appended_records: per_topic(registry, "appended_records_total", "Records made durable")?,
            appended_bytes: per_topic(registry, "appended_bytes_total", "Bytes of records made durable")?,
            removed_records: per_topic(registry, "removed_records_total", "Records whose retention ended")?,
            lost_records: per_topic(
                registry,
                "lost_records_total",
                "Records removed before a reader had read them",
            )?,
            commits: IntCounter::new("sluice_log_commits_total", "Transactions")?,
            failed_commits: IntCounter::new("sluice_log_failed_commits_total", "Transactions that failed")?,
            refused_appends: IntCounter::new(
                "sluice_log_refused_appends_total",
                "Appends answered by an error",
            )?,
            commit_seconds: Histogram::with_opts(seconds)?,
            queue_bytes: IntGauge::new("sluice_log_queue_bytes", "Bytes that wait for the writer")?,
            damaged_partitions: IntGauge::new(
                "sluice_log_damaged_partitions",
                "Partitions whose newest rows were damaged at the start",
            )?,
        };
        registry.register(Box::new(metrics.commits.clone()))?;
        registry.register(Box::new(metrics.failed_commits.clone()))?;
        registry.register(Box::new(metrics.refused_appends.clone()))?;
        registry.register(Box::new(metrics.commit_seconds.clone()))?;
        registry.register(Box::new(metrics.queue_bytes.clone()))?;
        registry.register(Box::new(metrics.damaged_partitions.clone()))?;
        Ok(metrics)
    }
}

impl PerTopic {
    pub fn of(&self, topic: Topic) -> &IntCounter {
        &self.0[topic as usize]
    }
}

fn per_topic(registry: &Registry, noun: &str, help: &str) -> Result<PerTopic, prometheus::Error> {
    let all = IntCounterVec::new(Opts::new(format!("sluice_log_{noun}"), help), &["topic"])?;
    registry.register(Box::new(all.clone()))?;
    Ok(PerTopic(Topic::ALL.map(|topic| all.with_label_values(&[topic.name()]))))
}
