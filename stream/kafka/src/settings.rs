//! The options in librdkafka's words.

use std::time::Duration;

use rdkafka::ClientConfig;

use crate::Options;

/// No record and no piece of a snapshot is larger, with its key and headers.
pub(crate) const LARGEST_BYTES: usize = 16 << 20;

/// A sync group answers at once, an idle broker within this.
const FETCH_WAIT: Duration = Duration::from_millis(50);

/// How often librdkafka tells its statistics.
const STATISTICS: Duration = Duration::from_secs(5);

/// What every client needs.
pub(crate) fn client(options: &Options) -> ClientConfig {
    let mut config = ClientConfig::new();
    config
        .set("bootstrap.servers", &options.brokers)
        .set("client.id", format!("sluice-{}", options.instance))
        .set("allow.auto.create.topics", "false")
        .set("message.max.bytes", LARGEST_BYTES.to_string())
        .set("reconnect.backoff.ms", "50")
        .set("reconnect.backoff.max.ms", "1000");
    for (name, value) in options.security.properties.iter().chain(&options.properties) {
        config.set(name, value);
    }
    config
}

/// Of the producer that everyone appends with.
pub(crate) fn producer(options: &Options) -> ClientConfig {
    let mut config = writer(options);
    config
        .set("message.timeout.ms", millis(options.delivery_timeout))
        .set("statistics.interval.ms", millis(STATISTICS));
    config
}

/// Of a pipe's producer.
pub(crate) fn transactions(options: &Options, id: &str) -> ClientConfig {
    let mut config = writer(options);
    config
        .set("transactional.id", id)
        .set("transaction.timeout.ms", millis(options.transaction_timeout))
        // A transaction that begins while the brokers still end the last one is told to try again after this.
        .set("retry.backoff.ms", "5")
        .set("message.timeout.ms", millis(options.transaction_timeout));
    config
}

/// Our own budget bounds what is queued, so librdkafka's limits stand well above it and never answer.
fn writer(options: &Options) -> ClientConfig {
    let mut config = client(options);
    config
        .set("enable.idempotence", "true")
        .set("acks", "all")
        .set("linger.ms", millis(options.linger))
        .set("batch.size", "262144")
        .set("batch.num.messages", "10000")
        .set("compression.type", &options.compression)
        .set("queue.buffering.max.messages", "0")
        .set("queue.buffering.max.kbytes", "2097151");
    config
}

/// Of a reader in a group. Offsets are never stored by librdkafka itself: it would store those of records that it
/// throws away when partitions move.
pub(crate) fn reader(options: &Options, group: &str) -> ClientConfig {
    let mut config = client(options);
    config
        .set("group.id", group)
        .set("group.instance.id", &options.instance)
        .set("partition.assignment.strategy", "cooperative-sticky")
        .set("session.timeout.ms", millis(options.session_timeout))
        .set("heartbeat.interval.ms", millis(options.session_timeout / 10))
        .set("enable.auto.commit", "false")
        .set("enable.auto.offset.store", "false")
        .set("isolation.level", "read_committed")
        .set("auto.offset.reset", "error")
        .set("check.crcs", "true")
        .set("fetch.wait.max.ms", millis(FETCH_WAIT))
        .set("fetch.error.backoff.ms", "100")
        .set("queued.max.messages.kbytes", "16384");
    config
}

/// Of a reader that looks at a partition and belongs to no group, though librdkafka asks for one.
pub(crate) fn bystander(options: &Options, group: &str) -> ClientConfig {
    let mut config = client(options);
    config
        .set("group.id", group)
        .set("enable.auto.commit", "false")
        .set("enable.auto.offset.store", "false")
        .set("enable.partition.eof", "true")
        .set("isolation.level", "read_committed")
        .set("auto.offset.reset", "earliest")
        .set("check.crcs", "true")
        .set("fetch.wait.max.ms", millis(FETCH_WAIT));
    config
}

fn millis(duration: Duration) -> String {
    duration.as_millis().to_string()
}
