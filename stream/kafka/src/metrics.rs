//! What is counted of Kafka. No device, no reader in a label.

use prometheus::{
    Histogram, HistogramOpts, IntCounter, IntCounterVec, IntGauge, Opts, Registry, exponential_buckets,
};
use rdkafka::Statistics;
use records::Topic;

/// Counters of one log; clones count together.
#[derive(Clone, Debug)]
pub struct Metrics {
    pub(crate) appended_records: PerTopic,
    pub(crate) appended_bytes: PerTopic,
    pub(crate) read_records: PerTopic,
    pub(crate) lost_records: PerTopic,
    pub(crate) refused_appends: IntCounter,
    pub(crate) transactions: IntCounter,
    pub(crate) failed_transactions: IntCounter,
    pub(crate) transaction_seconds: Histogram,
    pub(crate) rebalances: IntCounter,
    pub(crate) pending_bytes: IntGauge,
    queued_records: IntGauge,
    brokers_up: IntGauge,
    resent_requests: IntGauge,
    timed_out_requests: IntGauge,
    round_trip_microseconds: IntGauge,
}

/// A counter with its topics looked up beforehand.
#[derive(Clone, Debug)]
pub(crate) struct PerTopic([IntCounter; Topic::ALL.len()]);

impl Metrics {
    /// Registers the counters as `sluice_kafka_…`.
    ///
    /// # Errors
    /// They are registered there already.
    pub fn register(registry: &Registry) -> Result<Metrics, prometheus::Error> {
        let counter = |noun, help| counter(registry, noun, help);
        let gauge = |noun, help| gauge(registry, noun, help);
        let per_topic = |noun, help| per_topic(registry, noun, help);
        Ok(Metrics {
            appended_records: per_topic(
                "appended_records_total",
                "Records that the brokers have acknowledged",
            )?,
            appended_bytes: per_topic("appended_bytes_total", "Bytes of keys and values of these")?,
            read_records: per_topic("read_records_total", "Records that were handed to readers")?,
            lost_records: per_topic("lost_records_total", "Records removed before a reader had read them")?,
            refused_appends: counter("refused_appends_total", "Appends answered by an error")?,
            transactions: counter("transactions_total", "Transactions committed")?,
            failed_transactions: counter("failed_transactions_total", "Transactions that failed")?,
            transaction_seconds: transaction_seconds(registry)?,
            rebalances: counter("rebalances_total", "Times that partitions came or went")?,
            pending_bytes: gauge("pending_bytes", "Bytes on their way to the brokers")?,
            queued_records: gauge("queued_records", "Records that the producer holds")?,
            brokers_up: gauge("brokers_up", "Brokers that the producer is connected to")?,
            resent_requests: gauge(
                "resent_requests",
                "Requests that the producer has sent again, since it began",
            )?,
            timed_out_requests: gauge(
                "timed_out_requests",
                "Requests of the producer without an answer, since it began",
            )?,
            round_trip_microseconds: gauge(
                "round_trip_microseconds",
                "Mean time to a broker's answer, the slowest broker",
            )?,
        })
    }

    /// What librdkafka tells of the producer every few seconds.
    pub(crate) fn note(&self, statistics: &Statistics) {
        let brokers = || statistics.brokers.values().filter(|broker| broker.nodeid >= 0);
        let sum = |of: fn(&rdkafka::statistics::Broker) -> u64| {
            brokers().map(of).sum::<u64>().try_into().unwrap_or(i64::MAX)
        };
        self.queued_records.set(statistics.msg_cnt.try_into().unwrap_or(i64::MAX));
        self.brokers_up.set(brokers().filter(|broker| broker.state == "UP").count() as i64);
        self.resent_requests.set(sum(|broker| broker.txretries));
        self.timed_out_requests.set(sum(|broker| broker.req_timeouts));
        let slowest = brokers().filter_map(|broker| Some(broker.rtt.as_ref()?.avg)).max();
        self.round_trip_microseconds.set(slowest.unwrap_or(0));
    }
}

impl PerTopic {
    pub fn of(&self, topic: Topic) -> &IntCounter {
        &self.0[topic as usize]
    }
}

fn counter(registry: &Registry, noun: &str, help: &str) -> Result<IntCounter, prometheus::Error> {
    let counter = IntCounter::new(format!("sluice_kafka_{noun}"), help)?;
    registry.register(Box::new(counter.clone()))?;
    Ok(counter)
}

fn gauge(registry: &Registry, noun: &str, help: &str) -> Result<IntGauge, prometheus::Error> {
    let gauge = IntGauge::new(format!("sluice_kafka_{noun}"), help)?;
    registry.register(Box::new(gauge.clone()))?;
    Ok(gauge)
}

fn per_topic(registry: &Registry, noun: &str, help: &str) -> Result<PerTopic, prometheus::Error> {
    let all = IntCounterVec::new(Opts::new(format!("sluice_kafka_{noun}"), help), &["topic"])?;
    registry.register(Box::new(all.clone()))?;
    Ok(PerTopic(Topic::ALL.map(|topic| all.with_label_values(&[topic.name()]))))
}

fn transaction_seconds(registry: &Registry) -> Result<Histogram, prometheus::Error> {
    let options = HistogramOpts::new(
        "sluice_kafka_transaction_seconds",
        "Time of a pipe's commit, from its first record to the brokers' word that it is visible",
    );
    let seconds = Histogram::with_opts(options.buckets(exponential_buckets(0.001, 2.0, 16)?))?;
    registry.register(Box::new(seconds.clone()))?;
    Ok(seconds)
}
