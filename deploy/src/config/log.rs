//! `[log]`: which log, and what it keeps.

use std::time::Duration;

use super::kafka::{self, KafkaConfig};
use super::section::{Problems, Section};
use super::{DAY, HOUR, MS};

/// `[log]`
#[derive(Clone, Debug, PartialEq)]
pub struct LogConfig {
    /// Which one.
    pub kind: LogKind,
    /// Partitions of `telemetry`, `observations` and `aggregates`. Fixed once the log exists.
    pub partitions: u32,
    /// Records older than this may go.
    pub retention: Duration,
    /// What the embedded log may take on disk.
    pub budget_bytes: u64,
}

/// `[log] kind`
#[derive(Clone, Debug, PartialEq)]
pub enum LogKind {
    /// On this machine.
    Embedded,
    /// Across machines.
    Kafka(Box<KafkaConfig>),
}

impl Default for LogConfig {
    fn default() -> LogConfig {
        LogConfig { kind: LogKind::Embedded, partitions: 4, retention: 7 * DAY, budget_bytes: 20_000_000_000 }
    }
}

/// Reads the section.
pub fn read(mut from: Section<'_>, problems: &mut Problems<'_>) -> LogConfig {
    let default = LogConfig::default();
    let kind = read_kind(&mut from, problems);
    let partitions = from.number("partitions", kind.partitions(), 1..257, problems);
    let log = LogConfig {
        kind,
        partitions: u32::try_from(partitions).unwrap_or(default.partitions),
        retention: from.duration("retention", default.retention, HOUR..3650 * DAY, problems),
        budget_bytes: from.size("budget", default.budget_bytes, 64 << 20..1 << 50, problems),
    };
    from.end(problems);
    log
}

fn read_kind(from: &mut Section<'_>, problems: &mut Problems<'_>) -> LogKind {
    let (at, path) = (from.span("kind"), from.path_of("kind"));
    let (kafka_at, kafka_path) = (from.span("kafka"), from.path_of("kafka"));
    match from.text("kind", problems).as_deref() {
        Some("kafka") => {
            return LogKind::Kafka(Box::new(kafka::read(from.section("kafka", problems), problems)));
        }
        None | Some("embedded") => {}
        Some(other) => problems.add(at, path, format!("\"{other}\" is none of embedded, kafka")),
    }
    // Taken out, so that its keys are not told as unknown ones.
    let unread = from.section("kafka", problems);
    if !unread.is_empty() {
        problems.add(kafka_at, kafka_path, "is only read when log.kind is \"kafka\"");
    }
    LogKind::Embedded
}

impl LogKind {
    /// Unless the file says so: on Kafka, more workers than one machine has cores.
    fn partitions(&self) -> u64 {
        if *self == LogKind::Embedded { 4 } else { 12 }
    }

    /// Unless the file says so: a transaction across machines costs more than one on a disk.
    pub(super) fn commit_interval(&self) -> Duration {
        if *self == LogKind::Embedded { 100 * MS } else { 200 * MS }
    }
}
